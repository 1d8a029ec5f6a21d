"""Settings of a baseline, chosen within its training subjects."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_classifier

__all__ = ["N_FOLDS", "best_settings", "enough_subjects"]

N_FOLDS = 3
"""Those of the connectome probe in `fmri_descriptors.probing`. With fewer subjects of a class, not
every fold has that class."""


def enough_subjects(model: BaseEstimator, y: NDArray[Any], groups: Sequence[Hashable]) -> bool:
    """Whether there are subjects of every class, or of a number at all, for each inner fold.

    Parameters
    ----------
    model : estimator
        A classifier or a regressor.
    y : (n,) ndarray
        Answers or numbers of the training scans.
    groups : sequence of hashable
        Subject of each.

    Returns
    -------
    bool
    """
    subjects = np.asarray(groups)
    if not is_classifier(model):
        return len(set(groups)) >= N_FOLDS
    return min(len(np.unique(subjects[y == k])) for k in np.unique(y)) >= N_FOLDS


def best_settings(
    model: BaseEstimator,
    grid: Mapping[str, Sequence[Any]],
    X: NDArray[np.float64],
    y: NDArray[Any],
    groups: Sequence[Hashable],
    *,
    seed: int,
) -> dict[str, Any]:
    """Choose settings by folds of the training scans that keep a subject's scans together.

    Parameters
    ----------
    model : estimator
        A classifier, judged by the log-likelihood of the true classes, or a regressor, judged by
        its squared error. All scans of a fold count alike.
    grid : mapping of str to sequence
        Values to choose from, by the setting's name.
    X : (n, F) ndarray
        Features of the training scans.
    y : (n,) ndarray
        Answers or numbers.
    groups : sequence of hashable
        Subject of each scan.
    seed : int
        Of the folds.

    Returns
    -------
    dict
    """
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

    classify = is_classifier(model)
    # One class for all numbers: folds of whole subjects with about equally many scans.
    strata = y if classify else np.zeros(len(y))
    folds = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=seed)
    search = GridSearchCV(
        model,
        {name: list(values) for name, values in grid.items()},
        cv=list(folds.split(X, strata, np.asarray(groups))),
        scoring=_log_likelihood if classify else _negative_squared_error,
        refit=False,
    )
    search.fit(X, y)
    return dict(search.best_params_)


def _log_likelihood(model: Any, X: NDArray[np.float64], y: NDArray[Any]) -> float:
    of_true = (model.predict_proba(X) * (y[:, None] == model.classes_)).sum(axis=1)
    # A class that the training part lacks costs the same with every setting.
    return float(np.log(np.maximum(of_true, 1e-12)).sum())


def _negative_squared_error(model: Any, X: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return -float(((model.predict(X) - y) ** 2).sum())
