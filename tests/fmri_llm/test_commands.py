"""The `fit-llm` command: cheap to import, and what it hands on."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from click.testing import CliRunner

from fmri_llm import commands, training
from fmri_llm.settings import FitLLMSettings
from fmri_vqtok.training_loop import LossRecord


def test_importing_the_command_imports_no_heavy_library():
    program = (
        "import sys, fmri_llm, fmri_llm.commands, fmri_llm.base_models\n"
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


def test_the_stage_says_its_last_losses_in_one_line(monkeypatch):
    asked = {}

    def fit_llm(*_, **kwargs):
        asked.update(kwargs)
        return [
            LossRecord(1, "train", "f2t", 3.0),
            LossRecord(2, "train", "f2t", 2.0),
            LossRecord(2, "validation", "f2t", 2.5),
        ]

    monkeypatch.setattr(training, "fit_llm", fit_llm)
    notes = {}
    stage = SimpleNamespace(
        directory=Path("out"),
        settings=FitLLMSettings(),
        seed=4,
        progress=None,
        device="cpu",
        note=lambda **facts: notes.update(facts),
        language_model=lambda name: Path("folder-of") / name,
    )
    inputs = [Path(name) for name in ("tokens", "tokenizer", "descriptors", "text")]
    line = commands._fit_llm(stage, *inputs, "gpt2")
    assert line == "gpt2: train f2t 2.000, validation f2t 2.500"
    assert asked["language_model"] == Path("folder-of/gpt2")
    assert asked["language_model_name"] == "gpt2"
    assert notes == {"attention": "sdpa", "dtype": "float32"}
