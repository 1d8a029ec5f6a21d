"""Connectome of a scan: correlations between its regions."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["connectome"]

LARGEST_R = 1 - 1e-7  # keeps Fisher's z of two equal series finite


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
