"""A real process is killed at some step; the resumed run ends with the same bits."""

import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

SCRIPT = """
import json, os, signal, sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
import loop_run
from fmri_vqtok.config.stages import LoopSettings

def progress(done, total):
    if done == int(sys.argv[5]):
        os.kill(os.getpid(), signal.SIGKILL)

torch.set_num_threads(1)
loop_run.run(sys.argv[2], Path(sys.argv[3]), LoopSettings(**json.loads(sys.argv[4])), progress)
"""


pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_run_killed_at_any_step_resumes_to_the_same_bits(tmp_path, loop_run):
    kind = "vq-ema"
    # An interval is open at each checkpoint, and the last one before the kill lies some steps back.
    settings = loop_run.loop(
        steps=11, checkpoint_every=3, evaluate_every=2, log_every=4, accumulation_steps=2,
        patience=4, learning_rate=0.05,
    )  # fmt: skip
    whole, part = tmp_path / "whole", tmp_path / "part"
    whole.mkdir(), part.mkdir()
    expected, records = loop_run.run(kind, whole, settings)
    last = max(record.step for record in records)
    stops = int(np.random.default_rng().integers(1, last + 1))
    folder = Path(loop_run.__file__).parent
    arguments = [folder, kind, part, json.dumps(asdict(settings)), stops]
    command = [sys.executable, "-c", SCRIPT, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    resumed, again = loop_run.run(kind, part, settings)
    assert again == records, f"killed after step {stops}"
    for name, value in expected.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), f"{name}, killed after {stops}"
    _assert_same_checkpoint(whole, part, last)


def _assert_same_checkpoint(whole, part, step):
    """Weights, moments, rates and random states behind the last step are the same, bit by bit."""
    one, other = (folder / "checkpoints" / f"checkpoint-{step}" for folder in (whole, part))
    files = ("model.safetensors", "scheduler.bin", "random_states_0.pkl", "training_log.json")
    for name in files:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    moments = [torch.load(folder / "optimizer.bin")["state"] for folder in (one, other)]
    for key, values in moments[0].items():
        assert all(torch.equal(value, moments[1][key][name]) for name, value in values.items())


def test_a_run_that_stopped_early_has_its_best_weights_and_stays_stopped(tmp_path, loop_run):
    settings = loop_run.loop(steps=40, evaluate_every=1, patience=2, learning_rate=0.3)
    objective, records = loop_run.run("fsq", tmp_path, settings)
    errors = {r.step: r.value for r in records if r[1:3] == ("validation", "normalised_mse")}
    best = min(errors, key=errors.get)
    last = max(errors)
    assert last == best + 2 < 40
    again = loop_run.run("fsq", tmp_path, settings)
    assert again[1] == records
    saved = load_file(tmp_path / "checkpoints" / "best" / "model.safetensors")
    for name, value in objective.state_dict().items():
        assert torch.equal(value, saved[name])
        assert torch.equal(value, again[0].state_dict()[name])
    assert {r.step for r in records if r.split == "train"} == set(range(1, last + 1))
