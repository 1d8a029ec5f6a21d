"""The stage fit-llm: what it learns from, is scored on, writes and refuses."""

import json
import subprocess
import sys
from dataclasses import replace

import datasets
import numpy as np
import pandas as pd
import pytest

from fmri_llm.evaluation.text_perplexity import TextPerplexity
from fmri_llm.model.fmri_lm import FMRILM
from fmri_llm.settings import FitLLMSettings, LoraSettings, LossWeights
from fmri_llm.training import fit
from fmri_llm.training.forecast_baselines import Forecasts
from fmri_vqtok.errors import InputError
from fmri_vqtok.training.log import read_losses

from ..data.test_examples import SENTENCES, captions_of, token_table
from ..tiny import (
    N_CODES,
    N_REGIONS,
    N_STEPS,
    tiny_tokenizer,
)
from .test_training import Killed, fresh, loop, tune

RECORD = {
    "schema": 1,
    "tokenizer": tiny_tokenizer("llama").fingerprint,
    "order_hash": "f1",
    "n_codes": N_CODES,
    "n_steps": N_STEPS,
    "n_regions": N_REGIONS,
}


def write_tokens(directory, **scan_ids):
    """Write a tokens folder with a window for each scan id of a split."""
    tokens = datasets.DatasetDict({split: token_table(ids) for split, ids in scan_ids.items()})
    tokens.save_to_disk(directory)
    (directory / "tokens.json").write_text(json.dumps(RECORD))


def write_z_scores(directory, seed=0):
    columns = ["graph.network_strength.Visual", "graph.network_strength.Motor", "fc.Visual-Motor"]
    values = np.random.default_rng(seed).normal(0, 1.5, size=(len(SENTENCES), len(columns)))
    table = pd.DataFrame(values, index=pd.Index(list(SENTENCES), name="scan_id"), columns=columns)
    table.insert(0, "split", "train")
    table.to_parquet(directory / "zscores.parquet")


@pytest.fixture
def stage(tiny_folder, tmp_path, monkeypatch):
    """Folders that the earlier stages would have written, as keyword arguments of `fit_llm`."""
    monkeypatch.setenv("FMRI_LM_CACHE", str(tmp_path / "cache"))
    write_tokens(tmp_path / "tokens", train=["s1", "s1"], validation=["s2"])
    for name in ("tokenizer", "descriptors", "language-model"):
        (tmp_path / name).mkdir()
    tiny_tokenizer("llama").save_pretrained(tmp_path / "tokenizer")
    rows = [
        {"scan_id": scan_id, "domain": domain, "text": text, "source": "template"}
        for scan_id, texts in captions_of("FC").items()
        for domain, text in texts.items()
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "descriptors" / "captions.jsonl").write_text(lines)
    write_z_scores(tmp_path / "descriptors")
    (tmp_path / "text.txt").write_text(" ".join(SENTENCES["s1"]) * 20)
    return {
        "tokens_dir": tmp_path / "tokens",
        "tokenizer_dir": tmp_path / "tokenizer",
        "descriptors_dir": tmp_path / "descriptors",
        "text_path": tmp_path / "text.txt",
        "directory": tmp_path / "language-model",
        "settings": FitLLMSettings(loop=loop(2), corpus_tokens=16, validation_examples=2),
        "seed": 0,
        "language_model": tiny_folder("llama"),
        "language_model_name": "llama",
    }


def test_the_stage_trains_on_training_scans_and_scores_validation_scans(stage):
    records = fit.fit_llm(**stage)
    assert {(r.split, r.name) for r in records} == {
        (split, name)
        for split in ("train", "validation")
        for name in ("f2t", "f2f", "t2t", "questions", "total")
    }
    assert read_losses(stage["directory"] / "losses.csv") == records
    FMRILM.from_pretrained(stage["directory"], base=stage["language_model"])


def test_the_card_shows_whether_the_answers_depend_on_the_scan(stage):
    more = stage["tokens_dir"].parent / "more"
    write_tokens(more, train=["s1"], validation=["s2"], test=["s1", "s2"])
    fit.fit_llm(**{**stage, "tokens_dir": more})
    found = json.loads((stage["directory"] / "scan-dependence.json").read_text())
    assert found["verdict"] in (stage["directory"] / "README.md").read_text()


