"""Amplitude and frequency content of time courses, at the scan's own TR."""

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.settings import FeatureSettings


def amplitude_spectrum(
    courses: NDArray[np.float64], tr: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Amplitude at each frequency after removing the linear trend.

    Parameters
    ----------
    courses : ndarray, (T, C)
        Time courses.
    tr : float
        Repetition time, in seconds.

    Returns
    -------
    frequencies : ndarray, (F,)
        In Hz, from 0 to the Nyquist frequency.
    amplitudes : ndarray, (F, C)
        Square root of the one-sided periodogram, up to one common factor.
    """
    from scipy.signal import detrend

    spectrum = np.abs(np.fft.rfft(detrend(courses, axis=0), axis=0))
    frequencies = np.fft.rfftfreq(len(courses), d=tr)
    # Every frequency but 0 and, for even T, the last stands for a pair of mirrored ones.
    paired = np.full(len(frequencies), np.sqrt(2.0))
    paired[0] = 1.0
    if len(courses) % 2 == 0:
        paired[-1] = 1.0
    return np.asarray(frequencies, dtype=np.float64), np.asarray(spectrum * paired[:, None])


def band(frequencies: NDArray[np.float64], low: float, high: float) -> NDArray[np.bool_]:
    """Which frequencies lie from low to high, (F,); 0 never does, as there is no amplitude left."""
    slack = 1e-6 * high
    return (frequencies > 0) & (frequencies >= low - slack) & (frequencies <= high + slack)


def falff(
    courses: NDArray[np.float64], tr: float, settings: FeatureSettings
) -> NDArray[np.float64]:
    """Fractional amplitude of low-frequency fluctuations, (C,).

    Amplitude summed over the low band, over that from 0 to the end of the total band (Zou et al.
    2008). Both are given in Hz, so that scans of different TR compare.

    Parameters
    ----------
    courses : ndarray, (T, C)
        Time courses.
    tr : float
        Repetition time, in seconds.
    settings : FeatureSettings
        ``falff_low_hz``, ``falff_high_hz`` and ``falff_total_hz``.
    """
    frequencies, amplitudes = amplitude_spectrum(courses, tr)
    low = band(frequencies, settings.falff_low_hz, settings.falff_high_hz)
    total = band(frequencies, 0.0, settings.falff_total_hz)
    return amplitudes[low].sum(axis=0) / amplitudes[total].sum(axis=0)


def spectral_ratio(
    courses: NDArray[np.float64], tr: float, settings: FeatureSettings
) -> NDArray[np.float64]:
    """Low- to high-frequency power, (C,) (Allen et al. 2011).

    Parameters
    ----------
    courses : ndarray, (T, C)
        Time courses.
    tr : float
        Repetition time, in seconds.
    settings : FeatureSettings
        ``ratio_low_hz`` to ``ratio_split_hz`` over ``ratio_high_from_hz`` to ``ratio_high_hz``.
        The power at 0 itself does not count, as the mean is removed.
    """
    frequencies, amplitudes = amplitude_spectrum(courses, tr)
    low = band(frequencies, settings.ratio_low_hz, settings.ratio_split_hz)
    high = band(frequencies, settings.ratio_high_from_hz, settings.ratio_high_hz)
    return (amplitudes[low] ** 2).sum(axis=0) / (amplitudes[high] ** 2).sum(axis=0)


def windowed_variability(
    courses: NDArray[np.float64], tr: float, window_seconds: float
) -> NDArray[np.float64]:
    """How much the amplitude changes over the scan, (C,).

    Coefficient of variation (n - 1 in the denominator) over consecutive windows of each window's
    standard deviation. All windows are equally long and frames after the last whole one do not
    count, so that longer scans are not more variable; a scan shorter than two windows is halved.

    Parameters
    ----------
    courses : ndarray, (T, C)
        Time courses.
    tr : float
        Repetition time, in seconds.
    window_seconds : float
        Window length, in seconds.
    """
    n_frames = max(1, min(round(window_seconds / tr), len(courses) // 2))
    n_windows = len(courses) // n_frames
    windows = courses[: n_windows * n_frames].reshape(n_windows, n_frames, -1)
    spread = windows.std(axis=1)
    return np.asarray(spread.std(axis=0, ddof=1) / spread.mean(axis=0))
