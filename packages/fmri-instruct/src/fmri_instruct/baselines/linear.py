"""Linear baselines on any features of scans: logistic and ridge regression."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from fmri_instruct.baselines.inner_folds import N_FOLDS, best_settings, enough_subjects

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

__all__ = ["ALPHAS", "PENALTIES", "LinearClassifier", "LinearRegressor"]

# Those of the connectome probe in `fmri_descriptors.probing`.
PENALTIES = (0.0001, 0.001, 0.01, 0.1, 1.0)
"""Inverse penalty strengths C of the classifier to choose from."""

ALPHAS = (*sorted(1 / strength for strength in PENALTIES), 1e5)
"""Penalties to choose from: the inverses of the classifier's, and a stronger one for connectomes of
many regions."""


class LinearClassifier(ClassifierMixin, BaseEstimator):
    """L2 logistic regression on standardised features, all of it fitted on training scans.

    Parameters
    ----------
    regularisation : float, default=1.0
        Inverse penalty strength C where it cannot be chosen.
    seed : int, default=0
        Seed of the inner folds.
    choose : bool, default=True
        Whether the penalty is chosen where there are subjects enough for it.

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

    def __init__(self, regularisation: float = 1.0, seed: int = 0, *, choose: bool = True) -> None:
        self.regularisation = regularisation
        self.seed = seed
        self.choose = choose

    def fit(
        self, X: NDArray[np.float64], y: ArrayLike, groups: Sequence[Hashable]
    ) -> "LinearClassifier":
        """Fit on training scans.

        Parameters
        ----------
        X : (n, F) ndarray
            Features; NaN where one is missing.
        y : (n,) array-like
            Answers.
        groups : sequence of hashable
            Subject of each scan.

        Returns
        -------
        LinearClassifier
        """
        from sklearn.linear_model import LogisticRegression

        y = np.asarray(y)
        self.classes_ = np.unique(y)
        self.regularisation_ = self.regularisation
        self.pipeline_ = None
        several = len(self.classes_) > 1
        pipeline = _standardised(LogisticRegression(C=self.regularisation, max_iter=1000))
        self.chosen_ = several and self.choose and enough_subjects(pipeline, y, groups)
        if self.chosen_:
            grid = {"logisticregression__C": PENALTIES}
            chosen = best_settings(pipeline, grid, X, y, groups, seed=self.seed)
            self.regularisation_ = float(chosen["logisticregression__C"])
            pipeline.set_params(**chosen)
        if several:
            self.pipeline_ = pipeline.fit(X, y)
        return self

    def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of each class of `classes_`.

        Parameters
        ----------
        X : (n, F) ndarray
            Features.

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
        X : (n, F) ndarray
            Features.

        Returns
        -------
        (n,) ndarray
        """
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    @property
    def how(self) -> str:
        """How it was set up, for the note of a table's row."""
        if self.pipeline_ is None:
            return "every training scan has the same answer, so nothing was fitted"
        strength = f"C = {self.regularisation_:g}"
        if self.chosen_:
            return f"{strength}, chosen by cross-validation on training subjects"
        if not self.choose:
            return f"{strength}, fixed"
        return f"{strength}, fixed: an answer has fewer than {N_FOLDS} training subjects"


class LinearRegressor(RegressorMixin, BaseEstimator):
    """Ridge regression on standardised features, all of it fitted on training scans.

    Parameters
    ----------
    regularisation : float, default=1.0
        Inverse penalty strength where it cannot be chosen.
    seed : int, default=0
        Seed of the inner folds.
    choose : bool, default=True
        Whether the penalty is chosen where there are subjects enough for it.

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

    def __init__(self, regularisation: float = 1.0, seed: int = 0, *, choose: bool = True) -> None:
        self.regularisation = regularisation
        self.seed = seed
        self.choose = choose

    def fit(
        self, X: NDArray[np.float64], y: ArrayLike, groups: Sequence[Hashable]
    ) -> "LinearRegressor":
        """Fit on training scans.

        Parameters
        ----------
        X : (n, F) ndarray
            Features; NaN where one is missing.
        y : (n,) array-like of float
            Numbers.
        groups : sequence of hashable
            Subject of each scan.

        Returns
        -------
        LinearRegressor
        """
        from sklearn.linear_model import Ridge

        y = np.asarray(y, dtype=np.float64)
        self.alpha_ = 1 / self.regularisation
        pipeline = _standardised(Ridge(alpha=self.alpha_))
        self.chosen_ = self.choose and enough_subjects(pipeline, y, groups)
        if self.chosen_:
            chosen = best_settings(pipeline, {"ridge__alpha": ALPHAS}, X, y, groups, seed=self.seed)
            self.alpha_ = float(chosen["ridge__alpha"])
            pipeline.set_params(**chosen)
        self.pipeline_ = pipeline.fit(X, y)
        return self

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict numbers.

        Parameters
        ----------
        X : (n, F) ndarray
            Features.

        Returns
        -------
        (n,) ndarray
        """
        return self.pipeline_.predict(X)

    @property
    def how(self) -> str:
        """How it was set up, for the note of a table's row."""
        strength = f"alpha = {self.alpha_:g}"
        if self.chosen_:
            return f"{strength}, chosen by cross-validation on training subjects"
        if not self.choose:
            return f"{strength}, fixed"
        return f"{strength}, fixed: there are fewer than {N_FOLDS} training subjects"


def _standardised(model: BaseEstimator) -> "Pipeline":
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        # A feature that no training scan has keeps its column, as a constant.
        SimpleImputer(keep_empty_features=True),
        StandardScaler(),
        model,
    )