TWO_PROCESSES = """
import contextlib, json, sys
from pathlib import Path
from fmri_llm.settings import *
from fmri_llm.training.fit import fit_llm
from fmri_vqtok.config.stages import LoopSettings

def stop(done, total):
    if done == 3:
        raise KeyboardInterrupt

folders = {{name: Path(folder) for name, folder in json.loads(sys.argv[1]).items()}}
arguments = {{**folders, "settings": {settings}, "seed": 0, "language_model_name": "llama"}}
with contextlib.suppress(KeyboardInterrupt):
    fit_llm(**arguments, progress=stop)
fit_llm(**arguments)
"""


@pytest.mark.slow
@pytest.mark.parametrize("base_training", ["adapters", "full"])
def test_two_processes_that_resume_have_the_losses_of_one_and_write_the_model_once(
    stage, tmp_path, base_training
):
    stage["settings"] = replace(stage["settings"], loop=loop(4), base_training=base_training)
    alone = fit.fit_llm(**stage)
    (tmp_path / "together").mkdir()
    script = tmp_path / "two.py"
    script.write_text(TWO_PROCESSES.format(settings=stage["settings"]))
    names = ("tokens_dir", "tokenizer_dir", "descriptors_dir", "text_path", "language_model")
    folders = {name: str(stage[name]) for name in names}
    folders["directory"] = str(tmp_path / "together")
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(script), json.dumps(folders),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    together = read_losses(tmp_path / "together" / "losses.csv")
    assert [record[:3] for record in together] == [record[:3] for record in alone]
    for one, two in zip(alone, together, strict=True):
        assert two.value == pytest.approx(one.value, rel=1e-4), one
    FMRILM.from_pretrained(tmp_path / "together", base=stage["language_model"])


def test_the_f2f_loss_stands_beside_forecasts_of_the_same_codes(stage):
    fit.fit_llm(**stage)

    found = Forecasts.read(stage["directory"])
    table = datasets.load_from_disk(stage["tokens_dir"])["validation"].with_format("numpy")
    codes = np.asarray(table["codes"][0])
    # The one validation scan is drawn twice; every step but the first is a target.
    assert found.n_targets == 2 * codes[1:].size
    assert found.equal_odds == pytest.approx(np.log(RECORD["n_codes"]))


def test_the_perplexity_of_held_out_text_is_measured_before_and_after_training(stage):
    changes = {"perplexity_tokens": 64, "lora": LoraSettings(from_fraction=1.0)}
    stage["settings"] = replace(stage["settings"], **changes)
    fit.fit_llm(**stage)
    frozen = TextPerplexity.read(stage["directory"])
    # Pieces of 16 tokens of the last twentieth, of which the first is not predicted.
    n_held_out = len(stage["text_path"].read_bytes()) // 20
    assert frozen.n_tokens == n_held_out // 16 * 15
    assert frozen.after == frozen.before

    stage["directory"] = stage["directory"].parent / "trained"
    stage["directory"].mkdir()
    stage["settings"] = replace(stage["settings"], lora=LoraSettings())
    fit.fit_llm(**stage)
    trained = TextPerplexity.read(stage["directory"])
    assert trained.before == frozen.before
    assert trained.after != trained.before


def test_the_stage_holds_the_end_of_the_corpus_out(stage, monkeypatch):
    plans = {}
    monkeypatch.setattr(
        fit,
        "fine_tune",
        lambda model, dataset, validation, *_, **__: plans.update(
            train=dataset, held_out=validation
        ),
    )
    fit.fit_llm(**stage)
    text = stage["text_path"].read_bytes()
    n_train, n_held_out = (len(plans[name].corpus) for name in ("train", "held_out"))
    assert n_train + n_held_out == len(text)
    assert n_held_out == max(len(text) // 20, 16)


def test_the_stage_reads_a_data_set_of_the_hub_up_to_its_limit(stage, tmp_path, monkeypatch):
    # A folder in the layout of the hub is read by the same code, and needs no network.
    (tmp_path / "hub").mkdir()
    lines = [json.dumps({"body": "The brain rests. "}) for _ in range(40)]
    (tmp_path / "hub" / "train.jsonl").write_text("\n".join(lines))
    stage["text_path"] = f"hf:{tmp_path / 'hub'}"
    stage["settings"] = replace(stage["settings"], text_column="body", corpus_limit=100)
    lengths = []
    monkeypatch.setattr(
        fit,
        "fine_tune",
        lambda _model, *plans, **_: lengths.extend(len(dataset.corpus) for dataset in plans[:2]),
    )
    fit.fit_llm(**stage)
    assert sum(lengths) == 100


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ("text", "text [0-9a-f]{16}"),
        ("captions", "captions [0-9a-f]{16}"),
        ("measures", "measures [0-9a-f]{16}"),
        ("weights", r"weights.f2t 1.0 \(here 2.0\)"),
    ],
)
def test_a_stopped_stage_does_not_resume_with_another_part(stage, other, named):
    def progress(done, _total):
        if done == 3:
            raise Killed

    stage["settings"] = replace(stage["settings"], loop=loop(3))
    with pytest.raises(Killed):
        fit.fit_llm(**stage, progress=progress)
    if other == "text":
        stage["text_path"].write_text(" ".join(SENTENCES["s2"]) * 20)
    elif other == "captions":
        path = stage["descriptors_dir"] / "captions.jsonl"
        path.write_text(path.read_text().replace(".", "!"))
    elif other == "measures":
        write_z_scores(stage["descriptors_dir"], seed=1)
    else:
        weights = LossWeights(f2t=2.0)
        stage["settings"] = replace(stage["settings"], weights=weights)
    with pytest.raises(InputError, match=f"checkpoint-2: written with .*{named}"):
        fit.fit_llm(**stage)


