"""Training a model: what moves, what is written, and how a killed run resumes."""

import json
from dataclasses import asdict

import pytest
import torch

from fmri_llm import pretrained
from fmri_llm.base_model import locate
from fmri_llm.data import examples
from fmri_llm.model.fmri_lm import FMRILM
from fmri_llm.settings import BrainInputSettings, LoraSettings, LossWeights
from fmri_llm.training import fit
from fmri_llm.training.initialise import initialise
from fmri_vqtok.config.stages import LoopSettings
from fmri_vqtok.errors import InputError

from ..data.test_examples import make_dataset, token_table
from ..tiny import (
    N_CODES,
    N_REGIONS,
    random_codes,
    random_filters,
    tiny_tokenizer,
    word_tokenizer,
)


class Killed(BaseException):
    """Stands for the end of the process."""


def loop(steps, **changes):
    rhythm = {"checkpoint_every": 2, "evaluate_every": 2, "log_every": 1}
    return LoopSettings(
        steps=steps, batch_size=2, learning_rate=1e-2, warmup_fraction=0, **{**rhythm, **changes}
    )


def fresh(tiny_folder, architecture="llama"):
    model = FMRILM.from_base(
        tiny_folder(architecture),
        tiny_tokenizer(architecture),
        name=architecture,
        filters=random_filters(),
        seed=3,
    )
    initialise(model, examples.TokenWindows(token_table()))
    return model


def tune(model, directory, steps, *, validation=None, **kwargs):
    dataset = make_dataset(
        examples.TokenWindows(token_table()), word_tokenizer(), n_examples=2 * steps
    )
    directory.mkdir(exist_ok=True)
    return fit.fine_tune(
        model, dataset, validation, loop(steps), directory, weights=LossWeights(), seed=0, **kwargs
    )


def tune_and_validate(model, directory, steps, **kwargs):
    windows = examples.TokenWindows(token_table())
    validation = make_dataset(windows, word_tokenizer(), seed=8, n_examples=3)
    return tune(model, directory, steps, validation=validation, **kwargs)


