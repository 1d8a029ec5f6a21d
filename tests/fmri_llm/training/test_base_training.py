"""What of the base trains: adapters, everything or nothing; and bases in fewer bits."""

import importlib.util
import re
import shutil

import pytest
import torch

from fmri_llm import pretrained
from fmri_llm.base_model import quantise
from fmri_llm.data import examples
from fmri_llm.model.fmri_lm import FMRILM
from fmri_llm.settings import FitLLMSettings, LoraSettings, LossWeights
from fmri_llm.training.initialise import initialise
from fmri_vqtok.errors import InputError

from ..data.test_examples import token_table
from ..tiny import random_codes, random_filters, tiny_tokenizer
from .test_training import Killed, files_of, tune, values


def fresh(folder, base_training, architecture="llama", **options):
    model = FMRILM.from_base(
        folder,
        tiny_tokenizer(architecture),
        name=architecture,
        filters=random_filters(),
        base_training=base_training,
        seed=3,
        **options,
    )
    initialise(model, examples.TokenWindows(token_table()))
    return model


def moved_by_training(model, directory, **options):
    before = values(model)
    tune(model, directory, steps=2, **options)
    return {name for name, p in values(model).items() if not torch.equal(p, before[name])}


def test_a_frozen_base_stays_as_it_is_while_the_brain_input_trains(tiny_folder, tmp_path):
    moved = moved_by_training(fresh(tiny_folder("llama"), "frozen"), tmp_path / "run")
    assert not any(name.startswith("language_model.") for name in moved)
    assert any(name.startswith("brain.") for name in moved)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_every_weight_of_a_base_that_trains_whole_moves(tiny_folder, tmp_path, architecture):
    model = fresh(tiny_folder(architecture), "full", architecture)
    moved = moved_by_training(model, tmp_path / "run")
    base = {name for name, _ in model.named_parameters() if name.startswith("language_model.")}
    assert base <= moved


def test_a_base_that_trains_whole_starts_where_the_settings_say(tiny_folder, tmp_path):
    model, moved_by = fresh(tiny_folder("llama"), "full"), []
    before = values(model)

    def compare(_done, _total):
        after = values(model)
        moved_by.append(
            any(
                name.startswith("language_model.") and not torch.equal(after[name], before[name])
                for name in after
            )
        )

    tune(model, tmp_path / "run", 4, lora=LoraSettings(from_fraction=0.5), progress=compare)
    assert moved_by == [False, False, True, True]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_model_trained_whole_answers_as_before_without_its_base(
    tiny_folder, tmp_path, architecture
):
    """GPT-2 ties its output layer to its embeddings, so the file holds one of them."""
    folder = tmp_path / "base"
    shutil.copytree(tiny_folder(architecture), folder)
    model = fresh(folder, "full", architecture)
    tune(model, tmp_path / "run", steps=2)
    shutil.rmtree(folder)
    again = FMRILM.from_pretrained(tmp_path / "run")
    codes, answers = random_codes(2), ["yes", "no"]
    assert torch.equal(again.forecast(codes), model.forecast(codes))
    assert torch.equal(
        again.score_answers(codes, "Is it?", answers), model.score_answers(codes, "Is it?", answers)
    )


def test_a_model_trained_whole_trains_on_whole(tiny_folder, tmp_path):
    tune(fresh(tiny_folder("llama"), "full"), tmp_path / "first", steps=1)
    model = FMRILM.from_pretrained(tmp_path / "first")
    moved = moved_by_training(model, tmp_path / "second")
    assert any(name.startswith("language_model.") for name in moved)


@pytest.mark.parametrize("base_training", ["full", "frozen"])
def test_a_killed_run_resumes_to_the_same_bytes(tiny_folder, tmp_path, base_training):
    tune(fresh(tiny_folder("llama"), base_training), tmp_path / "whole", steps=4)

    def kill(done, _total):
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        tune(fresh(tiny_folder("llama"), base_training), tmp_path / "killed", 4, progress=kill)
    tune(fresh(tiny_folder("llama"), base_training), tmp_path / "killed", steps=4)
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")


def test_a_folder_holds_the_base_only_where_all_of_it_was_trained(tiny_folder, tmp_path):
    found = {}
    for base_training in ("full", "frozen"):
        directory = tmp_path / base_training
        tune(fresh(tiny_folder("llama"), base_training), directory, steps=1)
        found[base_training] = files_of(directory)
    folders = {kind: {name.partition("/")[0] for name in found[kind]} for kind in found}
    others = {"README.md", "brain.safetensors", "config.json", "losses.csv", "tokenizer"}
    assert folders == {"full": others | {"base"}, "frozen": others}
    assert str(tiny_folder("llama")).encode() not in b"".join(found["full"].values())


def test_plain_text_alone_is_refused_beside_a_frozen_base():
    only_text = LossWeights(f2t=0, f2f=0, questions=0)
    with pytest.raises(InputError, match=r"base_training: 'frozen', but plain text \(t2t\) alone"):
        FitLLMSettings(base_training="frozen", weights=only_text)


def test_quantised_weights_that_should_train_are_refused():
    with pytest.raises(InputError, match="quantise: 'int8', but quantised weights do not train"):
        FitLLMSettings(base_training="full", quantise="int8")


def test_a_quantised_base_is_refused_on_a_cpu():
    with pytest.raises(InputError, match="quantise: 'nf4' needs a GPU, and this runs on the CPU"):
        quantise.check_device("nf4", "cpu")


@pytest.mark.skipif(bool(importlib.util.find_spec("bitsandbytes")), reason="it is installed")
def test_without_bitsandbytes_a_quantised_base_says_what_to_install(tiny_folder):
    wanted = re.escape("pip install 'fmri-llm[quantise]'")
    with pytest.raises(InputError, match=f"quantise: 'int8' needs bitsandbytes; {wanted}"):
        fresh(tiny_folder("llama"), "adapters", quantise="int8")


@pytest.mark.parametrize("bits", ["int8", "nf4"])
@pytest.mark.filterwarnings("ignore:MatMul8bitLt")
def test_adapters_train_on_a_quantised_base_that_is_loaded_as_it_was(tiny_folder, tmp_path, bits):
    pytest.importorskip("bitsandbytes")
    model = fresh(tiny_folder("llama"), "adapters", quantise=bits)
    moved = moved_by_training(model, tmp_path / "run")
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name for name in trained if "lora_" in name} <= moved <= trained
    assert pretrained.read_config(tmp_path / "run")["quantise"] == bits
    again = FMRILM.from_pretrained(tmp_path / "run", base=tiny_folder("llama"))
    kinds = {type(module).__module__.partition(".")[0] for module in again.language_model.modules()}
    assert "bitsandbytes" in kinds
    codes = random_codes(2)
    torch.testing.assert_close(again.forecast(codes), model.forecast(codes))
