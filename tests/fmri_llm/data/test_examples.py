"""Training examples: which scan, which text, which piece of the corpus."""

import json

import datasets
import numpy as np
import pandas as pd
import pytest
import torch

from fmri_llm.data import examples
from fmri_llm.data.feature_questions import FeatureQuestions
from fmri_llm.packing.sequences import NO_TARGET
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.captions import Caption, Sentence, read_captions, split_sentences
from fmri_vqtok.formats.tokens import read_tokens_record
from fmri_vqtok.scan_scale import N_BANDS

from ..tiny import N_CODES, N_REGIONS, N_STEPS, word_tokenizer

SENTENCES = {
    "s1": ["Alpha is low.", "Beta is 0.5 above.", "Gamma is high."],
    "s2": ["Delta is typical.", "Epsilon is low."],
}
CORPUS = np.arange(200) % 251


def token_table(scan_ids=("s1", "s1", "s2")):
    rng = np.random.default_rng(0)
    shape = (len(scan_ids), N_STEPS, N_REGIONS)
    return datasets.Dataset.from_dict(
        {
            "scan_id": list(scan_ids),
            "window": list(range(len(scan_ids))),
            "codes": rng.integers(N_CODES, size=shape).astype("int32").tolist(),
            "mask": [[True] * (N_REGIONS - 1) + [False]] * len(scan_ids),
            "log_amplitude": rng.normal(size=(len(scan_ids), N_REGIONS)).astype("float32").tolist(),
            "spectrum": rng.normal(-2, 1, (len(scan_ids), N_BANDS)).astype("float32").tolist(),
            "n_seconds": [60.0] * len(scan_ids),
            "tr": [2.0] * len(scan_ids),
        }
    )


@pytest.fixture(scope="module")
def windows():
    return examples.TokenWindows(token_table())


@pytest.fixture(scope="module")
def tokenizer():
    return word_tokenizer()


def captions_of(*domains):
    return {
        scan_id: {domain: " ".join(sentences) for domain in domains}
        for scan_id, sentences in SENTENCES.items()
    }


def make_dataset(
    windows, tokenizer, *, seed=7, n_examples=12, text_tokens=36, captions=None, questions=None
):
    return examples.PretrainingDataset(
        windows,
        captions or captions_of("FC", "graph"),
        CORPUS,
        tokenizer,
        text_tokens=text_tokens,
        corpus_tokens=16,
        n_examples=n_examples,
        seed=seed,
        **({} if questions is None else {"questions": questions, "n_questions": 8}),
        losses=("f2t", "t2t") if questions is None else ("questions",),
    )


def described(example, tokenizer):
    segment = example.segments[0]
    prompt = tokenizer.decode(segment.ids[: segment.n_given])
    answer = tokenizer.decode(segment.ids[segment.n_given :])
    return prompt, answer.strip().removesuffix("</s>")


def same(first, second):
    return all(
        torch.equal(a, b)
        for a, b in zip(
            examples.collate([first]).values(), examples.collate([second]).values(), strict=True
        )
    )


def test_the_first_half_asks_levels_alone_and_the_rest_every_kind(windows, tokenizer):
    names = [f"graph.network_strength.{name}" for name in "ABCDEF"]
    z = np.random.default_rng(0).normal(0, 2, size=(2, len(names)))
    table = pd.DataFrame(z, index=["s1", "s2"], columns=names)
    dataset = make_dataset(windows, tokenizer, n_examples=20, questions=FeatureQuestions(table))
    kinds = [
        [question_kind(tokenizer, segment) for segment in dataset[k].segments] for k in range(20)
    ]
    assert all(set(each) == {"Is the connection"} for each in kinds[:10])
    assert {kind for each in kinds[10:] for kind in each} == {
        "Is the connection", "Which is higher,", "Is this true:"
    }  # fmt: skip


def question_kind(tokenizer, segment):
    """First three words of a question."""
    text = tokenizer.decode(segment.ids[: segment.n_given]).removeprefix("Question: ")
    return " ".join(text.split()[:3])


def test_an_example_depends_only_on_seed_and_index(windows, tokenizer):
    forwards, again = make_dataset(windows, tokenizer), make_dataset(windows, tokenizer)
    examples = [forwards[k] for k in range(12)]
    assert all(same(again[k], examples[k]) for k in reversed(range(12)))


