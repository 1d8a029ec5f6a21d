"""From single answers to the table of scores, each beside its baselines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmri_instruct.metrics import (
    UNPARSED,
    Interval,
    accuracy,
    auc,
    balanced_accuracy,
    bootstrap_interval,
    why_no_auc,
)
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks import Task


@dataclass(frozen=True, kw_only=True)
class ScanAnswer:
    """One method's answer to one task about one scan.

    Parameters
    ----------
    scan_id, subject : str
        Who was scanned.
    task : str
        Task name.
    paradigm : str or None
        ``single``, ``multi`` or ``open``; None for a baseline, which reads no prompt.
    truth : str
        The true answer.
    answer : str or None
        The given answer; None if the text could not be parsed.
    probabilities : dict of str to float, or None
        By candidate; None where the answer was read from free text.
    text : str or None
        The generated text, where there is one.
    """

    scan_id: str
    subject: str
    task: str
    paradigm: str | None
    truth: str
    answer: str | None
    probabilities: dict[str, float] | None
    text: str | None = None


@dataclass(frozen=True, kw_only=True)
class Method:
    """All answers of one method to one task.

    Parameters
    ----------
    name : str
        As the table calls it.
    answers : sequence of ScanAnswer
        One per held-out scan that has a label.
    note : str or None
        How the method was set up, where a reader has to know.
    """

    name: str
    answers: Sequence[ScanAnswer]
    note: str | None = None


def score_task(
    task: Task, methods: Sequence[Method], settings: EvaluateSettings, seed: int
) -> dict[str, Any]:
    """Scores of every method on one task, as ``scores.json`` holds them.

    Parameters
    ----------
    task : Task
        What was asked.
    methods : sequence of Method
        Model and baselines; methods without an answer are left out.
    settings : EvaluateSettings
        Bootstrap resamples and level.
    seed : int
        Seed of the resamples; all methods are scored on the same ones.

    Returns
    -------
    dict
        ``candidates``, ``caveat``, ``n_scans``, ``n_subjects`` and ``rows``.
    """
    answered = [method for method in methods if method.answers]
    scans = {answer.scan_id: answer.subject for method in answered for answer in method.answers}
    return {
        "title": task.title,
        "candidates": list(task.candidates),
        "caveat": task.caveat,
        "n_scans": len(scans),
        "n_subjects": len(set(scans.values())),
        "rows": [_row(task, method, settings, seed) for method in answered],
    }


def most_probable(probabilities: Mapping[str, float]) -> str:
    """Candidate with the highest probability; of equals, the first.

    Parameters
    ----------
    probabilities : mapping of str to float
        By candidate.

    Returns
    -------
    str
    """
    return max(probabilities, key=lambda candidate: probabilities[candidate])


def _row(task: Task, method: Method, settings: EvaluateSettings, seed: int) -> dict[str, Any]:
    number: dict[str | None, int] = {answer: k for k, answer in enumerate(task.candidates)}
    truth = np.array([number[answer.truth] for answer in method.answers])
    given = np.array([number.get(answer.answer, UNPARSED) for answer in method.answers])
    subjects = [answer.subject for answer in method.answers]

    def interval(statistic: Any) -> Interval | None:
        return bootstrap_interval(
            statistic, subjects, resamples=settings.resamples, level=settings.level, seed=seed
        )

    area, why_none = None, why_no_auc(truth, task.candidates)
    probabilities = _probabilities(task, method.answers)
    if probabilities is None:
        why_none = "free text gives no probabilities"
    else:
        area = interval(lambda rows: auc(truth[rows], probabilities[rows]))
    return {
        "method": method.name,
        "note": method.note,
        "accuracy": _to_dict(interval(lambda rows: accuracy(truth[rows], given[rows]))),
        "balanced_accuracy": _to_dict(
            interval(lambda rows: balanced_accuracy(truth[rows], given[rows]))
        ),
        "auc": _to_dict(area),
        "auc_note": why_none,
        "unparsed": int(np.sum(given == UNPARSED)),
    }


def _probabilities(task: Task, answers: Sequence[ScanAnswer]) -> NDArray[np.float64] | None:
    rows = [answer.probabilities for answer in answers]
    known = [row for row in rows if row is not None]
    if len(known) < len(rows):
        return None
    return np.array([[row[candidate] for candidate in task.candidates] for row in known])


def _to_dict(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else interval.to_dict()
