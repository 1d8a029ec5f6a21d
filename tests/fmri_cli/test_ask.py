"""What `fmri ask` says beside the probabilities."""

import json
from pathlib import Path

import click
import pytest

from fmri_cli.ask import evaluated_corrections, expected_numbers
from fmri_cli.run.records import Request, read_record, write_record
from fmri_instruct.answers.ask import Answer
from fmri_instruct.answers.corrections import Correction, Corrections
from fmri_instruct.tasks.definitions import read_task


@pytest.mark.parametrize(
    ("kind", "lines"), [("continuous", ["Expected age: 42.5 years"]), ("ordinal", [])]
)
def test_a_continuous_task_is_answered_with_its_expected_number_too(
    tmp_path: Path, kind: str, lines: list[str]
) -> None:
    task = read_task(
        {
            "name": "age", "title": "age", "kind": kind, "answers": ["young", "old"],
            "unit": "years", "questions": ["Which age?"], "statements": ["It is {answer}."],
            "label": {
                "phenotype": "age", "bins": {"edges": [50]},
                "fitted": {"edges": [50], "bin_means": [30, 80], "mean": 50, "n_subjects": 9},
            },
        },
        "tasks.json",
    )  # fmt: skip
    (tmp_path / "instructions").mkdir()
    (tmp_path / "instructions" / "tasks.json").write_text(
        json.dumps({"schema": 1, "tasks": [task.model_dump(mode="json")]})
    )
    answer = Answer(
        question="Which age?", task="age", probabilities={"old": 0.25, "young": 0.75}, text="young"
    )
    assert list(expected_numbers(tmp_path, answer)) == lines


def sealed(directory: Path, command: str, **inputs: str) -> str:
    """Make a stage whole and return its digest."""
    request = Request(command=command, settings={}, seed=0, packages={}, inputs=inputs)
    write_record(directory, request, {})
    record = read_record(directory)
    assert record is not None
    return str(record["digest"])


@pytest.fixture
def evaluated(tmp_path: Path) -> Path:
    """A run with a tuned model, and with its evaluation's corrections."""
    for name in ("tuned-model", "evaluation"):
        (tmp_path / name).mkdir()
    (tmp_path / "tuned-model" / "weights").write_text("one")
    digest = sealed(tmp_path / "tuned-model", "tune")
    correction = Correction(prior={"old": 0.5, "young": 0.0}, n_prior=9)
    Corrections(wordings=2, by_task={"age": {"single": correction}}).write(tmp_path / "evaluation")
    sealed(tmp_path / "evaluation", "evaluate", model=digest)
    return tmp_path


def test_answers_are_corrected_as_the_evaluation_of_the_same_model_corrected_them(
    evaluated: Path,
) -> None:
    found = evaluated_corrections(evaluated)
    assert found == Corrections.read(evaluated / "evaluation")
    assert found.of("age", "single").prior["old"] == 0.5


def test_corrections_of_another_model_are_not_used(evaluated: Path) -> None:
    (evaluated / "tuned-model" / "weights").write_text("two")
    sealed(evaluated / "tuned-model", "tune")
    assert evaluated_corrections(evaluated) is None


def test_changed_corrections_are_refused(evaluated: Path) -> None:
    (evaluated / "evaluation" / "corrections.json").write_text("{}")
    with pytest.raises(click.ClickException, match=r"corrections\.json: was changed since"):
        evaluated_corrections(evaluated)
