"""A wrong folder, or a broken file in the right one, ends in one line that says what to give."""

import json
import shutil

import pytest

from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.captions import read_captions
from fmri_vqtok.formats.cohort import Cohort
from fmri_vqtok.formats.reading import reading
from fmri_vqtok.text.features import embedding_table
from fmri_vqtok.text.token_stream import token_stream
from fmri_vqtok.tokenizer import FMRITokenizer, FMRITokenizerConfig

NOT_UTF8 = b"\xff\xfe"


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(read, *given):
    """Return the one line that reading ends with."""
    with pytest.raises(InputError) as caught:
        read(*given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def sizes(**changes):
    usual = {
        "n_regions": 6, "n_frames": 48, "patch_frames": 16, "width": 16, "n_heads": 2,
        "encoder_depth": 1, "decoder_depth": 1, "n_codes": 32, "code_width": 4,
    }  # fmt: skip
    return usual | changes


@pytest.fixture
def tokenizer_dir(tmp_path):
    FMRITokenizer(FMRITokenizerConfig(**sizes()), None, "six", "h").save_pretrained(tmp_path)
    return tmp_path


CONFIGS = {
    "cut off": (b'{"schema": 1, "mo', "JSONDecodeError"),
    "empty": (b"", "JSONDecodeError"),
    "not text": (NOT_UTF8, "UnicodeDecodeError"),
    "a list": (b"[]", "a list instead of a mapping"),
    "of a transformers model": (b'{"model_type": "llama"}', "no 'schema' in it"),
    "of a language model of ours": (b'{"schema": 1, "base_model": "x"}', "no 'model' in it"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_tokenizer_config_that_is_none_is_refused(tokenizer_dir, case):
    content, why = CONFIGS[case]
    (tokenizer_dir / "config.json").write_bytes(content)
    line = refusal(FMRITokenizer.from_pretrained, tokenizer_dir)
    assert why in line
    assert line.endswith("; give the folder of a fitted tokenizer")


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"n_regions": 6}},
        {"model": "tiny"},
        {"processor": {"n_frames": 48}},
    ],
)
def test_a_tokenizer_config_with_other_fields_is_refused(tokenizer_dir, changes):
    change(tokenizer_dir / "config.json", **changes)
    assert "config.json: cannot be read" in refusal(FMRITokenizer.from_pretrained, tokenizer_dir)


def test_tokenizer_weights_that_are_cut_off_are_refused(tokenizer_dir):
    cut(tokenizer_dir / "model.safetensors")
    line = refusal(FMRITokenizer.from_pretrained, tokenizer_dir)
    assert "model.safetensors: cannot be read (SafetensorError" in line


def test_missing_tokenizer_weights_are_refused(tokenizer_dir):
    (tokenizer_dir / "model.safetensors").unlink()
    assert "no model.safetensors" in refusal(FMRITokenizer.from_pretrained, tokenizer_dir)


def test_tokenizer_weights_of_another_size_are_refused(tokenizer_dir):
    change(tokenizer_dir / "config.json", model=sizes(width=32))
    line = refusal(FMRITokenizer.from_pretrained, tokenizer_dir)
    assert "model.safetensors: cannot be read" in line
    assert "size mismatch" in line


@pytest.fixture
def cohort_copy(cohort_dir, tmp_path):
    return shutil.copytree(cohort_dir, tmp_path / "cohort")


def read_cohort(directory):
    cohort = Cohort(directory)
    return [scan for split in cohort.splits() for scan in cohort.scans(split)]


@pytest.mark.parametrize(
    "name",
    [
        "cohort.json",
        "dataset_dict.json",
        "train/state.json",
        "train/dataset_info.json",
        "train/data-00000-of-00001.arrow",
    ],
)
def test_a_cohort_with_a_file_cut_off_is_refused(cohort_copy, name):
    cut(cohort_copy / name)
    line = refusal(read_cohort, cohort_copy)
    assert "cannot be read" in line
    assert line.endswith("; give the folder that `fmri cohort` wrote")


def test_a_dataset_of_something_else_is_no_cohort(cohort_copy):
    from datasets import Dataset, DatasetDict

    shutil.rmtree(cohort_copy / "train")
    DatasetDict({"train": Dataset.from_dict({"codes": [1]})}).save_to_disk(str(cohort_copy))
    assert "Column name" in refusal(read_cohort, cohort_copy)


def test_a_cohort_description_without_labels_is_refused(cohort_copy):
    (cohort_copy / "cohort.json").write_text(
        '{"schema": 1, "parcellation": "six", "order_hash": "h"}'
    )
    assert "no 'labels' in it" in refusal(Cohort, cohort_copy)


def test_the_line_of_a_broken_caption_is_named(tmp_path):
    row = '{"scan_id": "a", "domain": "all", "text": "x"}\n'
    (tmp_path / "captions.jsonl").write_text(row + row[:20])
    line = refusal(read_captions, tmp_path / "captions.jsonl")
    assert "captions.jsonl, line 2: cannot be read" in line


def test_a_caption_without_text_is_refused(tmp_path):
    (tmp_path / "captions.jsonl").write_text('{"scan_id": "a", "domain": "all"}\n')
    assert "line 1: no 'text' in it" in refusal(read_captions, tmp_path / "captions.jsonl")


@pytest.fixture
def model_copy(language_model, tmp_path):
    return shutil.copytree(language_model, tmp_path / "language-model")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_language_model_with_a_file_cut_off_is_refused(model_copy, name):
    cut(model_copy / name)
    line = refusal(embedding_table, model_copy)
    assert line.startswith(f"language model {model_copy}: cannot be read")


def test_a_text_tokenizer_that_is_cut_off_is_refused(model_copy, corpus):
    cut(model_copy / "tokenizer.json")
    assert "text tokenizer of language model" in refusal(token_stream, model_copy, corpus)


def test_a_language_model_without_some_of_its_weights_is_not_filled_up_at_random(model_copy):
    from safetensors.torch import load_file, save_file

    weights = load_file(model_copy / "model.safetensors")
    del weights["model.embed_tokens.weight"]
    save_file(weights, model_copy / "model.safetensors", metadata={"format": "pt"})
    assert "no weights of embed_tokens.weight" in refusal(embedding_table, model_copy)


def test_an_input_error_raised_while_reading_keeps_its_message():
    with pytest.raises(InputError, match=r"^width: 7; give a multiple of 2$"), reading("x", "fix"):
        raise InputError("width: 7; give a multiple of 2")
