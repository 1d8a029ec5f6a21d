"""Which sentences can be understood alone, and how a caption stores that."""

import json

import pytest

from fmri_descriptors.sentences import Sentence, as_records, joined, stands_alone


@pytest.mark.parametrize(
    "text",
    [
        "It is within the typical range in Visual.",
        "its values are typical.",
        "All of these are within the typical range.",
        "Of these, the one within Visual is above the typical range.",
        "The rest lie below the typical range.",
        "The ones in Visual are above the typical range.",
        "Likewise, modularity is 0.31.",
        "By contrast, modularity is 0.31.",
        "In addition, modularity is 0.31.",
        "“This is typical.”",
    ],
)
def test_a_sentence_that_points_back_does_not_stand_alone(text):
    assert not stands_alone(text)


@pytest.mark.parametrize(
    "text",
    [
        "Modularity is 0.31 (z 0.20), within the typical range.",
        "This scan has a modularity of 0.31.",
        "Items of the It network: 0.31.",
        "In graph terms, modularity is 0.31.",
        "The second gradient has a range of 0.2.",
        "Itinerant paths give an efficiency of 0.2.",
    ],
)
def test_a_sentence_that_names_its_subject_stands_alone(text):
    assert stands_alone(text)


def test_sentences_are_joined_and_stored_with_what_is_known_of_them():
    sentences = [Sentence.of("Modularity is 0.31."), Sentence.of("It is typical.")]
    assert joined(sentences) == "Modularity is 0.31. It is typical."
    assert as_records(sentences) == [
        {"text": "Modularity is 0.31.", "standalone": True},
        {"text": "It is typical.", "standalone": False},
    ]


def test_the_sentences_of_every_stored_caption_make_up_its_text(described_dir):
    lines = (described_dir / "captions.jsonl").read_text(encoding="utf-8").splitlines()
    for line in map(json.loads, lines):
        assert " ".join(s["text"] for s in line["sentences"]) == line["text"]
        assert line["sentences"][0]["standalone"]
