"""Pairs of held-out people: how often a method says rightly which of two is higher."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmri_instruct.answers.compare import chance_of_higher
from fmri_instruct.scoring.answer_table import ScanAnswer
from fmri_instruct.scoring.intervals import (
    FEW_SUBJECTS,
    Interval,
    SubjectBootstrap,
    clopper_pearson,
)
from fmri_instruct.scoring.scores import Method
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks.definitions import Task

__all__ = ["ScoredPairs", "score_pairs"]

ORDERED = ("ordinal", "continuous")
"""Kinds of tasks whose answers go from low to high."""

_DRAWS = 20  # pairs that are drawn for each that is wanted; equal people and answers are dropped


@dataclass(frozen=True, kw_only=True)
class ScoredPairs:
    """Pairs of scans of different people, and what each method says of them.

    Parameters
    ----------
    scores : dict
        ``n_pairs``, ``n_subjects`` and ``rows``, each with ``method`` and ``accuracy``.
    predictions : list of dict
        One of each pair and method: ``task``, ``method``, ``first``, ``second`` (scan ids),
        ``higher`` (which truly is) and ``probability`` that the first is the higher one.
    """

    scores: dict[str, Any]
    predictions: list[dict[str, Any]]


def score_pairs(
    task: Task, methods: Sequence[Method], settings: EvaluateSettings, seed: int
) -> ScoredPairs | None:
    """Share of pairs that each method puts into the right order.

    Parameters
    ----------
    task : Task
        What was asked.
    methods : sequence of Method
        With answers about each scan by itself. Those without probabilities or numbers are left out.
    settings : EvaluateSettings
        Most pairs, resamples and level.
    seed : int
        Of the pairs and of the resamples.

    Returns
    -------
    ScoredPairs or None
        None where the answers have no order, or no two people differ.

    Notes
    -----
    Over all pairs this is the concordance index, and with two true answers the AUC. Equal answers
    count as half right. Intervals resample subjects, and a pair counts as often as both of its
    subjects were drawn; of few subjects they are exact for as many pairs as have no subject in
    common.
    """
    usable = {m.name: a for m in methods if task.kind in ORDERED and (a := _by_scan(m))}
    if not usable:
        return None
    shared = sorted(set.intersection(*(set(each) for each in usable.values())))
    answers = [next(iter(usable.values()))[scan_id] for scan_id in shared]
    first, second = _draw(task, answers, settings.pairs, seed)
    if not len(first):
        return None
    is_first = _truth(task, answers)[first] > _truth(task, answers)[second]
    rows, predictions = [], []
    for name, by_scan in usable.items():
        given = [by_scan[scan_id] for scan_id in shared]
        chances = _chances(task, given, first, second)
        right = np.where(chances == 0.5, 0.5, (chances > 0.5) == is_first)
        found = _interval(right, first, second, [a.subject for a in answers], settings, seed)
        rows.append({"method": name, "accuracy": found and found.to_dict()})
        predictions += [
            {
                "task": task.name,
                "method": name,
                "first": shared[i],
                "second": shared[j],
                "higher": "first" if higher else "second",
                "probability": float(chance),
            }
            for i, j, higher, chance in zip(first, second, is_first, chances, strict=True)
        ]
    subjects = {answers[k].subject for k in (*first, *second)}
    scores = {"n_pairs": len(first), "n_subjects": len(subjects), "rows": rows}
    return ScoredPairs(scores=scores, predictions=predictions)


def _by_scan(method: Method) -> dict[str, ScanAnswer]:
    """Answers by scan; none if one of them is neither a number nor in probabilities."""
    has_all = all(a.number is not None or a.probabilities is not None for a in method.answers)
    return {a.scan_id: a for a in method.answers} if has_all else {}


def _truth(task: Task, answers: Sequence[ScanAnswer]) -> NDArray[np.float64]:
    """Numbers in the true order."""
    return np.array(
        [
            task.candidates.index(answer.truth)
            if answer.true_number is None
            else answer.true_number
            for answer in answers
        ],
        dtype=np.float64,
    )


def _draw(
    task: Task, answers: Sequence[ScanAnswer], most: int, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw places of the two scans of each pair: of two people whose true answers differ."""
    truth, subjects = _truth(task, answers), np.array([answer.subject for answer in answers])
    rng = np.random.default_rng(seed)
    drawn = np.unique(np.sort(rng.integers(len(answers), size=(_DRAWS * most, 2))), axis=0)
    differ = (truth[drawn[:, 0]] != truth[drawn[:, 1]]) & (
        subjects[drawn[:, 0]] != subjects[drawn[:, 1]]
    )
    pairs = rng.permutation(drawn[differ])[:most]
    # Sorted places would put the earlier scan first in every pair.
    first, second = rng.permuted(pairs, axis=1).T
    return first, second


def _chances(
    task: Task,
    answers: Sequence[ScanAnswer],
    first: NDArray[np.intp],
    second: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Probability that the first of each pair is higher; of numbers 0, 0.5 or 1."""
    numbers = [answer.number for answer in answers]
    if None not in numbers:
        given = np.array(numbers, dtype=np.float64)
        return (np.sign(given[first] - given[second]) + 1) / 2
    odds = [answer.probabilities or {} for answer in answers]
    return np.array(
        [
            chance_of_higher(odds[i], odds[j], task.candidates)
            for i, j in zip(first, second, strict=True)
        ]
    )


def _interval(
    right: NDArray[np.float64],
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    subjects: Sequence[str],
    settings: EvaluateSettings,
    seed: int,
) -> Interval | None:
    bootstrap = SubjectBootstrap(
        subjects, resamples=settings.resamples, level=settings.level, seed=seed
    )
    found = bootstrap.interval(_share(right, first, second, len(subjects)), subjects)
    n_subjects = len({subjects[k] for k in (*first, *second)})
    if found is None or n_subjects >= FEW_SUBJECTS:
        return found
    apart = n_subjects // 2
    low, high = clopper_pearson(found.value * apart, apart, settings.level)
    return Interval(found.value, min(low, found.value), max(high, found.value), "clopper-pearson")


def _share(
    right: NDArray[np.float64], first: NDArray[np.intp], second: NDArray[np.intp], n_scans: int
) -> Callable[[NDArray[np.intp]], float | None]:
    """Share of right pairs among drawn scans, each pair as often as both of its scans."""

    def share(rows: NDArray[np.intp]) -> float | None:
        times = np.bincount(rows, minlength=n_scans)
        weights = times[first] * times[second]
        return float(np.average(right, weights=weights)) if weights.any() else None

    return share
