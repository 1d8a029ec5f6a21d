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
    answers = probabilities.argmax(axis=1)

    def accuracy(rows: NDArray[np.intp]) -> float:
        return float(np.mean(answers[rows] == truth[rows]))

    def balanced(rows: NDArray[np.intp]) -> float:
        right = answers[rows] == truth[rows]
        return float(np.mean([right[truth[rows] == k].mean() for k in np.unique(truth[rows])]))

    def auc(rows: NDArray[np.intp]) -> float:
        return auc_within_folds(truth[rows], probabilities[rows], folds[rows])

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
    truth: NDArray[np.intp], probabilities: NDArray[np.float64], folds: NDArray[np.intp]
) -> float:
    """Area under the ROC curve, comparing scans of the same fold only.

    Models of different folds have different offsets, so pairs across folds compare models, not
    scans: pooled, even the training frequencies of the majority baseline would miss 0.5. Here the
    pairs of all folds count alike. For K > 2, the mean over the classes of one against the rest.

    Parameters
    ----------
    truth : ndarray of int, (n,)
        Number of each scan's class.
    probabilities : ndarray, (n, K)
        Of each class.
    folds : ndarray of int, (n,)
        Fold of each scan.

    Returns
    -------
    float
        NaN where no fold holds a pair of two classes.
    """
    asked = [1] if probabilities.shape[1] == 2 else np.unique(truth)
    areas = [_pooled_area(truth == k, probabilities[:, k], folds) for k in asked]
    return float(np.mean(areas))


def _pooled_area(
    positive: NDArray[np.bool_], score: NDArray[np.float64], folds: NDArray[np.intp]
) -> float:
    from scipy.stats import rankdata

    wins = pairs = 0.0
    for fold in np.unique(folds):
        here = folds == fold
        n_positive = int(positive[here].sum())
        ranks = rankdata(score[here])[positive[here]].sum()
        wins += ranks - n_positive * (n_positive + 1) / 2
        pairs += n_positive * (int(here.sum()) - n_positive)
    return wins / pairs if pairs else float("nan")


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
