"""Which regions of a scan carry signal; the rest are constant, or hold rounding errors.

The same rule is in ``fmri_descriptors.region_signal``, as the two packages do not import each
other.
"""

import numpy as np
from numpy.typing import NDArray

LEAST_SHARE_OF_LEVEL = 1e-10
"""A spread below this share of the region's median is that of rounded constants."""

LEAST_SHARE = 1e-4
"""A spread up to this share of the typical one is no signal.

Removing trends from a constant leaves 1e-13 of its level in double precision and 1e-6 to 1e-5 of
the other regions' spread in single precision; a region of which one voxel in a hundred lies in the
field of view still has 1e-2.
"""


def has_signal(series: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Regions whose spread is neither zero nor rounding error, shape (N,).

    The spread is the interquartile range, so a region that holds one value in three quarters of
    its frames has none, whatever the others do. It has to exceed `LEAST_SHARE` of the scan's
    typical spread: the median over the regions that exceed that share of the largest, so that
    the rule holds where most regions are empty.

    Parameters
    ----------
    series : ndarray, shape (T, N)
        Frames, then regions. A region with a value that is not finite has no signal.
    """
    finite = np.isfinite(series).all(axis=0)
    filled = np.where(finite, series, 0.0)
    low, middle, high = np.percentile(filled, [25, 50, 75], axis=0)
    spread = high - low
    spread[spread <= LEAST_SHARE_OF_LEVEL * np.abs(middle)] = 0.0
    counted = spread[spread > LEAST_SHARE * spread.max(initial=0.0)]
    typical = np.median(counted) if counted.size else 0.0
    return np.asarray(spread > LEAST_SHARE * typical)
