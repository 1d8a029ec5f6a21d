"""The package as a user meets it: README, commands, what an import costs."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fmri_instruct import commands
from fmri_instruct.answers.corrections import Corrections
from fmri_instruct.settings import EvaluateSettings, MakeInstructionsSettings, TuneSettings
from fmri_instruct.tasks.ready import DEMO
from fmri_vqtok.config.stages import LoopSettings
from fmri_vqtok.formats.tokens import TokenTable


def run_python(code):
    return subprocess.run(  # a fresh interpreter, so that nothing is imported already
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )


def test_the_readme_example_runs(repository):
    readme = (repository / "packages" / "fmri-instruct" / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)

    done = run_python(example)

    assert done.returncode == 0, done.stderr


def test_the_readmes_tasks_file_is_one_that_can_be_loaded(repository, tmp_path):
    from fmri_instruct.tasks.definitions import load_tasks

    readme = (repository / "packages" / "fmri-instruct" / "README.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", readme, flags=re.DOTALL)
    (tmp_path / "tasks.yaml").write_text(example)

    assert [task.name for task in load_tasks(tmp_path / "tasks.yaml")] == [
        "sex",
        "efficiency",
        "age",
    ]


def test_importing_the_commands_is_cheap():
    heavy = "{'torch', 'transformers', 'sklearn', 'pandas', 'numpy', 'datasets', 'scipy'}"

    done = run_python(
        "import fmri_instruct.commands, fmri_instruct.settings, sys\n"
        f"print(sorted({heavy} & set(sys.modules)))"
    )

    assert done.stdout.strip() == "[]", done.stderr


@dataclass
class Stage:
    """What the command line hands to a stage's work."""

    directory: Path
    settings: Any
    seed: int = 0
    device: str = "cpu"
    done: list[tuple[int, int]] = field(default_factory=list)
    noted: dict[str, Any] = field(default_factory=dict)

    def progress(self, done, total):
        self.done.append((done, total))

    def note(self, **facts):
        self.noted.update(facts)


@dataclass
class Context:
    """A command line that runs a stage at once, into the folder it is given."""

    directory: Path
    settings: Any
    called: dict[str, Any] = field(default_factory=dict)
    summary: str = ""

    def run(self, work, settings_class, **inputs):
        assert isinstance(self.settings, settings_class)
        inputs.pop("resumable", None)
        self.called = inputs
        self.summary = work(Stage(self.directory, self.settings), **inputs)


def invoke(command, directory, settings, *arguments):
    directory.mkdir()
    context = Context(directory, settings)
    result = CliRunner().invoke(command, list(map(str, arguments)), obj=context)
    if result.exception:
        raise result.exception
    assert "\n" not in context.summary
    return context


def test_the_three_commands_make_scores_from_a_cohort(
    cohort_dir, descriptors_dir, tokens_dir, model_dir, tmp_path
):
    made, tuned, scored = (tmp_path / name for name in ("made", "tuned", "scored"))
    loop = LoopSettings(steps=2, batch_size=1, checkpoint_every=2, evaluate_every=2, log_every=1)

    first = invoke(
        commands.make_instructions,
        made,
        MakeInstructionsSettings(variants=1),
        cohort_dir,
        descriptors_dir,
    )
    second = invoke(commands.tune, tuned, TuneSettings(loop=loop), model_dir, tokens_dir, made)
    third = invoke(
        commands.evaluate,
        scored,
        EvaluateSettings(max_new_tokens=2, resamples=5),
        tuned,
        tokens_dir,
        made,
        cohort_dir,
    )

    assert first.called["tasks"] == DEMO
    assert first.summary.startswith("3 tasks; conversations: 30 train")
    assert "train loss" in second.summary
    assert third.summary.startswith("accuracy of model / majority class / connectome: age_group")
    answers = [json.loads(line) for line in (scored / "answers.jsonl").read_text().splitlines()]
    held_out = TokenTable.read(tokens_dir, "test").scan_ids
    assert {answer["scan_id"] for answer in answers} == set(held_out)
    assert set(answers[0]) == {
        "scan_id", "subject", "task", "paradigm", "truth", "answer", "probabilities", "text",
        "first_named", "by_wording", "number", "true_number",
    }  # fmt: skip
    predictions = (scored / "predictions.jsonl").read_text().splitlines()
    # A question with k answers is asked k times in each of four wordings, alone and with others.
    assert len(predictions) == len(held_out) * 2 * 4 * (2 + 3 + 3)
    assert Corrections.read(scored).wordings == 4


def test_tasks_that_a_cohort_lacks_are_named_in_the_summary(cohort_dir, descriptors_dir, tmp_path):
    path = tmp_path / "tasks.yaml"
    path.write_text(
        "tasks:\n"
        "  age: {title: age group, answers: [younger, older], label: {phenotype: age_group}}\n"
        "  sex: {title: sex, answers: [a, b], label: {phenotype: SEX}, optional: true}\n"
    )
    made = invoke(
        commands.make_instructions,
        tmp_path / "made",
        MakeInstructionsSettings(variants=1),
        cohort_dir,
        descriptors_dir,
        "--tasks",
        path,
    )
    assert made.summary.startswith("1 task (not in this cohort: sex); conversations: ")


@pytest.mark.parametrize("name", ["make-instructions", "tune", "evaluate"])
def test_every_command_says_what_it_does(name):
    command = getattr(commands, name.replace("-", "_"))

    help_text = CliRunner().invoke(command, ["--help"]).output

    assert len(command.help.splitlines()[0]) > 20
    assert "COHORT" in help_text or "TOKENS" in help_text
