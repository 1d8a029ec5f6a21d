"""Table of the scores of a model and of the baselines on one task."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fmri_instruct.scoring.answer_table import AnswerTable, ScanAnswer
from fmri_instruct.scoring.comparisons import Comparison, Table, compare_all
from fmri_instruct.scoring.intervals import SubjectBootstrap
from fmri_instruct.scoring.metrics import UNPARSED, why_no_auc
from fmri_instruct.scoring.number_table import NumberTable
from fmri_instruct.scoring.wording_spread import wording_spread
from fmri_instruct.settings import EvaluateFoldsSettings, EvaluateSettings
from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.kinds import (
    CALIBRATION_METRICS,
    CLASS_METRICS,
    NUMBER_METRICS,
    Kind,
    metrics_of,
)


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


@dataclass(frozen=True, kw_only=True)
class TaskFacts:
    """What a score table says of a task.

    Parameters
    ----------
    title, kind, metric : str
        Name in running text, one of `fmri_instruct.tasks.kinds.KINDS`, main score.
    unit, caveat : str or None
        Unit of a number; what a reader of the scores must know.
    candidates : tuple of str
        Possible answers.
    """

    title: str
    kind: Kind
    metric: str
    unit: str | None
    caveat: str | None
    candidates: tuple[str, ...]


def score_task(
    task: Task | TaskFacts,
    methods: Sequence[Method],
    settings: EvaluateSettings | EvaluateFoldsSettings,
    seed: int,
) -> dict[str, Any]:
    """Scores of every method on one task, as ``scores.json`` holds them.

    Parameters
    ----------
    task : Task or TaskFacts
        What was asked.
    methods : sequence of Method
        Model and baselines; methods without an answer are left out.
    settings : EvaluateSettings or EvaluateFoldsSettings
        Bootstrap resamples and level.
    seed : int
        Seed of the resamples; all methods are scored on the same ones.

    Returns
    -------
    dict
        ``title``, ``kind``, ``metric`` (the main score), ``unit``, ``candidates``, ``caveat``,
        ``n_scans``, ``n_subjects``, ``rows`` and ``comparisons`` (the model in each paradigm
        against each baseline).
    """
    answered = [method for method in methods if method.answers]
    scans = {answer.scan_id: answer.subject for method in answered for answer in method.answers}
    bootstrap = SubjectBootstrap(
        list(scans.values()), resamples=settings.resamples, level=settings.level, seed=seed
    )
    chosen = {m.name: AnswerTable.of(m.answers, task.candidates) for m in answered}
    tables = [(m.name, NumberTable.of(m.answers)) for m in answered if task.kind == "continuous"]
    numbers = {name: table for name, table in tables if table is not None}
    of_classes = tuple(metric for metric in CLASS_METRICS if metric in metrics_of(task.kind))
    compared = [
        *_compare(answered, numbers, bootstrap, seed, NUMBER_METRICS),
        *_compare(answered, chosen, bootstrap, seed, of_classes),
    ]
    return {
        "title": task.title,
        "kind": task.kind,
        "metric": task.metric,
        "unit": task.unit,
        "candidates": list(task.candidates),
        "caveat": task.caveat,
        "n_scans": len(scans),
        "n_subjects": len(set(scans.values())),
        "rows": [
            _row(task, method, chosen[method.name], numbers.get(method.name), bootstrap)
            for method in answered
        ],
        "comparisons": [comparison.to_dict() for comparison in compared],
    }


def _compare(
    methods: Sequence[Method],
    tables: Mapping[str, Table],
    bootstrap: SubjectBootstrap,
    seed: int,
    metrics: Sequence[str],
) -> list[Comparison]:
    """Each method that has a table against each baseline that has one."""
    known = [method for method in methods if method.name in tables]
    return compare_all(
        {m.name: tables[m.name] for m in known if not m.baseline},
        {m.name: tables[m.name] for m in known if m.baseline},
        bootstrap,
        seed,
        metrics,
    )


def _row(
    task: Task | TaskFacts,
    method: Method,
    chosen: AnswerTable,
    numbers: NumberTable | None,
    bootstrap: SubjectBootstrap,
) -> dict[str, Any]:
    calibration = () if task.kind == "continuous" else CALIBRATION_METRICS
    found = {
        metric: numbers and numbers.interval(metric, bootstrap)
        if metric in NUMBER_METRICS
        else chosen.interval(metric, bootstrap)
        for metric in (*metrics_of(task.kind), *calibration)
    }
    reason = "number_note" if task.kind == "continuous" else "auc_note"
    return {
        "method": method.name,
        "note": method.note,
        **{name: score and score.to_dict() for name, score in found.items()},
        reason: _why_undefined(task, chosen, numbers),
        "unparsed": int(np.sum(chosen.given == UNPARSED)),
        "confusion": chosen.confusion(len(task.candidates)).tolist(),
        "reliability": [asdict(each) for each in chosen.reliability()],
        "wordings": _wordings(task, method),
    }


def _wordings(task: Task | TaskFacts, method: Method) -> dict[str, Any] | None:
    """Spread over wordings, which only answers of one run have."""
    if method.baseline or isinstance(task, TaskFacts):
        return None
    return wording_spread(task, method.answers)


def _why_undefined(
    task: Task | TaskFacts, chosen: AnswerTable, numbers: NumberTable | None
) -> str | None:
    """Reason why an AUC, or a score of numbers, is undefined."""
    if task.kind != "continuous":
        if chosen.probabilities is None:
            return "free text gives no probabilities"
        return why_no_auc(chosen.truth, task.candidates)
    if numbers is None:
        return "free text gives no probabilities, and so no expected value"
    for values, whose in ((numbers.truth, "true"), (numbers.given, "predicted")):
        if np.ptp(values) == 0:
            return f"the {whose} number is the same for every scan"
    return None
