"""Amplitude and frequency content of time courses, at the scan's own TR."""

import math

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.settings import FeatureSettings


def require_bands(scan_id: str, n_frames: int, tr: float, settings: FeatureSettings) -> None:
    """Raise if a scan cannot show the bands of the settings.

    Parameters
    ----------
    scan_id : str
        Scan to name.
    n_frames : int
        Its frames T.
    tr : float
        Its repetition time, in seconds.
    settings : FeatureSettings
        The bands, in Hz.

    Raises
    ------
    InputError
        If a band ends above the Nyquist frequency 1 / (2 TR), or the scan is shorter than one
        period of a band's lowest frequency.
    """
    nyquist = 0.5 / tr
    for key in ("falff_total_hz", "ratio_high_hz"):
        highest = getattr(settings, key)
        if highest > nyquist * (1 + 1e-6):
            raise InputError(
                f"{scan_id}: {key} {highest} lies above the Nyquist frequency {nyquist:.4f} Hz of "
                f"TR {tr} s; set it to {math.floor(nyquist * 1000) / 1000} or lower for the whole "
                "cohort"
            )
    seconds = n_frames * tr
    for key in ("falff_low_hz", "ratio_low_hz"):
        lowest = getattr(settings, key)
        if seconds * lowest < 1 - 1e-6:
            raise InputError(
                f"{scan_id}: {seconds:.1f} s hold no full period of {key} {lowest}; a scan of "
                f"{1 / lowest:.0f} s or a higher {key} is needed"
            )


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


def _band(frequencies: NDArray[np.float64], low: float, high: float) -> NDArray[np.bool_]:
    slack = 1e-6 * high
    return (frequencies >= low - slack) & (frequencies <= high + slack)


def falff(
    courses: NDArray[np.float64], tr: float, settings: FeatureSettings
) -> NDArray[np.float64]:
    """Fractional amplitude of low-frequency fluctuations, (C,).

    Amplitude summed over the low band, over that of the total band (Zou et al. 2008). Both
    bands are given in Hz, so that scans of different TR compare.

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
    low = _band(frequencies, settings.falff_low_hz, settings.falff_high_hz)
    total = _band(frequencies, settings.falff_low_hz, settings.falff_total_hz)
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
    """
    frequencies, amplitudes = amplitude_spectrum(courses, tr)
    low = _band(frequencies, settings.ratio_low_hz, settings.ratio_split_hz)
    high = _band(frequencies, settings.ratio_high_from_hz, settings.ratio_high_hz)
    return (amplitudes[low] ** 2).sum(axis=0) / (amplitudes[high] ** 2).sum(axis=0)


def windowed_variability(
    courses: NDArray[np.float64], tr: float, window_seconds: float
) -> NDArray[np.float64]:
    """How much the amplitude changes over the scan, (C,).

    Standard deviation over consecutive windows of each window's standard deviation, divided by
    its mean over the windows. A scan shorter than two windows is halved.

    Parameters
    ----------
    courses : ndarray, (T, C)
        Time courses.
    tr : float
        Repetition time, in seconds.
    window_seconds : float
        Window length, in seconds.
    """
    n_windows = max(2, int(len(courses) * tr / window_seconds))
    spread = np.stack([part.std(axis=0) for part in np.array_split(courses, n_windows)])
    return spread.std(axis=0) / spread.mean(axis=0)