def values(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_every_trainable_weight_moves_and_no_frozen_one_does(tiny_folder, tmp_path, architecture):
    """Two steps: a first half has no gradient while its second half, which starts at 0, is zero."""
    model = fresh(tiny_folder, architecture)
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    before = values(model)
    tune(model, tmp_path / "run", steps=2)
    moved = {name for name, p in values(model).items() if not torch.equal(p, before[name])}
    assert moved == trainable


FIRST_HALVES = ("lora_A", "correction.0", "correction.1")


def test_one_step_moves_all_but_first_halves_whose_second_half_is_zero(tiny_folder, tmp_path):
    model = fresh(tiny_folder)
    before = values(model)
    tune(model, tmp_path / "run", steps=1)
    moved = {name for name, p in values(model).items() if not torch.equal(p, before[name])}
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    second = {name for name in trainable if not any(half in name for half in FIRST_HALVES)}
    assert len(trainable - second) > 4
    assert second <= moved <= trainable


@pytest.mark.parametrize(("fraction", "first_step"), [(0.5, 2), (1.0, None)])
def test_adapters_move_from_their_first_step_on_and_the_brain_input_from_the_start(
    tiny_folder, tmp_path, fraction, first_step
):
    model, moved_by = fresh(tiny_folder), []
    before = values(model)

    def compare(_done, _total):
        after = values(model)
        moved_by.append({name for name in after if not torch.equal(after[name], before[name])})

    lora = LoraSettings(from_fraction=fraction)
    tune(model, tmp_path / "run", steps=4, lora=lora, progress=compare)
    adapted = [any("lora_" in name for name in moved) for moved in moved_by]
    assert adapted == [first_step is not None and step >= first_step for step in range(4)]
    assert all(any(name.startswith("brain.") for name in moved) for moved in moved_by)


def test_adapters_train_at_a_rate_of_their_own(tiny_folder, tmp_path):
    moves = {}
    for rate in (1e-2, 1e-4):
        model = fresh(tiny_folder)
        before = values(model)
        tune(model, tmp_path / str(rate), steps=1, lora=LoraSettings(learning_rate=rate))
        after = values(model)
        change = {name: (after[name] - before[name]).abs().max().item() for name in after}
        moves[rate] = (
            max(value for name, value in change.items() if "lora_B" in name),
            max(value for name, value in change.items() if name.startswith("brain.")),
        )
    # A step of AdamW moves each weight by about the rate.
    assert moves[1e-2][0] == pytest.approx(100 * moves[1e-4][0], rel=0.05)
    assert moves[1e-2][1] == pytest.approx(moves[1e-4][1], rel=1e-3)


def test_no_buffer_of_the_brain_tokenizer_moves(tiny_folder, tmp_path):
    model = fresh(tiny_folder)
    before = {name: buffer.clone() for name, buffer in model.brain_tokenizer.state_dict().items()}
    tune(model, tmp_path / "run", steps=2)
    after = model.brain_tokenizer.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_saved_model_scores_as_before(tiny_folder, tmp_path):
    model = fresh(tiny_folder)
    tune(model, tmp_path / "run", steps=2)
    again = FMRILM.from_pretrained(tmp_path / "run", base=tiny_folder("llama"))
    codes = random_codes(2)
    assert torch.equal(again.forecast(codes), model.forecast(codes))
    answers = ["yes", "no"]
    assert torch.equal(
        again.score_answers(codes, "Is it?", answers), model.score_answers(codes, "Is it?", answers)
    )


def test_a_loaded_model_can_be_trained_on(tiny_folder, tmp_path):
    tune(fresh(tiny_folder), tmp_path / "first", steps=2)
    model = FMRILM.from_pretrained(tmp_path / "first", base=tiny_folder("llama"))
    before = values(model)
    tune(model, tmp_path / "second", steps=1)
    moved = {name for name, p in values(model).items() if not torch.equal(p, before[name])}
    assert moved == {name for name, p in model.named_parameters() if p.requires_grad}


def files_of(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and "checkpoints" not in path.parts
    }


def test_the_same_run_writes_the_same_bytes(tiny_folder, tmp_path):
    for name in ("first", "second"):
        tune(fresh(tiny_folder), tmp_path / name, steps=2)
    assert files_of(tmp_path / "first") == files_of(tmp_path / "second")


def test_a_killed_run_resumes_to_the_same_bytes(tiny_folder, tmp_path):
    tune(fresh(tiny_folder), tmp_path / "whole", steps=4)

    def kill(done, total):
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        tune(fresh(tiny_folder), tmp_path / "killed", steps=4, progress=kill)
    steps_done = []
    tune(
        fresh(tiny_folder),
        tmp_path / "killed",
        steps=4,
        progress=lambda done, _total: steps_done.append(done),
    )
    assert steps_done == [3, 4]
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")


def test_a_folder_names_its_base_and_holds_none_of_it(tiny_folder, tmp_path):
    tune(fresh(tiny_folder), tmp_path / "run", steps=2)
    written = files_of(tmp_path / "run")
    assert set(written) == {
        "README.md",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "brain.safetensors",
        "config.json",
        "losses.csv",
        "tokenizer/config.json",
        "tokenizer/model.safetensors",
    }
    assert json.loads(written["config.json"]) == {
        "schema": pretrained.SCHEMA,
        "base_model": "llama",
        "base_digest": locate.weights_digest(tiny_folder("llama")),
        "base_training": "adapters",
        "quantise": "none",
        "attention": "sdpa",
        "max_windows": None,
        "brain": {
            "n_regions": N_REGIONS,
            "n_codes": N_CODES,
            "n_filters": len(random_filters()),
            "measures": [],
            "input": asdict(BrainInputSettings()),
        },
        "parcellation": "five",
        "order_hash": "f1",
    }
    assert str(tiny_folder("llama")).encode() not in b"".join(written.values())


def test_a_checkpoint_is_small(tiny_folder, tmp_path):
    model = fresh(tiny_folder)
    tune(model, tmp_path / "run", steps=2)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    newest = tmp_path / "run" / "checkpoints" / "checkpoint-2"
    # Weights and the two moments of AdamW, four bytes each, and room for the rest.
    size = sum(path.stat().st_size for path in newest.rglob("*") if path.is_file())
    assert size < 3 * 4 * trainable + 60_000


def test_a_model_folder_of_a_newer_schema_is_refused(tmp_path):
    newer = pretrained.SCHEMA + 1
    (tmp_path / "config.json").write_text(json.dumps({"schema": newer}))
    refused = f"schema {newer}, but this version reads up to {newer - 1}; upgrade fmri-llm"
    with pytest.raises(InputError, match=refused):
        FMRILM.from_pretrained(tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="give the folder that fit-llm or tune wrote"):
        FMRILM.from_pretrained(tmp_path)
