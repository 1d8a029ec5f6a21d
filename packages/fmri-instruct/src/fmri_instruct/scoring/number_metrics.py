"""Scores of predicted numbers, and the number that probabilities of bins stand for.

They equal scikit-learn's and scipy's where those are defined. Thousands of resamples are scored,
and those libraries check their input and compute a p-value each time, so these are the sums alone.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata


def expected_value(
    probabilities: Mapping[str, float], answers: Sequence[str], values: Sequence[float]
) -> float:
    """Mean of the values of the answers, weighted by their probabilities.

    Parameters
    ----------
    probabilities : mapping of str to float
        By answer; they sum to 1.
    answers : sequence of str
        Answers from low to high.
    values : sequence of float
        By answer, the training mean of its bin.

    Returns
    -------
    float

    Examples
    --------
    >>> expected_value({"old": 0.25, "young": 0.75}, ["young", "old"], [30.0, 70.0])
    40.0
    """
    pairs = zip(answers, values, strict=True)
    return float(sum(probabilities[answer] * value for answer, value in pairs))


def mean_absolute_error(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Mean size of the errors, in the unit of the numbers.

    Parameters
    ----------
    truth, predicted : (n,) array-like of float
        True and predicted numbers.

    Returns
    -------
    float
    """
    return float(np.mean(np.abs(np.asarray(truth) - np.asarray(predicted))))


def pearson(truth: ArrayLike, predicted: ArrayLike) -> float | None:
    """Pearson's correlation.

    Parameters
    ----------
    truth, predicted : (n,) array-like of float
        True and predicted numbers.

    Returns
    -------
    float or None
        None where either is constant.
    """
    x, y = _centred(truth), _centred(predicted)
    if x is None or y is None:
        return None
    return float(np.clip(x @ y, -1, 1))


def spearman(truth: ArrayLike, predicted: ArrayLike) -> float | None:
    """Spearman's rank correlation; ties share the mean of their ranks.

    Parameters
    ----------
    truth, predicted : (n,) array-like of float
        True and predicted numbers.

    Returns
    -------
    float or None
        None where either is constant.
    """
    return pearson(rankdata(np.asarray(truth)), rankdata(np.asarray(predicted)))


def _centred(numbers: ArrayLike) -> NDArray[np.float64] | None:
    """Numbers about their mean at length 1; None where they are all the same."""
    values = np.asarray(numbers, dtype=np.float64)
    if len(values) == 0 or np.ptp(values) == 0:
        return None
    about = values - values.mean()
    return about / np.linalg.norm(about)
