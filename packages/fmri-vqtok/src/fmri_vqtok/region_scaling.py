"""Robust scaling of regions over time: median and interquartile range, and their inverse.

T frames, N regions.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from fmri_vqtok.errors import InputError
from fmri_vqtok.region_signal import has_signal

IQR_OF_NORMAL = 1.349
"""Interquartile range of the standard normal distribution."""


@dataclass(frozen=True)
class Scaling:
    """How the values of one scan were normalised, for the inverse.

    Attributes
    ----------
    center : ndarray, shape (N,)
        Median of each region, in the scan's units. The constant of a constant region; NaN
        for a region with a value that is not finite.
    spread : ndarray, shape (N,)
        Unit of the normalised series: IQR / 1.349 times the scale of the site. 0 for a missing
        region.
    n_frames : int
        Frames of the scan.
    ratio : Fraction
        Its repetition time over the target, as resampled; 1 if it was not.
    """

    center: NDArray[np.float64]
    spread: NDArray[np.float64]
    n_frames: int
    ratio: Fraction

    def undo(self, series: Tensor | ArrayLike) -> NDArray[np.float64]:
        """Normalised series or windows, shape (..., N), in the scan's units.

        Frames stay at the target repetition time. Exact for values that were not clipped.
        """
        values = series.detach().cpu().numpy() if isinstance(series, Tensor) else series
        return np.asarray(values, dtype=np.float64) * self.spread + self.center


class Normalised(NamedTuple):
    """A whole scan, normalised.

    Attributes
    ----------
    series : Tensor of float32, shape (T', N)
        At the target repetition time; T' is at least the frames of a window.
    mask : Tensor of bool, shape (N,)
        Regions that are present.
    scaling : Scaling
        For the inverse, to the scan's units.
    """

    series: Tensor
    mask: Tensor
    scaling: Scaling


def present_regions(
    timeseries: ArrayLike,
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Values with missing regions set to 0, the mask of the others, and the first frame."""
    values = np.array(timeseries, dtype=np.float64)
    if values.ndim != 2 or len(values) < 2:
        raise InputError(
            f"timeseries: shape {values.shape}; give frames by regions, with at least 2 frames"
        )
    finite = np.isfinite(values).all(axis=0)
    constant = np.where(finite, values[0], np.nan)
    values[:, ~finite] = 0.0
    mask = has_signal(values) & finite
    values[:, ~mask] = 0.0
    return values, mask, constant


def robust_z(
    values: NDArray[np.float64], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Each region minus its median, over its IQR / 1.349; with the median and that spread.

    A region that is missing or without spread is 0 and has spread 0.
    """
    low, middle, high = np.percentile(values, [25, 50, 75], axis=0)
    spread = np.where(mask, (high - low) / IQR_OF_NORMAL, 0.0)
    scaled = (values - middle) / np.where(spread > 0, spread, 1.0)
    scaled[:, spread == 0] = 0.0
    return scaled, middle, spread
