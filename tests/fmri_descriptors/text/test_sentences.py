"""Which sentences can be understood alone, and how a caption stores that."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from fmri_descriptors.registry import feature_columns
from fmri_descriptors.text.captions import describe_features, paragraphs
from fmri_descriptors.text.sentences import Sentence, as_records, joined, stands_alone

POINTS_BACK = re.compile(
    r"(it|its|they|their|these|those|this|that|such|both|the (rest|other|others|ones?|same)|"
    r"others?|likewise|similarly|by contrast|conversely|in addition|further|also|and|but)\b"
    r"|.*\b(of these|of those|of them|other pairs|other networks|the latter|the former)\b",
    re.IGNORECASE,
)


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


def test_none_of_500_texts_that_begin_at_a_standalone_sentence_points_back(aal2):
    columns = feature_columns(aal2)
    random = np.random.default_rng(0)
    begun = []
    for number in range(20):
        features, z = (pd.Series(random.normal(size=len(columns)), columns) for _ in range(2))
        features.name = f"scan-{number}"
        gaps = random.choice(columns, 9, replace=False)
        features[gaps[:5]] = z[gaps] = np.nan
        told = [s for p in paragraphs(describe_features(features, z, aal2)) for s in p]
        begun += [sentence.text for sentence in told if sentence.standalone]
    assert len(begun) >= 500
    assert [text for text in begun[:500] if POINTS_BACK.match(text)] == []
