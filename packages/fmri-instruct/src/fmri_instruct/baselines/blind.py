"""Baselines that see no scan: the frequencies of the training answers, and the training mean."""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

__all__ = ["MajorityClass", "TrainingMean"]


class MajorityClass(ClassifierMixin, BaseEstimator):
    """Frequencies of the training subjects' answers, the same for every scan.

    Attributes
    ----------
    classes_ : (K,) ndarray
        Answers seen in training, sorted.
    frequencies_ : (K,) ndarray
        Part of the training subjects with each; a subject's scans share one vote.
    """

    how = None

    def fit(self, X: Any, y: ArrayLike, groups: Sequence[Hashable]) -> "MajorityClass":
        """Count the answers of the training subjects.

        Parameters
        ----------
        X : object
            Ignored.
        y : (n,) array-like
            Answers of the training scans.
        groups : sequence of hashable
            Subject of each scan.

        Returns
        -------
        MajorityClass
        """
        del X
        votes, y = _votes(groups), np.asarray(y)
        self.classes_ = np.unique(y)
        self.frequencies_ = np.array([votes[y == k].sum() for k in self.classes_]) / votes.sum()
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Repeat the training frequencies, once per scan.

        Parameters
        ----------
        X : (n, ...) array-like
            Only its length counts.

        Returns
        -------
        (n, K) ndarray
        """
        return np.tile(self.frequencies_, (len(np.asarray(X)), 1))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Repeat the most frequent training answer, once per scan.

        Parameters
        ----------
        X : (n, ...) array-like
            Only its length counts.

        Returns
        -------
        (n,) ndarray
        """
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class TrainingMean(RegressorMixin, BaseEstimator):
    """Mean of the training subjects' numbers, the same for every scan.

    Attributes
    ----------
    mean_ : float
        A subject counts once, by the mean of its scans.
    """

    how = None

    def fit(self, X: Any, y: ArrayLike, groups: Sequence[Hashable]) -> "TrainingMean":
        """Average the numbers of the training subjects.

        Parameters
        ----------
        X : object
            Ignored.
        y : (n,) array-like of float
            Numbers of the training scans.
        groups : sequence of hashable
            Subject of each scan.

        Returns
        -------
        TrainingMean
        """
        del X
        self.mean_ = float(np.average(np.asarray(y, dtype=np.float64), weights=_votes(groups)))
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Repeat the training mean, once per scan.

        Parameters
        ----------
        X : (n, ...) array-like
            Only its length counts.

        Returns
        -------
        (n,) ndarray
        """
        return np.full(len(np.asarray(X)), self.mean_)


def _votes(groups: Sequence[Hashable]) -> NDArray[np.float64]:
    """Weight of each scan: those of a subject add up to 1."""
    scans = Counter(groups)
    return np.array([1 / scans[subject] for subject in groups])
