"""Scores of answers to a question with several possible answers.

They equal scikit-learn's where those are defined. Thousands of resamples are scored, and
scikit-learn's checks of its input take ten times as long as the sums, so these are the sums alone.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fmri_llm.evaluation.roc import roc_auc

UNPARSED = -1


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
        would score better than rng.
    """
    truth, answers = np.asarray(truth), np.asarray(answers)
    asked = np.unique(truth) if classes is None else np.asarray(classes)
    if not np.isin(asked, truth).all():
        return None
    return float(np.mean([np.mean(answers[truth == k] == k) for k in asked]))


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
