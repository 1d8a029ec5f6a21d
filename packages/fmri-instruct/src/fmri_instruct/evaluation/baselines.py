"""The baselines: the majority class, and logistic regression on the connectome."""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

# Folds and penalties are those of the connectome probe in `fmri_descriptors.probing`.
PENALTIES = (0.0001, 0.001, 0.01, 0.1, 1.0)
N_FOLDS = 3  # with fewer subjects of a class, not every fold has that class
LARGEST_R = 1 - 1e-7  # keeps Fisher's z of two equal series finite


class MajorityClass(ClassifierMixin, BaseEstimator):
    """Frequencies of the training subjects' answers, the same for every scan.

    Attributes
    ----------
    classes_ : (K,) ndarray
        Answers seen in training, sorted.
    frequencies_ : (K,) ndarray
        Part of the training subjects with each; a subject's scans share one vote.
    """

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
        scans = Counter(groups)
        votes = np.array([1 / scans[subject] for subject in groups])
        y = np.asarray(y)
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


class ConnectomeClassifier(ClassifierMixin, BaseEstimator):
    """L2 logistic regression on standardised connectomes, all of it fitted on training scans.

    Parameters
    ----------
    regularisation : float, default=1.0
        Inverse penalty strength C where it cannot be chosen.
    seed : int, default=0
        Seed of the inner folds.

    Attributes
    ----------
    classes_ : (K,) ndarray
        Answers seen in training, sorted.
    regularisation_ : float
        The C in use: chosen by three stratified folds of the training subjects (log loss) where
        every class has at least three of them, else `regularisation`.
    chosen_ : bool
        Whether it was chosen.
    pipeline_ : sklearn.pipeline.Pipeline or None
        Imputation by the training mean, standardisation, regression; None where training holds a
        single class.
    """

    def __init__(self, regularisation: float = 1.0, seed: int = 0) -> None:
        self.regularisation = regularisation
        self.seed = seed

    def fit(
        self, X: NDArray[np.float64], y: ArrayLike, groups: Sequence[Hashable]
    ) -> "ConnectomeClassifier":
        """Fit on training scans.

        Parameters
        ----------
        X : (n, E) ndarray
            Fisher-z connectomes from `connectome`; NaN where a region has no signal.
        y : (n,) array-like
            Answers.
        groups : sequence of hashable
            Subject of each scan.

        Returns
        -------
        ConnectomeClassifier
        """
        y = np.asarray(y)
        self.classes_ = np.unique(y)
        self.regularisation_ = self.regularisation
        self.pipeline_ = None
        several = len(self.classes_) > 1
        self.chosen_ = several and _fewest_subjects(y, groups) >= N_FOLDS
        if self.chosen_:
            self.regularisation_ = self._choose(X, y, groups)
        if several:
            self.pipeline_ = _pipeline(self.regularisation_).fit(X, y)
        return self

    def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of each class of `classes_`.

        Parameters
        ----------
        X : (n, E) ndarray
            Fisher-z connectomes.

        Returns
        -------
        (n, K) ndarray
        """
        if self.pipeline_ is None:
            return np.ones((len(X), 1))
        return self.pipeline_.predict_proba(X)

    def predict(self, X: NDArray[np.float64]) -> NDArray[Any]:
        """Choose the most probable class.

        Parameters
        ----------
        X : (n, E) ndarray
            Fisher-z connectomes.

        Returns
        -------
        (n,) ndarray
        """
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _choose(self, X: NDArray[np.float64], y: NDArray[Any], groups: Sequence[Hashable]) -> float:
        from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

        search = GridSearchCV(
            _pipeline(self.regularisation),
            {"logisticregression__C": list(PENALTIES)},
            cv=StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=self.seed),
            scoring=_log_likelihood,
            refit=False,
        )
        search.fit(X, y, groups=np.asarray(groups))
        return float(search.best_params_["logisticregression__C"])


def connectome(bold: ArrayLike) -> NDArray[np.float64]:
    """Fisher-z correlations between regions: the upper triangle, row by row.

    Parameters
    ----------
    bold : (T, N) array-like
        A scan; a region without signal is constant.

    Returns
    -------
    (N * (N - 1) / 2,) ndarray of float64
        arctanh(r); NaN for every pair with a constant region, so that columns never shift.
    """
    series = np.asarray(bold, dtype=np.float64)
    series = series - series.mean(axis=0)
    length = np.linalg.norm(series, axis=0)
    unit = series / np.where(length > 0, length, np.nan)
    r = unit.T @ unit
    return np.arctanh(np.clip(r[np.triu_indices_from(r, k=1)], -LARGEST_R, LARGEST_R))


def align_classes(
    probabilities: NDArray[np.float64], classes: Sequence[str], candidates: Sequence[str]
) -> NDArray[np.float64]:
    """Probabilities over all candidates; an answer never seen in training gets 0.

    Parameters
    ----------
    probabilities : (n, K') ndarray
        Over `classes`.
    classes : sequence of str
        Answers seen in training.
    candidates : sequence of str
        All K possible answers.

    Returns
    -------
    (n, K) ndarray
    """
    full = np.zeros((len(probabilities), len(candidates)))
    full[:, [list(candidates).index(k) for k in classes]] = probabilities
    return full


def _pipeline(regularisation: float) -> "Pipeline":
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        # A pair that no training scan has keeps its column, as a constant.
        SimpleImputer(keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=regularisation, max_iter=1000),
    )


def _log_likelihood(model: "Pipeline", X: NDArray[np.float64], y: NDArray[Any]) -> float:
    """Log-likelihood of the true classes, all of a fold counted alike."""
    of_true = (model.predict_proba(X) * (y[:, None] == model.classes_)).sum(axis=1)
    # A class that the training part lacks costs the same with every penalty.
    return float(np.log(np.maximum(of_true, 1e-12)).sum())


def _fewest_subjects(y: NDArray[Any], groups: Sequence[Hashable]) -> int:
    subjects = np.asarray(groups)
    return min(len(np.unique(subjects[y == k])) for k in np.unique(y))
