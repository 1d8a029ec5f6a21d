"""Scores of answers to a question with several possible answers.

They equal scikit-learn's where those are defined. Thousands of resamples are scored, and
scikit-learn's checks of its input take ten times as long as the sums, so these are the sums alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fmri_llm.evaluation.roc import roc_auc

UNPARSED = -1
N_BINS = 10  # of the confidence


def accuracy(truth: ArrayLike, answers: ArrayLike) -> float:
    """Share of correct answers; an unparsed answer is incorrect.

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


def balanced_accuracy(
    truth: ArrayLike, answers: ArrayLike, classes: ArrayLike | None = None
) -> float | None:
    """Mean over the classes of the share of correct answers to each (macro-averaged recall).

    Parameters
    ----------
    truth : (n,) array-like of int
        Numbers of the true answers.
    answers : (n,) array-like of int
        Numbers of the given answers; -1 is unparsed.
    classes : (K,) array-like of int, optional
        The classes to average over; those of `truth` when left out.

    Returns
    -------
    float or None
        None if one of `classes` is absent: over the others alone, always giving the same answer
        would score better than chance.
    """
    truth, answers = np.asarray(truth), np.asarray(answers)
    asked = np.unique(truth) if classes is None else np.asarray(classes)
    if not np.isin(asked, truth).all():
        return None
    return float(np.mean([np.mean(answers[truth == k] == k) for k in asked]))


def macro_f1(
    truth: ArrayLike, answers: ArrayLike, classes: ArrayLike | None = None
) -> float | None:
    """Mean over the classes of the harmonic mean of precision and recall.

    Parameters
    ----------
    truth : (n,) array-like of int
        Numbers of the true answers.
    answers : (n,) array-like of int
        Numbers of the given answers; -1 is unparsed.
    classes : (K,) array-like of int, optional
        The classes to average over; those of `truth` when left out.

    Returns
    -------
    float or None
        None if one of `classes` is absent from `truth`, as for `balanced_accuracy`.
    """
    truth, answers = np.asarray(truth), np.asarray(answers)
    asked = np.unique(truth) if classes is None else np.asarray(classes)
    if not np.isin(asked, truth).all():
        return None
    hits = [np.sum((truth == k) & (answers == k)) for k in asked]
    named = [np.sum(truth == k) + np.sum(answers == k) for k in asked]
    return float(np.mean(2 * np.array(hits) / np.array(named)))


def expected_calibration_error(confidence: ArrayLike, right: ArrayLike) -> float:
    """Mean distance between how sure answers are and how often they are right.

    Parameters
    ----------
    confidence : (n,) array-like of float
        Probability of each given answer.
    right : (n,) array-like of bool
        Whether it is the true one.

    Returns
    -------
    float
        Sum over the bins of `reliability` of the bin's share of the answers times the distance of
        its accuracy from its mean confidence. Few answers in a bin make it larger by chance: it is
        biased upwards where there are few.

    References
    ----------
    Naeini, Cooper & Hauskrecht (2015), AAAI 29, 2901-2907; Guo et al. (2017), arXiv 1706.04599,
    equation 3.

    Examples
    --------
    >>> round(expected_calibration_error([0.75, 0.75, 0.75, 0.75], [True, True, True, False]), 6)
    0.0
    """
    found = reliability(confidence, right)
    gaps = [row.n * abs(row.accuracy - row.confidence) for row in found]
    return float(np.sum(gaps) / np.size(confidence))


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers of about the same confidence.

    Parameters
    ----------
    low, high : float
        Bounds of the confidence; the lower one lies outside, but in the first bin.
    n : int
        Answers in it.
    confidence, accuracy : float
        Their mean confidence, and the share that is right.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def reliability(confidence: ArrayLike, right: ArrayLike) -> list[ReliabilityBin]:
    """Accuracy by confidence, in ten bins of equal width, what a reliability diagram shows.

    Parameters
    ----------
    confidence : (n,) array-like of float
        Probability of each given answer.
    right : (n,) array-like of bool
        Whether it is the true one.

    Returns
    -------
    list of ReliabilityBin
        Those with answers in them, from low to high.
    """
    confidence, right = np.asarray(confidence, dtype=float), np.asarray(right)
    edges = np.linspace(0, 1, N_BINS + 1)
    place = np.digitize(confidence, edges[1:-1], right=True)
    return [
        ReliabilityBin(
            low=float(edges[k]),
            high=float(edges[k + 1]),
            n=int(np.sum(place == k)),
            confidence=float(confidence[place == k].mean()),
            accuracy=float(right[place == k].mean()),
        )
        for k in np.unique(place)
    ]


def auc(
    truth: ArrayLike, probabilities: ArrayLike, classes: ArrayLike | None = None
) -> float | None:
    """Area under the ROC curve from probabilities, one against the rest for several classes.

    Parameters
    ----------
    truth : (n,) array-like of int
        Numbers of the true answers.
    probabilities : (n, K) array-like
        Probability of each answer.
    classes : (k,) array-like of int, optional
        The classes to average over; those of `truth` when left out.

    Returns
    -------
    float or None
        For K = 2 the area for the second answer; for K > 2 the mean area over `classes`. None if
        there are fewer than two classes, or one of them is absent, so that an average is always
        over the same classes. Equals the probability that a scan of the class gets a higher
        probability than another scan, ties counted half (Mann-Whitney).
    """
    truth, probabilities = np.asarray(truth), np.asarray(probabilities)
    averaged = np.unique(truth) if classes is None else np.asarray(classes)
    if len(averaged) < 2 or not np.isin(averaged, truth).all():
        return None
    asked = [1] if probabilities.shape[1] == 2 else averaged
    return float(np.mean([roc_auc(truth == k, probabilities[:, k]) for k in asked]))


def why_no_auc(truth: ArrayLike, candidates: Sequence[str]) -> str | None:
    """Reason why `auc` is None; None where it is defined.

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
