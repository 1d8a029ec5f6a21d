"""Series at another repetition time or of another length."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from fmri_vqtok.errors import InputError

TR_TOLERANCE = 1e-3
"""Largest relative error of the resampled repetition time."""


def resampling_ratio(tr: float, target_tr: float) -> Fraction:
    """Fraction near tr / target_tr, within `TR_TOLERANCE` and with a small denominator.

    Raises
    ------
    InputError
        If ``tr`` is not a positive number.
    """
    if not (np.isfinite(tr) and tr > 0):
        raise InputError(f"tr: {tr}; give the repetition time in seconds, above 0")
    exact = tr / target_tr
    bound = 50
    ratio = Fraction(exact).limit_denominator(bound)
    while abs(ratio / Fraction(exact) - 1) > TR_TOLERANCE:
        bound *= 2
        ratio = Fraction(exact).limit_denominator(bound)
    return ratio


def resampled_length(n_frames: int, ratio: Fraction) -> int:
    """Frames of a series after `resample`."""
    return -(-n_frames * ratio.numerator // ratio.denominator)


def resample(values: NDArray[np.float64], ratio: Fraction) -> NDArray[np.float64]:
    """Values, shape (T, N), at the target repetition time, by polyphase anti-alias filtering."""
    if ratio == 1:
        return values
    # "line" extends each region along its trend, which avoids ringing at the edges.
    return resample_poly(values, ratio.numerator, ratio.denominator, axis=0, padtype="line")


def upsample(values: NDArray[np.float64], n_frames: int) -> NDArray[np.float64]:
    """Linear interpolation of (T, N) values to more frames, from the first to the last one."""
    old, new = np.linspace(0, 1, len(values)), np.linspace(0, 1, n_frames)
    return np.stack([np.interp(new, old, region) for region in values.T], axis=1)


def undo_upsampling(values: NDArray[np.float64], n_frames: int) -> NDArray[np.float64]:
    """Recover the ``n_frames`` that `upsample` interpolated between."""
    weights = upsample(np.eye(n_frames), len(values))
    return np.asarray(np.linalg.lstsq(weights, values, rcond=None)[0], dtype=np.float64)