def test_another_seed_gives_other_examples(windows, tokenizer):
    first, second = make_dataset(windows, tokenizer), make_dataset(windows, tokenizer, seed=8)
    assert not all(same(first[k], second[k]) for k in range(12))


def test_every_epoch_has_each_scan_once_with_all_its_windows(windows, tokenizer):
    dataset = make_dataset(windows, tokenizer)
    own = {windows.scan(scan_id).codes.tobytes() for scan_id in windows.scan_ids}
    for start in range(0, 12, 2):
        assert {dataset[k].scan.codes.tobytes() for k in range(start, start + 2)} == own


def test_each_domain_of_a_scan_comes_once_in_as_many_epochs_as_domains(windows, tokenizer):
    dataset = make_dataset(windows, tokenizer, captions=captions_of(*examples.DESCRIBE_PROMPTS))
    n_rounds = len(examples.DESCRIBE_PROMPTS)
    asked = {}
    for k in range(2 * n_rounds):
        example = dataset[k]
        asked.setdefault(example.scan.codes.tobytes(), set()).add(described(example, tokenizer)[0])
    assert [len(questions) for questions in asked.values()] == [n_rounds, n_rounds]


def test_a_plan_ends(windows, tokenizer):
    dataset = make_dataset(windows, tokenizer)
    assert len(list(dataset)) == len(dataset) == 12


def test_the_text_is_a_run_of_whole_sentences_about_the_same_scan(windows, tokenizer):
    dataset = make_dataset(windows, tokenizer)
    by_codes = {windows.scan(scan_id).codes.tobytes(): scan_id for scan_id in windows.scan_ids}
    for k in range(12):
        example = dataset[k]
        caption = " ".join(SENTENCES[by_codes[example.scan.codes.tobytes()]])
        _, text = described(example, tokenizer)
        assert caption.startswith(text)
        assert text.endswith(".")


@pytest.mark.parametrize(("text_tokens", "n_sentences"), [(36, 2), (1, 1)])
def test_a_text_fits_unless_a_single_sentence_is_longer(
    windows, tokenizer, text_tokens, n_sentences
):
    dataset = make_dataset(windows, tokenizer, text_tokens=text_tokens)
    texts = [described(dataset[k], tokenizer)[1] for k in range(12)]
    assert {len(split_sentences(text)) for text in texts} == {n_sentences}


LEANING = [("Alpha is low.", True), ("It is so in Beta.", False), ("Gamma is high.", True)]


def leaning_captions():
    text = " ".join(sentence for sentence, _ in LEANING)
    caption = Caption(text, [Sentence(*sentence) for sentence in LEANING])
    return {scan_id: {"FC": caption} for scan_id in SENTENCES}


def test_a_target_begins_with_a_standalone_sentence_and_continues(windows, tokenizer):
    dataset = make_dataset(windows, tokenizer, captions=leaning_captions(), n_examples=40)
    texts = {described(dataset[k], tokenizer)[1] for k in range(40)}
    assert texts == {"Alpha is low. It is so in Beta.", "Gamma is high."}


def test_a_caption_without_standalone_marks_starts_at_its_first_sentence(windows, tokenizer):
    dataset = make_dataset(windows, tokenizer, text_tokens=1)
    texts = {described(dataset[k], tokenizer)[1] for k in range(12)}
    assert texts == {"Alpha is low.", "Delta is typical."}


def test_sentences_that_no_target_has_room_for_are_counted(windows, tokenizer):
    captions = leaning_captions()
    assert make_dataset(windows, tokenizer, captions=captions).sentence_counts() == (0, 6)
    assert make_dataset(windows, tokenizer, captions=captions, text_tokens=1).sentence_counts() == (
        2,
        6,
    )


def test_the_question_is_about_the_captions_domain(windows, tokenizer):
    dataset = make_dataset(windows, tokenizer, captions=captions_of("graph", "all"))
    prompts = {described(dataset[k], tokenizer)[0] for k in range(12)}
    assert prompts == {"Question: Describe the graph measures of this scan.\nAnswer:"}


