"""Ridge regression of several targets, with a penalty for each that left-out subjects choose."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold

__all__ = ["N_FOLDS", "PENALTIES", "fit_ridge"]

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""For each scan."""

N_FOLDS = 10


def fit_ridge(
    x: NDArray[np.float64], y: NDArray[np.float64], subjects: Sequence[Hashable]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a ridge regression of each target.

    Parameters
    ----------
    x : (n, F) ndarray
        Standardised features.
    y : (n, M) ndarray
    subjects : sequence of hashable
        Of at least two subjects, that of each row. All rows of a subject lie in one of at most
        `N_FOLDS` folds.

    Returns
    -------
    weights : (M, F) ndarray
    intercepts : (M,) ndarray
    """
    _, groups = np.unique([str(each) for each in subjects], return_inverse=True)
    folds = list(GroupKFold(min(N_FOLDS, groups.max() + 1)).split(x, groups=groups))
    errors = np.zeros((len(PENALTIES), y.shape[1]))
    for k, penalty in enumerate(PENALTIES):
        for fitted_on, left_out in folds:
            fitted = Ridge(penalty * len(fitted_on)).fit(x[fitted_on], y[fitted_on])
            predicted = fitted.predict(x[left_out]).reshape(-1, y.shape[1])
            errors[k] += np.square(predicted - y[left_out]).sum(0)
    best = np.array(PENALTIES)[errors.argmin(0)]
    fitted = Ridge(best * len(x)).fit(x, y)
    return fitted.coef_.reshape(y.shape[1], -1), np.atleast_1d(fitted.intercept_)
