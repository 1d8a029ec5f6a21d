"""Table of the scores of a model and of the baselines on one task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fmri_instruct.evaluation.answer_table import METRICS, AnswerTable, ScanAnswer
from fmri_instruct.evaluation.comparisons import compare_all
from fmri_instruct.evaluation.intervals import SubjectBootstrap
from fmri_instruct.evaluation.metrics import UNPARSED, why_no_auc
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks.definitions import Task


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
    baseline : bool
        Whether the model is compared with it.
    """

    name: str
    answers: Sequence[ScanAnswer]
    note: str | None = None
    baseline: bool = False


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
        ``candidates``, ``caveat``, ``n_scans``, ``n_subjects``, ``rows`` and ``comparisons`` (the
        model in each paradigm against each baseline).
    """
    answered = [method for method in methods if method.answers]
    scans = {answer.scan_id: answer.subject for method in answered for answer in method.answers}
    bootstrap = SubjectBootstrap(
        list(scans.values()), resamples=settings.resamples, level=settings.level, seed=seed
    )
    tables = {m.name: AnswerTable.of(m.answers, task.candidates) for m in answered}
    compared = compare_all(
        {m.name: tables[m.name] for m in answered if not m.baseline},
        {m.name: tables[m.name] for m in answered if m.baseline},
        bootstrap,
        seed,
    )
    return {
        "title": task.title,
        "candidates": list(task.candidates),
        "caveat": task.caveat,
        "n_scans": len(scans),
        "n_subjects": len(set(scans.values())),
        "rows": [_row(task, method, tables[method.name], bootstrap) for method in answered],
        "comparisons": [comparison.to_dict() for comparison in compared],
    }


def _row(
    task: Task, method: Method, table: AnswerTable, bootstrap: SubjectBootstrap
) -> dict[str, Any]:
    found = {metric: table.interval(metric, bootstrap) for metric in METRICS}
    why_none = why_no_auc(table.truth, task.candidates)
    if table.probabilities is None:
        why_none = "free text gives no probabilities"
    return {
        "method": method.name,
        "note": method.note,
        **{name: score and score.to_dict() for name, score in found.items()},
        "auc_note": why_none,
        "unparsed": int(np.sum(table.given == UNPARSED)),
    }
