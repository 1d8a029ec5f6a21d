"""Scores of answers, with bootstrap intervals over subjects."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

UNPARSED = -1

Statistic = Callable[[NDArray[np.intp]], float | None]


@dataclass(frozen=True)
class Interval:
    """A score and its percentile interval.

    Parameters
    ----------
    value, low, high : float
        The score of the held-out scans, and the bounds.
    dropped : int
        Resamples in which the score was undefined; they take no part in the bounds.
    """

    value: float
    low: float
    high: float
    dropped: int

    def to_dict(self) -> dict[str, float]:
        """Return the interval as ``scores.json`` holds it."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "dropped_resamples": self.dropped,
        }


def accuracy(truth: ArrayLike, answers: ArrayLike) -> float:
    """Part of the scans that were answered rightly; an unparsed answer is wrong.

    Parameters
    ----------
    truth : (n,) array-like of int
        Numbers of the true answers.
    answers : (n,) array-like of int
        Numbers of the given answers; -1 is unparsed.

    Returns
    -------
    float
    """
    return float(np.mean(np.asarray(truth) == np.asarray(answers)))


def balanced_accuracy(truth: ArrayLike, answers: ArrayLike) -> float:
    """Mean over the classes that are present of the part of each that was answered rightly.

    Parameters
    ----------
    truth : (n,) array-like of int
        Numbers of the true answers.
    answers : (n,) array-like of int
        Numbers of the given answers; -1 is unparsed.

    Returns
    -------
    float
    """
    truth, answers = np.asarray(truth), np.asarray(answers)
    return float(np.mean([np.mean(answers[truth == k] == k) for k in np.unique(truth)]))


def auc(truth: ArrayLike, probabilities: ArrayLike) -> float | None:
    """Area under the ROC curve from probabilities, one against the rest for several classes.

    Parameters
    ----------
    truth : (n,) array-like of int
        Numbers of the true answers.
    probabilities : (n, K) array-like
        Probability of each answer.

    Returns
    -------
    float or None
        For K = 2 the area for the second answer; for K > 2 the mean area over the classes that are
        present. None if fewer than two classes are present. Equals the probability that a scan of
        the class gets a higher probability than another scan, ties counted half (Mann-Whitney).
    """
    truth, probabilities = np.asarray(truth), np.asarray(probabilities)
    classes = np.unique(truth)
    if len(classes) < 2:
        return None
    asked = [1] if probabilities.shape[1] == 2 else classes
    return float(np.mean([_area(truth == k, probabilities[:, k]) for k in asked]))


def why_no_auc(truth: ArrayLike, candidates: Sequence[str]) -> str | None:
    """Say in words why `auc` is None, or None where it is defined.

    Parameters
    ----------
    truth : (n,) array-like of int
        Numbers of the true answers.
    candidates : sequence of str
        The possible answers.

    Returns
    -------
    str or None
    """
    classes = np.unique(np.asarray(truth))
    if len(classes) >= 2:
        return None
    return f"every held-out scan is '{candidates[classes[0]]}'"


def bootstrap_interval(
    statistic: Statistic,
    subjects: Sequence[Hashable],
    *,
    resamples: int,
    level: float,
    seed: int,
) -> Interval | None:
    """Score with its percentile interval over resampled subjects.

    Parameters
    ----------
    statistic : callable
        Takes the row numbers of a resample, returns the score or None where it is undefined.
    subjects : sequence of hashable
        Subject of each row. A subject is drawn with all of its rows.
    resamples : int
        Number of resamples.
    level : float
        Level of the interval, such as 0.95.
    seed : int
        Seed of the resamples.

    Returns
    -------
    Interval or None
        None if the score of the rows themselves is undefined.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.
    """
    value = statistic(np.arange(len(subjects)))
    if value is None:
        return None
    rows = _rows_by_subject(subjects)
    chance = np.random.default_rng(seed)
    drawn = [
        statistic(np.concatenate([rows[i] for i in chance.integers(len(rows), size=len(rows))]))
        for _ in range(resamples)
    ]
    defined = [score for score in drawn if score is not None]
    # A score of all rows is defined, yet every resample may miss a class: then no bounds are known.
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(defined, tails) if defined else (value, value)
    return Interval(value, float(low), float(high), resamples - len(defined))


def _area(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    ranks = rankdata(score)[positive].sum()
    return float((ranks - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def _rows_by_subject(subjects: Sequence[Hashable]) -> list[NDArray[np.intp]]:
    rows: dict[Hashable, list[int]] = {}
    for row, subject in enumerate(subjects):
        rows.setdefault(subject, []).append(row)
    return [np.asarray(rows[subject]) for subject in sorted(rows, key=str)]
