"""What `fmri ask` says beside the probabilities."""

import json
from pathlib import Path

import pytest

from fmri_cli.ask import expected_numbers
from fmri_instruct.answers.ask import Answer
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
