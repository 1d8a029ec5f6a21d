"""A wrong folder, or a broken file in the right one, ends in one line that says what to give."""

import json
import shutil

import datasets
import pytest

from fmri_llm.base_model import locate
from fmri_llm.base_model.checks import load_checked
from fmri_llm.data import examples
from fmri_llm.model.fmri_lm import FMRILM
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.captions import read_captions
from fmri_vqtok.formats.tokens import read_tokens_record

from .data.test_examples import token_table
from .tiny import tiny_tokenizer


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def refusal(read, *given, **named):
    """Return the one line that reading ends with."""
    with pytest.raises(InputError) as caught:
        read(*given, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def saved(tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "brain.safetensors",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "tokenizer/config.json",
        "tokenizer/model.safetensors",
    ],
)
@pytest.mark.parametrize("harm", ["cut off", "missing"])
def test_a_model_with_a_broken_file_is_refused(saved, tiny_folder, name, harm):
    if harm == "missing":
        (saved / name).unlink()
    else:
        cut(saved / name)
    line = refusal(FMRILM.from_pretrained, saved, base=tiny_folder("llama"))
    assert line.startswith(f"{(saved / name).parent}")
    assert "; give the folder " in line


def test_a_brain_tokenizer_is_no_model(tmp_path):
    tiny_tokenizer("llama").save_pretrained(tmp_path)
    line = refusal(FMRILM.from_pretrained, tmp_path)
    assert line.endswith("no 'base_model' in it; give the folder that fit-llm or tune wrote")


@pytest.mark.parametrize("name", ["adapter/adapter_model.safetensors", "brain.safetensors"])
def test_weights_of_something_else_are_not_taken_for_a_models(saved, tiny_folder, name):
    shutil.copy(tiny_folder("llama") / "model.safetensors", saved / name)
    line = refusal(FMRILM.from_pretrained, saved, base=tiny_folder("llama"))
    assert "cannot be read" in line


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
)
def test_a_base_with_a_file_cut_off_is_refused(tiny_folder, tmp_path, name):
    base = shutil.copytree(tiny_folder("llama"), tmp_path / "base")
    cut(base / name)
    line = refusal(FMRILM.from_base, base, tiny_tokenizer("llama"), name="llama")
    assert f"language model {base}: cannot be read" in line


def test_a_model_of_ours_is_no_base(saved):
    folder = locate.resolve(str(saved))
    assert "give a whole transformers folder" in refusal(load_checked, folder, "sdpa")


@pytest.fixture
def tokens(tmp_path):
    directory = tmp_path / "tokens"
    datasets.DatasetDict({"train": token_table()}).save_to_disk(str(directory))
    return directory


@pytest.mark.parametrize(
    "name",
    ["dataset_dict.json", "train/state.json", "train/data-00000-of-00001.arrow"],
)
def test_tokens_with_a_file_cut_off_are_refused(tokens, name):
    cut(tokens / name)
    line = refusal(examples.TokenWindows.read, tokens, "train")
    assert line.startswith(f"{tokens}: cannot be read")
    assert line.endswith("; give the folder that `fmri tokenize` wrote")


def test_a_missing_tokens_folder_is_refused(tmp_path):
    line = refusal(examples.TokenWindows.read, tmp_path / "none", "train")
    assert line.startswith(f"{tmp_path / 'none'}: cannot be read")


def test_a_dataset_of_something_else_holds_no_tokens(tmp_path):
    other = datasets.Dataset.from_dict({"scan_id": ["a"], "bold": [[0.0]]})
    datasets.DatasetDict({"train": other}).save_to_disk(str(tmp_path))
    assert "Column name" in refusal(examples.TokenWindows.read, tmp_path, "train")


def test_a_split_that_the_tokens_lack_has_no_windows(tokens):
    assert len(examples.TokenWindows.read(tokens, "validation")) == 0


@pytest.mark.parametrize("record", ['{"schema": 1', "[]", "{}", '{"schema": 1}'])
def test_a_tokens_record_that_is_none_is_refused(tmp_path, record):
    (tmp_path / "tokens.json").write_text(record)
    line = refusal(read_tokens_record, tmp_path)
    assert line.endswith("; give the folder that `fmri tokenize` wrote")


def test_the_line_of_a_broken_caption_is_named(tmp_path):
    row = json.dumps({"scan_id": "a", "domain": "FC", "text": "x", "source": "template"})
    (tmp_path / "captions.jsonl").write_text(f"{row}\n{row[:20]}")
    assert "line 2: cannot be read" in refusal(read_captions, tmp_path / "captions.jsonl")


def test_a_base_with_other_weights_than_the_model_was_trained_on_is_refused(
    saved, tiny_folder, tmp_path
):
    shutil.copytree(tiny_folder("llama"), tmp_path / "base")
    weights = next((tmp_path / "base").glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    line = refusal(FMRILM.from_pretrained, saved, base=tmp_path / "base")
    assert "its weights are not those that this model was trained on" in line


def test_code_that_a_base_brings_is_never_run(tiny_folder, tmp_path):
    folder = tmp_path / "base"
    shutil.copytree(tiny_folder("llama"), folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModel": "own.Own"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    line = refusal(load_checked, folder, "sdpa")
    assert "its architecture 'own' is code of its own, which is not run" in line
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("schema", [1, 3])
def test_a_model_of_an_earlier_version_is_refused(saved, tiny_folder, schema):
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**config, "schema": schema}))
    line = refusal(FMRILM.from_pretrained, saved, base=tiny_folder("llama"))
    assert line.startswith(f"{saved}: a model of an earlier version")
    assert line.endswith("; train it again with fit-llm")


@pytest.mark.parametrize("harm", [{"scale_tokens": -1}, {"colour_tokens": 2}])
def test_a_model_whose_brain_settings_are_none_is_refused(saved, tiny_folder, harm):
    config = json.loads((saved / "config.json").read_text())
    config["brain"]["input"] |= harm
    (saved / "config.json").write_text(json.dumps(config))
    line = refusal(FMRILM.from_pretrained, saved, base=tiny_folder("llama"))
    assert next(iter(harm)) in line


def test_what_a_killed_write_left_is_not_part_of_a_model(saved, tiny_model):
    names = {path.relative_to(saved) for path in saved.rglob("*")}
    for folder in (saved, saved / "adapter", saved / "tokenizer"):
        (folder / ".tmpA1b2C3").write_bytes(b"half a file")
    tiny_model.save_pretrained(saved)
    assert {path.relative_to(saved) for path in saved.rglob("*")} == names
