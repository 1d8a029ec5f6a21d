"""What normalisation takes out of a scan: amplitude, spectrum, length and repetition time.

N regions, T frames.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

N_BANDS = 8
"""Frequency bands of a spectrum, equally wide from 0 to the Nyquist frequency."""

LEAST_POWER_SHARE = 1e-4
"""Shares of power are raised to this before the logarithm.

A band that a slow repetition time cannot show holds what the resampling filter leaks: less.
"""


class ScanScale(NamedTuple):
    """What normalisation takes out of a scan.

    Attributes
    ----------
    log_amplitude : ndarray of float32, shape (N,)
        Natural logarithm of each region's spread, minus the mean of the same over the training
        scans of its site. 0 for a missing region.
    spectrum : ndarray of float32, shape (N_BANDS,)
        Natural logarithm of the share of power in each frequency band, see `log_power_shares`.
    n_seconds : float
        Length of the recording.
    tr : float
        Its own repetition time, in seconds.
    """

    log_amplitude: NDArray[np.float32]
    spectrum: NDArray[np.float32]
    n_seconds: float
    tr: float


def log_spread(spread: ArrayLike, unit: ArrayLike | None = None) -> NDArray[np.float64]:
    """Natural logarithm of the spread of each region; NaN for a missing one.

    Parameters
    ----------
    spread : array_like, shape (N,)
        0 for a missing region.
    unit : array_like, shape (N,), optional
        What the spread is given in; 1 by default.
    """
    scaled = np.asarray(spread, dtype=np.float64)
    scaled = scaled if unit is None else scaled * np.asarray(unit, dtype=np.float64)
    is_known = np.isfinite(scaled) & (scaled > 0)
    return np.where(is_known, np.log(np.where(is_known, scaled, 1.0)), np.nan)


def mean_of_known(rows: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Mean over rows of shape (N,), each column over those that are no NaN; NaN without any."""
    values = np.stack(rows)
    is_known = ~np.isnan(values)
    counts = is_known.sum(axis=0)
    total = np.where(is_known, values, 0.0).sum(axis=0)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def log_power_shares(series: ArrayLike) -> NDArray[np.float32]:
    """Natural logarithm of the share of power in each of `N_BANDS` frequency bands.

    The periodogram (Hann window, mean removed) is averaged over the regions. Bands are equally wide
    from 0 to the Nyquist frequency of the series; a frequency on an edge belongs to the upper one.

    Parameters
    ----------
    series : array_like, shape (T, N)
        Regions of about equal variance.

    Returns
    -------
    ndarray of float32, shape (N_BANDS,)
        At least the logarithm of `LEAST_POWER_SHARE`. Equal shares for a series without power.
    """
    from scipy.signal import periodogram  # heavy, and readers of formats do without

    # In units of the frame rate: the Nyquist frequency is 1/2.
    hz, power = periodogram(np.asarray(series, dtype=np.float64), window="hann", axis=0)
    bands = np.minimum(hz * 2 * N_BANDS, N_BANDS - 1).astype(int)
    sums = np.zeros(N_BANDS)
    np.add.at(sums, bands, power.sum(axis=1))
    if not sums.any():
        sums[:] = 1.0
    return np.log(np.maximum(sums / sums.sum(), LEAST_POWER_SHARE)).astype(np.float32)


def nan_to_none(values: NDArray[np.float64]) -> list[float | None]:
    """Values ready for JSON."""
    return [None if np.isnan(value) else float(value) for value in values]


def none_to_nan(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Values that `nan_to_none` made ready."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
