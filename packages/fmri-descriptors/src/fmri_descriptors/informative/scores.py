"""Scores of out-of-fold predictions, with bootstrap intervals over subjects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Statistic = Callable[[NDArray[np.intp]], float]


@dataclass(frozen=True)
class Interval:
    """A score and its percentile interval.

    Parameters
    ----------
    value, low, high : float
        Score of all scans, and the bounds.
    """

    value: float
    low: float
    high: float


def class_statistics(
    truth: NDArray[np.intp], probabilities: NDArray[np.float64], folds: NDArray[np.intp]
) -> dict[str, Statistic]:
    """Return scores of class probabilities as functions of row numbers.

    Parameters
    ----------
    truth : ndarray of int, (n,)
        Number of each scan's class.
    probabilities : ndarray, (n, K)
        Of each class.
    folds : ndarray of int, (n,)
        Fold that each scan was held out in.
    """
    right = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    n_classes = probabilities.shape[1]
    asked_for = np.unique(truth)

    def accuracy(rows: NDArray[np.intp]) -> float:
        return float(right[rows].mean())

    def balanced(rows: NDArray[np.intp]) -> float:
        counts = np.bincount(truth[rows], minlength=n_classes)
        hits = np.bincount(truth[rows], weights=right[rows], minlength=n_classes)
        if not counts[asked_for].all():  # the other classes alone would flatter a constant answer
            return np.nan
        return float((hits[asked_for] / counts[asked_for]).mean())

    asked = [1] if n_classes == 2 else range(n_classes)
    areas = [auc_within_folds(truth == k, probabilities[:, k], folds) for k in asked]

    def auc(rows: NDArray[np.intp]) -> float:
        values = np.array([area(rows) for area in areas])
        return float(values[np.isfinite(values)].mean()) if np.isfinite(values).any() else np.nan

    return {"auc": auc, "balanced_accuracy": balanced, "accuracy": accuracy}


def number_statistics(
    truth: NDArray[np.float64], predictions: NDArray[np.float64], means: NDArray[np.float64]
) -> dict[str, Statistic]:
    """Return scores of predicted numbers as functions of row numbers.

    Parameters
    ----------
    truth, predictions : ndarray, (n,)
        True and predicted numbers.
    means : ndarray, (n,)
        Mean of the scans that each prediction was learned from. R2 is one minus the ratio of the
        squared errors to those of this mean, so that predicting the mean gives exactly 0.
    """

    def r2(rows: NDArray[np.intp]) -> float:
        total = ((truth[rows] - means[rows]) ** 2).sum()
        return float(1 - ((truth[rows] - predictions[rows]) ** 2).sum() / total)

    def mae(rows: NDArray[np.intp]) -> float:
        return float(np.abs(truth[rows] - predictions[rows]).mean())

    return {"r2": r2, "mae": mae}


def auc_within_folds(
    positive: NDArray[np.bool_], score: NDArray[np.float64], folds: NDArray[np.intp]
) -> Statistic:
    """Return the area under the ROC curve, comparing scans of the same fold only.

    Models of different folds have different offsets, so pairs across folds compare models, not
    scans: pooled, even the training frequencies of the majority baseline would miss 0.5. Here the
    pairs of all folds count alike.

    Parameters
    ----------
    positive : ndarray of bool, (n,)
        Whether each scan belongs to the class.
    score : ndarray, (n,)
        Predicted probability of the class.
    folds : ndarray of int, (n,)
        Fold of each scan.

    Returns
    -------
    callable
        Of row numbers; the probability that a scan of the class scores higher than another one,
        ties counted half (Mann-Whitney), and NaN where no fold holds such a pair.
    """
    # Places in the order of (fold, score), which ties share; counted once for all resamples.
    places, place = np.unique(np.column_stack([folds, score]), axis=0, return_inverse=True)
    place = place.ravel()
    first = np.searchsorted(places[:, 0], places[:, 0])  # first place of the same fold
    last = np.searchsorted(places[:, 0], np.unique(places[:, 0]), side="right") - 1

    def area(rows: NDArray[np.intp]) -> float:
        ours = np.bincount(place[rows], weights=positive[rows], minlength=len(places))
        others = np.bincount(place[rows], minlength=len(places)) - ours
        up_to = np.concatenate([[0.0], np.cumsum(others)])
        below = up_to[:-1] - up_to[first]
        wins = (ours * (below + others / 2)).sum()
        per_fold = np.add.reduceat(ours, first[last])
        pairs = (per_fold * np.add.reduceat(others, first[last])).sum()
        return float(wins / pairs) if pairs else float("nan")

    return area


def bootstrap(
    statistics: Mapping[str, Statistic],
    subjects: NDArray[np.object_],
    *,
    resamples: int,
    level: float,
    seed: int,
) -> dict[str, Interval]:
    """Return scores with percentile intervals over resampled subjects.

    Parameters
    ----------
    statistics : mapping of str to callable
        Each takes row numbers; NaN where it is undefined, which leaves the resample out.
    subjects : ndarray, (n,)
        Subject of each row; one is drawn with all of its rows.
    resamples : int
        Number of resamples.
    level : float
        Level of the interval, such as 0.95.
    seed : int
        Seed of the resamples.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.
    """
    names, of_row = np.unique(subjects.astype(str), return_inverse=True)
    rows = [np.flatnonzero(of_row == k) for k in range(len(names))]
    chance = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in statistics}
    for _ in range(resamples):
        picked = np.concatenate([rows[i] for i in chance.integers(len(rows), size=len(rows))])
        for name, statistic in statistics.items():
            drawn[name].append(statistic(picked))
    everything = np.arange(len(subjects))
    tails = [(1 - level) / 2, (1 + level) / 2]
    found = {}
    for name, statistic in statistics.items():
        defined = [value for value in drawn[name] if np.isfinite(value)]
        value = statistic(everything)
        low, high = np.quantile(defined, tails) if defined else (np.nan, np.nan)
        found[name] = Interval(value, float(low), float(high))
    return found
