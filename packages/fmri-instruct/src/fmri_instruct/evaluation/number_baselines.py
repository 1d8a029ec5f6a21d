"""The baselines of numbers: the training mean, and ridge regression on the connectome."""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from fmri_instruct.evaluation.baselines import N_FOLDS, PENALTIES

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

ALPHAS = (*sorted(1 / strength for strength in PENALTIES), 1e5)
"""Penalties to choose from: the inverses of the classifier's, and a stronger one for connectomes of
many regions."""


class TrainingMean(RegressorMixin, BaseEstimator):
    """Mean of the training subjects' numbers, the same for every scan.

    Attributes
    ----------
    mean_ : float
        A subject counts once, by the mean of its scans.
    """

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
        scans = Counter(groups)
        weights = [1 / scans[subject] for subject in groups]
        self.mean_ = float(np.average(np.asarray(y, dtype=np.float64), weights=weights))
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


class ConnectomeRegressor(RegressorMixin, BaseEstimator):
    """Ridge regression on standardised connectomes, all of it fitted on training scans.

    Parameters
    ----------
    regularisation : float, default=1.0
        Inverse penalty strength where it cannot be chosen.
    seed : int, default=0
        Seed of the inner folds.

    Attributes
    ----------
    alpha_ : float
        The penalty in use: chosen of `ALPHAS` by the squared error in three folds of the training
        subjects where there are as many, else the inverse of `regularisation`.
    chosen_ : bool
        Whether it was chosen.
    pipeline_ : sklearn.pipeline.Pipeline
        Imputation by the training mean, standardisation, regression.
    """

    def __init__(self, regularisation: float = 1.0, seed: int = 0) -> None:
        self.regularisation = regularisation
        self.seed = seed

    def fit(
        self, X: NDArray[np.float64], y: ArrayLike, groups: Sequence[Hashable]
    ) -> "ConnectomeRegressor":
        """Fit on training scans.

        Parameters
        ----------
        X : (n, E) ndarray
            Fisher-z connectomes from `fmri_instruct.evaluation.baselines.connectome`; NaN where a
            region has no signal.
        y : (n,) array-like of float
            Numbers.
        groups : sequence of hashable
            Subject of each scan; no subject is on both sides of an inner fold.

        Returns
        -------
        ConnectomeRegressor
        """
        y = np.asarray(y, dtype=np.float64)
        self.alpha_ = 1 / self.regularisation
        self.chosen_ = len(set(groups)) >= N_FOLDS
        if self.chosen_:
            self.alpha_ = self._choose(X, y, groups)
        self.pipeline_ = _pipeline(self.alpha_).fit(X, y)
        return self

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict numbers.

        Parameters
        ----------
        X : (n, E) ndarray
            Fisher-z connectomes.

        Returns
        -------
        (n,) ndarray
        """
        return self.pipeline_.predict(X)

    def _choose(
        self, X: NDArray[np.float64], y: NDArray[np.float64], groups: Sequence[Hashable]
    ) -> float:
        from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

        # One class for all: folds of whole subjects with about equally many scans.
        folds = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=self.seed)
        search = GridSearchCV(
            _pipeline(self.alpha_),
            {"ridge__alpha": list(ALPHAS)},
            cv=list(folds.split(X, np.zeros(len(y)), np.asarray(groups))),
            scoring=_negative_squared_error,
            refit=False,
        )
        search.fit(X, y)
        return float(search.best_params_["ridge__alpha"])


def _pipeline(alpha: float) -> "Pipeline":
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        # A pair that no training scan has keeps its column, as a constant.
        SimpleImputer(keep_empty_features=True),
        StandardScaler(),
        Ridge(alpha=alpha),
    )


def _negative_squared_error(
    model: "Pipeline", X: NDArray[np.float64], y: NDArray[np.float64]
) -> float:
    """Squared errors with a minus, all of a fold counted alike."""
    return -float(((model.predict(X) - y) ** 2).sum())
