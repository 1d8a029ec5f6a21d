"""Gradient boosting of decision trees on tabular features, such as descriptors."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin

from fmri_instruct.baselines.inner_folds import N_FOLDS, best_settings, enough_subjects

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

__all__ = ["GRID", "BoostedClassifier", "BoostedRegressor"]

GRID = {"learning_rate": (0.02, 0.1), "min_samples_leaf": (5, 20)}
"""Settings to choose from; the first of each where there are too few subjects to choose."""

FIXED = {"max_iter": 60, "max_leaf_nodes": 7, "early_stopping": False}
"""Of the trees of scikit-learn. Early stopping would part a subject's scans."""


class BoostedClassifier(ClassifierMixin, BaseEstimator):
    """Boosted trees that give probabilities of answers; a missing value is a branch of its own.

    Parameters
    ----------
    seed : int, default=0
        Of the inner folds.

    Attributes
    ----------
    classes_ : (K,) ndarray
        Answers seen in training, sorted.
    settings_ : dict
        Settings in use, of `GRID`.
    chosen_ : bool
        Whether they were chosen, by three stratified folds of the training subjects (log loss).
    model_ : sklearn.pipeline.Pipeline or None
        Empty columns set to a constant, then scikit-learn's trees; None where training holds a
        single class.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(
        self, X: NDArray[np.float64], y: ArrayLike, groups: Sequence[Hashable]
    ) -> "BoostedClassifier":
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
        BoostedClassifier
        """
        from sklearn.ensemble import HistGradientBoostingClassifier

        y = np.asarray(y)
        self.classes_ = np.unique(y)
        self.settings_: dict[str, Any] = {}
        self.model_, self.chosen_ = None, False
        if len(self.classes_) > 1:
            trees = HistGradientBoostingClassifier(**FIXED, random_state=self.seed)
            model = _without_empty_columns(trees)
            self.settings_, self.chosen_ = _settings(model, X, y, groups, self.seed)
            trees.set_params(**self.settings_)
            self.model_ = model.fit(X, y)
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
        return np.ones((len(X), 1)) if self.model_ is None else self.model_.predict_proba(X)

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
        if self.model_ is None:
            return "every training scan has the same answer, so nothing was fitted"
        few = f"an answer has fewer than {N_FOLDS} training subjects"
        return _how(self.settings_, self.chosen_, few)


class BoostedRegressor(RegressorMixin, BaseEstimator):
    """Boosted trees that predict a number; a missing value is a branch of its own.

    Parameters
    ----------
    seed : int, default=0
        Of the inner folds.

    Attributes
    ----------
    settings_ : dict
        Settings in use, of `GRID`.
    chosen_ : bool
        Whether they were chosen, by the squared error in three folds of the training subjects.
    model_ : sklearn.pipeline.Pipeline
        Empty columns set to a constant, then scikit-learn's trees.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(
        self, X: NDArray[np.float64], y: ArrayLike, groups: Sequence[Hashable]
    ) -> "BoostedRegressor":
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
        BoostedRegressor
        """
        from sklearn.ensemble import HistGradientBoostingRegressor

        y = np.asarray(y, dtype=np.float64)
        trees = HistGradientBoostingRegressor(**FIXED, random_state=self.seed)
        model = _without_empty_columns(trees)
        self.settings_, self.chosen_ = _settings(model, X, y, groups, self.seed)
        trees.set_params(**self.settings_)
        self.model_ = model.fit(X, y)
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
        return self.model_.predict(X)

    @property
    def how(self) -> str:
        """How it was set up, for the note of a table's row."""
        few = f"there are fewer than {N_FOLDS} training subjects"
        return _how(self.settings_, self.chosen_, few)


class _EmptyToConstant(TransformerMixin, BaseEstimator):
    """Columns without any training value as zeros, which scikit-learn's trees need."""

    def fit(self, X: NDArray[np.float64], y: Any = None) -> "_EmptyToConstant":
        del y
        self.empty_ = np.isnan(X).all(axis=0)
        return self

    def transform(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(self.empty_, 0.0, X)


def _without_empty_columns(trees: BaseEstimator) -> "Pipeline":
    from sklearn.pipeline import Pipeline

    return Pipeline([("columns", _EmptyToConstant()), ("trees", trees)])


def _settings(
    model: "Pipeline",
    X: NDArray[np.float64],
    y: NDArray[Any],
    groups: Sequence[Hashable],
    seed: int,
) -> tuple[dict[str, Any], bool]:
    if not enough_subjects(model, y, groups):
        return {name: values[0] for name, values in GRID.items()}, False
    grid = {f"trees__{name}": values for name, values in GRID.items()}
    best = best_settings(model, grid, X, y, groups, seed=seed)
    return {name: best[f"trees__{name}"] for name in GRID}, True


def _how(settings: dict[str, Any], chosen: bool, few: str) -> str:
    shown = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in settings.items())
    return f"{shown}, " + (
        "chosen by cross-validation on training subjects" if chosen else f"fixed: {few}"
    )
