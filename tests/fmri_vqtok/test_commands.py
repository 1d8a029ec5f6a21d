import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from fmri_cli.main import main
from fmri_vqtok import commands
from fmri_vqtok.config.stages import FitTokenizerSettings, LoopSettings, TokenizeSettings
from fmri_vqtok.errors import InputError
from fmri_vqtok.training.log import read_losses


class Context:
    """Runs the work at once, as the command line would, and keeps what it was asked."""

    def __init__(self, directory, settings):
        self.directory, self.settings, self.asked, self.summary = directory, settings, {}, None
        self.notes = {}

    def run(self, work, settings_class, *, resumable=False, **inputs):
        assert isinstance(self.settings, settings_class)
        self.asked = {"resumable": resumable, **inputs}
        stage = SimpleNamespace(
            directory=self.directory,
            settings=self.settings,
            seed=0,
            device="cpu",
            progress=lambda done, total: None,
            note=self.notes.update,
            language_model=Path,
        )
        self.summary = work(stage, **inputs)


def invoke(command, arguments, context):
    return CliRunner().invoke(
        command, [str(a) for a in arguments], obj=context, catch_exceptions=False
    )


def test_a_cohort_becomes_a_tokenizer_and_the_tokenizer_its_tokens(tmp_path, cohort_dir):
    for name in ("tokenizer", "tokens"):
        (tmp_path / name).mkdir()
    loop = LoopSettings(steps=1, batch_size=2)
    settings = FitTokenizerSettings(n_frames=48, patch_frames=16, n_codes=32, training=loop)
    fit = Context(tmp_path / "tokenizer", settings)
    assert invoke(commands.fit_tokenizer, [cohort_dir], fit).exit_code == 0
    assert fit.asked["resumable"]
    tokens = Context(tmp_path / "tokens", TokenizeSettings())
    invoke(commands.tokenize, [cohort_dir, tmp_path / "tokenizer"], tokens)
    assert tokens.summary == "28 windows of 7 scans, 3 x 6 codes each"
    assert tokens.asked["resumable"]
    assert fit.notes["nearest_code"] == tokens.notes["nearest_code"] == "torch"


@pytest.mark.parametrize(("given", "kind"), [("hf:owner/name", str), ("folder/corpus.txt", Path)])
def test_the_text_is_a_path_or_the_name_of_a_data_set_on_the_hub(tmp_path, given, kind):
    context = Context(tmp_path, FitTokenizerSettings())
    with pytest.raises(InputError, match="give all three"):
        invoke(commands.fit_tokenizer, ["cohort", "--text", given], context)
    assert context.asked["text"] == kind(given)
    assert isinstance(context.asked["text"], kind)


def test_a_part_of_the_text_options_is_refused(tmp_path, cohort_dir):
    context = Context(tmp_path, FitTokenizerSettings())
    with pytest.raises(InputError, match=r"--text None.* give all three"):
        invoke(commands.fit_tokenizer, [cohort_dir, "--descriptors", tmp_path], context)


RECIPE = """
seed: 3
fit-tokenizer:
  n_frames: 48
  patch_frames: 16
  n_codes: 32
  training: {steps: 4, batch_size: 4, log_every: 1}
tokenize: {n_jobs: 1}
"""


def test_the_real_commands_read_a_recipe_and_settings_on_top_of_it(tmp_path, cohort_dir, capsys):
    recipe, run = tmp_path / "recipe.yaml", tmp_path / "run"
    recipe.write_text(RECIPE)
    shared = ["--config", recipe, "--device", "cpu"]
    sets = ["training.steps=2", "training.accumulation_steps=2", "quantizer=fsq", "n_codes=16"]
    sets = [word for each in [*sets, "fsq.levels=[4, 4]"] for word in ("--set", each)]
    assert fmri("fit-tokenizer", cohort_dir, "--out", run / "tokenizer", *shared, *sets) == 0
    settings = json.loads((run / "tokenizer" / "record.json").read_text())["settings"]
    assert (settings["n_frames"], settings["n_codes"]) == (48, 16)
    assert settings["training"]["steps"] == settings["training"]["accumulation_steps"] == 2
    assert {r.step for r in read_losses(run / "tokenizer" / "losses.csv")} == {1, 2}
    assert not (run / "tokenizer" / "checkpoints").exists()
    arguments = [cohort_dir, run / "tokenizer", "--out", run / "tokens", *shared]
    assert fmri("tokenize", *arguments, "--set", "shard_scans=2") == 0
    assert json.loads((run / "tokens" / "tokens.json").read_text())["n_codes"] == 16
    assert "28 windows of 7 scans" in capsys.readouterr().out


def test_the_command_refuses_an_impossible_setting_in_one_line(tmp_path, cohort_dir, capsys):
    out = ["--out", tmp_path / "run" / "tokenizer"]
    assert fmri("fit-tokenizer", cohort_dir, *out, "--set", "training.accumulation_steps=3") == 1
    assert "training.accumulation_steps: 3; give a divisor of batch_size, 32" in (
        capsys.readouterr().err
    )


def fmri(*words):
    return main([str(word) for word in words])