def test_the_stage_refuses_tokens_of_another_region_order(stage):
    record = json.dumps({**RECORD, "order_hash": "other"})
    (stage["tokens_dir"] / "tokens.json").write_text(record)
    with pytest.raises(InputError, match="region order 'other'"):
        fit.fit_llm(**stage)
    assert not list(stage["directory"].iterdir())


def test_the_stage_refuses_tokens_of_another_tokenizer(stage):
    stage["settings"] = FitLLMSettings(loop=loop(2), corpus_tokens=16)
    tokenizer = tiny_tokenizer("llama")
    tokenizer.quantizer.codebook[0] += 1
    tokenizer.save_pretrained(stage["tokenizer_dir"])
    with pytest.raises(InputError, match=f"made by tokenizer {RECORD['tokenizer']}, but this is"):
        fit.fit_llm(**stage)
    assert not list(stage["directory"].iterdir())


def test_a_trained_model_keeps_the_fingerprint_of_its_tokenizer(tiny_folder, tmp_path):
    tune(fresh(tiny_folder), tmp_path / "run", steps=1)
    model = FMRILM.from_pretrained(tmp_path / "run", base=tiny_folder("llama"))
    assert model.brain_tokenizer.fingerprint == tiny_tokenizer("llama").fingerprint


def test_the_stage_refuses_too_little_text(stage):
    stage["text_path"].write_text("Too short.")
    with pytest.raises(InputError, match="10 tokens, but at least 32 are needed"):
        fit.fit_llm(**stage)


@pytest.fixture
def plans(stage, monkeypatch):
    """Plans that the stage trains on and is scored on, and what it notes, without training."""
    found = {}
    monkeypatch.setattr(
        fit,
        "fine_tune",
        lambda model, dataset, validation, *_, **__: found.update(
            model=model, train=dataset, validation=validation
        ),
    )
    fit.fit_llm(**stage, note=lambda **facts: found.update(facts))
    return found


def test_the_stage_learns_from_training_scans_and_is_scored_on_validation_scans_alone(plans):
    assert set(plans["train"].windows.by_scan) == {"s1"}
    assert set(plans["validation"].windows.by_scan) == {"s2"}
    own = plans["validation"].windows.scan("s2").codes
    assert all(np.array_equal(plans["validation"][k].scan.codes, own) for k in range(2))


def test_the_stage_notes_what_it_does_not_show(plans):
    assert (plans["windows"], plans["windows_left_out"]) == (2, 0)
    assert plans["caption_sentences"] == len(SENTENCES["s1"])
    assert plans["caption_sentences_left_out"] == 0


def test_a_bound_on_the_windows_is_kept_with_the_model(stage):
    stage["settings"] = FitLLMSettings(
        loop=loop(1), corpus_tokens=16, validation_examples=1, max_windows=1
    )
    notes = {}
    fit.fit_llm(**stage, note=notes.update)
    assert notes["windows_left_out"] == 1
    model = FMRILM.from_pretrained(stage["directory"], base=stage["language_model"])
    assert model.max_windows == 1


def test_the_stage_refuses_scans_longer_than_the_bases_positions(stage, tmp_path):
    n_windows = 256 // N_STEPS
    write_tokens(tmp_path / "long", train=["s1"] * n_windows, validation=["s2"])
    stage["tokens_dir"] = tmp_path / "long"
    with pytest.raises(InputError, match=r"language model has 256; lower .* max_windows"):
        fit.fit_llm(**stage)
    assert not list(stage["directory"].iterdir())