def test_plain_text_is_a_piece_of_the_corpus_that_does_not_attend_to_the_scan(windows, tokenizer):
    dataset = make_dataset(windows, tokenizer)
    for k in range(12):
        piece = dataset[k].segments[1]
        assert not piece.sees_brain
        assert CORPUS.tobytes().find(np.asarray(piece.ids).tobytes()) >= 0
        assert len(piece.ids) == 16


def test_a_scan_without_captions_is_refused(windows, tokenizer):
    with pytest.raises(InputError, match="no text about scan 's2'; describe the same cohort"):
        make_dataset(windows, tokenizer, captions={"s1": {"FC": "Yes."}})


def test_a_decimal_point_ends_no_sentence():
    assert split_sentences("It is 0.5 above. It is so.") == [
        "It is 0.5 above.",
        "It is so.",
    ]


def test_a_batch_keeps_codes_and_pads_shorter_scans(windows, tokenizer):
    dataset = make_dataset(windows, tokenizer)
    batch = examples.collate([dataset[0], dataset[1]])
    assert batch["codes"].shape == (2, 2 * N_STEPS, N_REGIONS)
    for k in range(2):
        own = torch.from_numpy(dataset[k].scan.codes)
        assert torch.equal(batch["codes"][k, : len(own)], own)
        assert batch["step_mask"][k].tolist() == [w < len(own) for w in range(2 * N_STEPS)]
    assert batch["region_mask"][0].tolist() == [True] * (N_REGIONS - 1) + [False]


def test_only_answers_and_plain_text_are_targets(windows, tokenizer):
    example = make_dataset(windows, tokenizer)[0]
    labels = examples.collate([example])["labels"][0]
    answer, piece = example.segments
    expected = list(answer.ids[answer.n_given :]) + list(piece.ids[1:])
    assert labels[labels != NO_TARGET].tolist() == expected


def test_a_rewritten_caption_goes_before_the_templates(tmp_path):
    rows = [
        {"scan_id": "s1", "domain": "FC", "text": "New.", "source": "rewritten"},
        {"scan_id": "s1", "domain": "FC", "text": "Old.", "source": "template"},
        {"scan_id": "s1", "domain": "ICA", "text": "Only.", "source": "template"},
    ]
    path = tmp_path / "captions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert read_captions(path) == {"s1": {"FC": "New.", "ICA": "Only."}}


def test_sentences_are_read_with_a_caption(tmp_path):
    path = tmp_path / "captions.jsonl"
    sentences = [{"text": text, "standalone": alone} for text, alone in LEANING]
    text = " ".join(sentence["text"] for sentence in sentences)
    row = {"scan_id": "s1", "domain": "FC", "text": text, "source": "template"}
    path.write_text(json.dumps({**row, "sentences": sentences}))
    caption = read_captions(path)["s1"]["FC"]
    assert caption == text
    assert caption.starts == [0, 2]


def test_sentences_that_are_not_the_text_are_refused(tmp_path):
    path = tmp_path / "captions.jsonl"
    sentences = [{"text": "Old.", "standalone": True}]
    row = {"scan_id": "s1", "domain": "FC", "text": "New.", "source": "template"}
    path.write_text(json.dumps({**row, "sentences": sentences}))
    with pytest.raises(
        InputError, match="the sentences of FC of scan 's1' are not its text; leave"
    ):
        read_captions(path)


def test_missing_captions_are_refused(tmp_path):
    with pytest.raises(InputError, match="give the folder that `fmri describe` wrote"):
        read_captions(tmp_path / "captions.jsonl")


def test_a_tokens_folder_of_a_newer_schema_is_refused(tmp_path):
    (tmp_path / "tokens.json").write_text('{"schema": 2}')
    with pytest.raises(
        InputError, match=r"schema 2, but this version reads up to 1; upgrade fmri-vqtok"
    ):
        read_tokens_record(tmp_path)


def test_a_folder_without_tokens_is_refused(tmp_path):
    with pytest.raises(InputError, match="give the folder that `fmri tokenize` wrote"):
        read_tokens_record(tmp_path)


def test_an_example_has_no_text_for_a_loss_that_is_not_computed(windows, tokenizer):
    dataset = make_dataset(windows, tokenizer)
    every = [segment.loss for segment in dataset[0].segments]
    assert every == ["f2t", "t2t"]
    for losses in (["t2t"], ["f2t"], []):
        dataset.losses = losses
        assert [segment.loss for segment in dataset[0].segments] == losses
