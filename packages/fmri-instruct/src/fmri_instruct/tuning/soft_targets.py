"""What a linear classifier reads of a training scan: soft targets for the model's answers.

A label says one thing of a person whom a scan describes only in part, and a model of many weights
learns the few labels of a cohort by heart. A linear classifier cannot. Its probabilities, each for
a subject that it has not seen, tell the model what can be read of a scan at all (distillation:
Hinton, Vinyals & Dean 2015, arXiv 1503.02531).
"""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fmri_instruct.baselines.classes import align_classes
from fmri_instruct.baselines.linear import LinearClassifier

__all__ = ["N_FOLDS", "cross_fitted", "soft_targets"]

N_FOLDS = 5
LEAST = 1e-6  # probability


def cross_fitted(
    features: NDArray[np.float64],
    answers: Sequence[str],
    subjects: Sequence[Hashable],
    candidates: Sequence[str],
    *,
    seed: int = 0,
) -> NDArray[np.float64] | None:
    """Probabilities of the answers about each scan, by a classifier that has not seen its subject.

    Parameters
    ----------
    features : (n, F) ndarray
        Of training scans.
    answers : sequence of str
        True answer of each.
    subjects : sequence of hashable
        Subject of each.
    candidates : sequence of str
        The K possible answers.
    seed : int, default=0
        Of the folds.

    Returns
    -------
    (n, K) ndarray or None
        Of logistic regression whose penalty inner folds choose; None where some answer that occurs
        has fewer than `N_FOLDS` subjects.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    y, groups = np.asarray(answers), np.asarray(subjects)
    seen = np.unique(y)
    if len(seen) < 2 or min(len(np.unique(groups[y == k])) for k in seen) < N_FOLDS:
        return None
    found = np.zeros((len(y), len(candidates)))
    folds = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=seed)
    for fitted_on, left_out in folds.split(features, y, groups):
        classifier = LinearClassifier(seed=seed)
        classifier.fit(features[fitted_on], y[fitted_on], groups[fitted_on].tolist())
        rows = classifier.predict_proba(features[left_out])
        found[left_out] = align_classes(rows, classifier.classes_.tolist(), candidates)
    return found


def soft_targets(
    kinds: Mapping[str, NDArray[np.float64]],
    answers: Sequence[str],
    subjects: Sequence[Hashable],
    candidates: Sequence[str],
    *,
    seed: int = 0,
) -> tuple[str, NDArray[np.float64]] | None:
    """Choose the kind of features whose cross-fitted probabilities are likeliest.

    Parameters
    ----------
    kinds : mapping of str to (n, F) ndarray
        Features of the same training scans, by name.
    answers, subjects, candidates, seed
        As for `cross_fitted`.

    Returns
    -------
    (str, (n, K) ndarray) or None
        Name and probabilities; None where there are too few subjects, or where no kind is better
        than the frequencies of the answers.
    """
    places = [list(candidates).index(answer) for answer in answers]
    frequencies = np.bincount(places, minlength=len(candidates)) / len(places)
    best, least = None, _log_loss(np.tile(frequencies, (len(places), 1)), places)
    for name, features in kinds.items():
        found = cross_fitted(features, answers, subjects, candidates, seed=seed)
        if found is not None and (loss := _log_loss(found, places)) < least:
            best, least = (name, found), loss
    return best


def _log_loss(probabilities: NDArray[np.float64], places: Sequence[int]) -> float:
    of_truth = probabilities[np.arange(len(places)), places]
    return float(-np.log(np.maximum(of_truth, LEAST)).mean())
