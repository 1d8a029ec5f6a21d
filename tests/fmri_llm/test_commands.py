"""The `fit-llm` command: cheap to import, and what it hands on."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from click.testing import CliRunner

from fmri_llm import commands
from fmri_llm.settings import FitLLMSettings
from fmri_vqtok.training.log import LossRecord


def test_importing_the_command_imports_no_heavy_library():
    program = (
        "import sys, fmri_llm, fmri_llm.commands, fmri_llm.base_model.locate\n"
        "print(sorted({'torch', 'transformers', 'peft', 'datasets', 'numpy'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_the_command_hands_its_inputs_to_the_context():
    handed = {}

    def run(work, settings_class, **inputs):
        handed.update(inputs, settings_class=settings_class)

    arguments = ["codes", "coder", "words", "--text", "books", "--language-model", "gpt2"]
    result = CliRunner().invoke(commands.fit_llm, arguments, obj=SimpleNamespace(run=run))
    assert result.exit_code == 0, result.output
    assert handed == {
        "settings_class": FitLLMSettings,
        "resumable": True,
        "tokens": Path("codes"),
        "tokenizer": Path("coder"),
        "descriptors": Path("words"),
        "text": Path("books"),
        "language_model": "gpt2",
    }


TRAINING = [LossRecord(1, "train", "f2t", 3.0), LossRecord(2, "train", "f2t", 2.0)]


def test_the_summary_has_the_last_losses_on_held_out_scans():
    held_out = [LossRecord(2, "validation", "f2t", 2.5)]
    assert commands.summary([*TRAINING, *held_out]) == "validation losses in nats: f2t 2.50"


def test_without_held_out_scans_the_summary_has_the_last_training_losses():
    assert commands.summary(TRAINING) == "train losses in nats: f2t 2.00"
