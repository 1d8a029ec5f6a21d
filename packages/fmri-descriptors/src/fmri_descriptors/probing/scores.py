"""Scores of out-of-fold predictions, as functions of the scans that are drawn.

They equal those of `sklearn.metrics`, which tests compare. scikit-learn has no AUC within folds, no
R2 against the mean of each training part and no bootstrap by subject, and its plain scores check
their input at each call: hundreds of times the work of the sum, for a thousand resamples.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.probing.intervals import (
    Bounds,
    Interval,
    Statistic,
    bootstrap,
    clopper_pearson,
    newcombe_auc,
)

__all__ = [
    "Interval",
    "auc_within_folds",
    "bootstrap",
    "class_bounds",
    "class_statistics",
    "clopper_pearson",
    "mean_of",
    "newcombe_auc",
    "number_statistics",
    "subject_hits",
]


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
    correct = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    n_classes = probabilities.shape[1]
    present = np.unique(truth)

    def accuracy(rows: NDArray[np.intp]) -> float:
        return float(correct[rows].mean())

    def balanced(rows: NDArray[np.intp]) -> float:
        counts = np.bincount(truth[rows], minlength=n_classes)
        hits = np.bincount(truth[rows], weights=correct[rows], minlength=n_classes)
        if not counts[present].all():  # the other classes alone would flatter a constant answer
            return np.nan
        return float((hits[present] / counts[present]).mean())

    scored = [1] if n_classes == 2 else range(n_classes)
    areas = [auc_within_folds(truth == k, probabilities[:, k], folds) for k in scored]

    # A class that shares no fold with another one is never compared; the others always are.
    compared = [area for area in areas if np.isfinite(area(np.arange(len(truth))))]

    def auc(rows: NDArray[np.intp]) -> float:
        return float(np.mean([area(rows) for area in compared])) if compared else np.nan

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
        if total == 0:  # one scan drawn over and over, at the mean itself
            return np.nan
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


def class_bounds(
    truth: NDArray[np.intp],
    probabilities: NDArray[np.float64],
    subjects: NDArray[np.object_],
    area: float,
) -> dict[str, tuple[str, Bounds]]:
    """Return bounds of the scores of `class_statistics` that hold for few subjects.

    Subjects are counted, not scans. Bounds of an average over classes are the averages of the
    classes' bounds, each at a level that all of them hold together (Bonferroni); those of an AUC
    over several classes are of the rarest class against the rest.

    Parameters
    ----------
    truth : ndarray of int, (n,)
        Number of each scan's class.
    probabilities : ndarray, (n, K)
        Of each class.
    subjects : ndarray, (n,)
        Subject of each scan.
    area : float
        The AUC of all scans.
    """
    correct = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    present = np.unique(truth)

    def proportion(groups: list[NDArray[np.bool_]], level: float) -> tuple[float, float]:
        shared = 1 - (1 - level) / len(groups)
        counts = [subject_hits(correct[rows], subjects[rows]) for rows in groups]
        low, high = np.mean([clopper_pearson(*count, shared) for count in counts], axis=0)
        return float(low), float(high)

    def auc(level: float) -> tuple[float, float]:
        people = [len(set(subjects[truth == k])) for k in present]
        rarest = present[int(np.argmin(people))]
        others = len(set(subjects[truth != rarest]))
        if not np.isfinite(area):
            return np.nan, np.nan
        return newcombe_auc(area, min(people), others, level)

    everything, classes = [np.ones(len(truth), dtype=np.bool_)], [truth == k for k in present]
    return {
        "auc": ("newcombe", auc),
        "balanced_accuracy": ("clopper-pearson", lambda level: proportion(classes, level)),
        "accuracy": ("clopper-pearson", lambda level: proportion(everything, level)),
    }


def subject_hits(correct: NDArray[np.float64], subjects: NDArray[np.object_]) -> tuple[float, int]:
    """Subjects that were predicted correctly, each by the share of its scans, and how many."""
    _, of_row = np.unique(subjects.astype(str), return_inverse=True)
    shares = np.bincount(of_row, correct) / np.bincount(of_row)
    return float(shares.sum()), len(shares)


def mean_of(statistics: Sequence[Statistic]) -> Statistic:
    """Return the mean of several statistics, undefined where one of them is."""
    return lambda rows: float(np.mean([statistic(rows) for statistic in statistics]))
