"""One end-to-end run on real scans, shared by all tests of this folder."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

RECIPE = Path(__file__).with_name("fast.yaml")
LAYERS = 2


@pytest.fixture(scope="session")
def small_model(smollm2, tmp_path_factory):
    """Folder of SmolLM2 cut down to its first layers: real weights and words, little to compute."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("model") / "smollm2-first-layers"
    whole = AutoModelForCausalLM.from_pretrained(smollm2)
    config = AutoConfig.from_pretrained(smollm2, num_hidden_layers=LAYERS)
    small = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    weights = whole.state_dict()
    small.load_state_dict({name: weights[name] for name in small.state_dict()})
    small.save_pretrained(folder)
    AutoTokenizer.from_pretrained(smollm2).save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class Pipeline:
    """`fmri run-all` with the fast recipe."""

    model: Path

    def arguments(self, out: Path, *more: str) -> list[str]:
        language_model = f"language_model={self.model}"
        return ["run-all", str(RECIPE), "--out", str(out), "--set", language_model, *more]

    def start(self, out: Path, *more: str) -> subprocess.Popen:
        """Start a run in a process of its own, as a user would."""
        command = [sys.executable, "-m", "fmri_cli.main", *self.arguments(out, *more)]
        # One thread: several test processes on two cores would wait for each other.
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )


@pytest.fixture(scope="session")
def pipeline(small_model):
    return Pipeline(small_model)


@dataclass(frozen=True)
class Finished:
    """A finished run and what it printed."""

    directory: Path
    output: str
    errors: str


@pytest.fixture(scope="session")
def finished(pipeline, tmp_path_factory):
    """A run that was never disturbed. Tests must not write to it."""
    directory = tmp_path_factory.mktemp("runs") / "whole"
    with pipeline.start(directory) as process:
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    return Finished(directory, output, errors)
