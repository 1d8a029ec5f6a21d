"""Which voxels or grayordinates of each region hold data."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation


class Coverage:
    """Counts, over the frames of one scan, the points of each region that hold data.

    A point that is NaN or 0 in every frame lies outside of what was measured.

    Parameters
    ----------
    path : Path
        File of the scan, for messages.
    regions : ndarray of int, (points,)
        Column of each point.
    parcellation : Parcellation
        The N regions.
    """

    def __init__(
        self, path: Path, regions: NDArray[np.integer], parcellation: Parcellation
    ) -> None:
        self._path = path
        self._regions = regions
        self._parcellation = parcellation
        self._filled = np.zeros(regions.size, bool)
        self._present = np.zeros(regions.size, bool)
        self._missing = np.zeros(regions.size, np.int64)

    def add(self, values: NDArray[np.float64], points: slice = slice(None)) -> None:
        """Count some frames of some points.

        Parameters
        ----------
        values : ndarray, (frames, points)
            What was measured.
        points : slice
            Which points; without it, all.

        Raises
        ------
        InputError
            If a value is infinite.
        """
        if np.isinf(values).any():
            label = self._label(points, np.asarray(np.isinf(values).any(axis=0)))
            raise InputError(
                f"{self._path.name}: region {label} has infinite values; repair the image"
            )
        absent: NDArray[np.bool_] = np.isnan(values)
        self._missing[points] += absent.sum(axis=0)
        self._present[points] |= ~absent.all(axis=0)
        self._filled[points] |= (~absent & (values != 0)).any(axis=0)

    def correction(self) -> NDArray[np.float64]:
        """Factor from the mean with empty points as 0 to the mean without them, (N,).

        NaN for a region without a point that holds data.

        Raises
        ------
        InputError
            If a point is NaN in some frames only.
        """
        partly = self._present & (self._missing > 0)
        if partly.any():
            raise InputError(
                f"{self._path.name}: region {self._label(slice(None), partly)} has points that are "
                "NaN in some frames only; interpolate or drop those frames"
            )
        n_regions = self._parcellation.n_regions
        points = np.bincount(self._regions, minlength=n_regions)
        filled = np.bincount(self._regions, weights=self._filled, minlength=n_regions)
        return np.divide(points, filled, out=np.full(n_regions, np.nan), where=filled > 0)

    def _label(self, points: slice, which: NDArray[Any]) -> str:
        return self._parcellation.labels[int(self._regions[points][which].min())]
