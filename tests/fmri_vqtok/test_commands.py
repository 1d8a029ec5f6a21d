from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from fmri_vqtok import commands
from fmri_vqtok.errors import InputError
from fmri_vqtok.settings import FitTokenizerSettings, LoopSettings, TokenizeSettings


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
    assert tokens.summary == "21 windows of 7 scans, 3 x 6 codes each"
    assert not tokens.asked["resumable"]
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
