"""A pipeline whose settings are chosen by folds of the training subjects."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectKBest, SelectorMixin
from sklearn.pipeline import Pipeline

from fmri_descriptors.probing.folds import count_subjects

_LEAST = 1e-12  # a class that the training scans lack costs the same with every candidate


def grid_search(
    pipeline: Pipeline,
    grid: Mapping[str, Sequence[Any]],
    y: NDArray[Any],
    subjects: NDArray[Any],
    *,
    n_folds: int,
    seed: int,
) -> BaseEstimator:
    """Return a `GridSearchCV` whose folds keep every subject's scans together, not fitted.

    Candidates are compared by log loss where the pipeline gives probabilities, else by squared
    error, summed over all held-out scans.

    Parameters
    ----------
    pipeline : Pipeline
        Preprocessing and model; all of it is fitted on the training part of each fold.
    grid : mapping of str to sequence
        Values to choose from, by the name of the parameter.
    y, subjects : ndarray, (n,)
        Targets and subjects of the training scans.
    n_folds : int
        Inner folds. Where a class has fewer subjects, the middle candidate is taken unsearched.
    seed : int
        Seed of the inner folds.
    """
    from sklearn.model_selection import GridSearchCV, ParameterGrid, StratifiedGroupKFold

    category = hasattr(pipeline, "predict_proba")
    classes = y if category else np.zeros(len(y))
    candidates = list(ParameterGrid(grid))
    fewest = min(count_subjects(classes.tolist(), subjects.tolist()).values())
    if len(candidates) == 1 or fewest < n_folds:
        return pipeline.set_params(**candidates[len(candidates) // 2])
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    splits = list(folds.split(classes, classes, groups=subjects))
    scoring = _log_likelihood if category else _negative_squared_error
    return GridSearchCV(pipeline, grid, cv=splits, scoring=scoring)


def _log_likelihood(model: Pipeline, X: Any, y: NDArray[Any]) -> float:
    # `neg_log_loss` of scikit-learn has no value where the held-out scans have another class.
    of_true = (model.predict_proba(X) * (y[:, None] == model.classes_)).sum(axis=1)
    return float(np.log(np.maximum(of_true, _LEAST)).sum())


def _negative_squared_error(model: Pipeline, X: Any, y: NDArray[Any]) -> float:
    return -float(((model.predict(X) - y) ** 2).sum())


class SeenColumns(SelectorMixin, BaseEstimator):
    """Keep the columns of a sparse matrix in which some training scan has a value."""

    def fit(self, X: Any, y: Any = None) -> "SeenColumns":  # noqa: ARG002 - as pipelines call it
        """Look which columns the training scans use."""
        self.seen_ = X.getnnz(axis=0) > 0
        self.n_features_in_ = X.shape[1]
        return self

    def _get_support_mask(self) -> NDArray[np.bool_]:
        return np.asarray(self.seen_)


class SelectUpToKBest(SelectKBest):
    """scikit-learn's `SelectKBest` that keeps all columns, silently, where there are no more."""

    def fit(self, X: Any, y: Any) -> "SelectUpToKBest":
        """Test every column of the training scans; a constant one comes last."""
        with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
            warnings.simplefilter("ignore", UserWarning)  # of constant columns, and of a large k
            return super().fit(X, y)
