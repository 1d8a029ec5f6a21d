"""How much scores and answers depend on the wording of the question."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fmri_instruct.answers.probabilities import most_probable
from fmri_instruct.scoring.answer_table import AnswerTable, ScanAnswer
from fmri_instruct.scoring.number_metrics import expected_value
from fmri_instruct.scoring.number_table import NumberTable
from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.kinds import NUMBER_METRICS, metrics_of
from fmri_instruct.tasks.labels import fitted_bins

__all__ = ["wording_spread"]


def wording_spread(task: Task, answers: Sequence[ScanAnswer]) -> dict[str, Any] | None:
    """Scores of each wording by itself, and how often all lead to the same answer.

    Parameters
    ----------
    task : Task
        What was asked.
    answers : sequence of ScanAnswer
        Of one method.

    Returns
    -------
    dict or None
        ``n`` (wordings), ``same_answer`` (share of scans that get the same answer in all of them)
        and ``scores``: by metric the score of each wording. None where there are fewer than two.
    """
    n_wordings = min((len(answer.by_wording or ()) for answer in answers), default=0)
    if n_wordings < 2:
        return None
    alone = [[_in_wording(task, a, k) for a in answers] for k in range(n_wordings)]
    given = np.array([[answer.answer for answer in each] for each in alone])
    return {
        "n": n_wordings,
        "same_answer": float(np.mean((given == given[0]).all(axis=0))),
        "scores": {m: [_score(task, each, m) for each in alone] for m in metrics_of(task.kind)},
    }


def _in_wording(task: Task, answer: ScanAnswer, wording: int) -> ScanAnswer:
    """Return what the answer would be if only this wording had been asked."""
    odds = (answer.by_wording or [])[wording]
    number = None
    if answer.number is not None:
        number = expected_value(odds, task.candidates, fitted_bins(task).bin_means)
    return replace(answer, probabilities=odds, answer=most_probable(odds), number=number)


def _score(task: Task, answers: Sequence[ScanAnswer], metric: str) -> float | None:
    if metric in NUMBER_METRICS:
        numbers = NumberTable.of(answers)
        return None if numbers is None else numbers.score(metric, np.arange(len(answers)))
    return AnswerTable.of(answers, task.candidates).score(metric, np.arange(len(answers)))
