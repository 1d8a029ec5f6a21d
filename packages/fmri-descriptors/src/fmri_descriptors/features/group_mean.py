"""Means over a cohort that is read once, one scan at a time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.features.connectivity import correlation, fisher_z
from fmri_descriptors.parcellation.parcellation import Parcellation, require_same_order
from fmri_descriptors.scan import Scan


class CohortMean:
    """Running means of Fisher z and of correlation, over the scans that have both regions.

    The N x N sums are all that is held. The mean correlation is the covariance of the z-scored
    frames of all scans, each scan counting the same, so that a principal component analysis of
    it is that of the concatenated cohort: exactly, and whatever the order of the scans, where an
    incremental one drops the smaller components of every batch.
    """

    def __init__(self) -> None:
        self.scan_ids: list[str] = []
        self._parcellation: Parcellation | None = None
        self._sums: dict[str, Any] = {"z": 0.0, "r": 0.0, "n": 0.0}

    @property
    def parcellation(self) -> Parcellation:
        """Regions of the scans."""
        if self._parcellation is None:
            raise InputError("no scan to fit on; give at least one training scan")
        return self._parcellation

    def add(self, scan: Scan) -> None:
        """Count one more scan."""
        if self._parcellation is None:
            self._parcellation = scan.parcellation
        require_same_order(scan.parcellation, self._parcellation, scan.scan_id)
        r = correlation(scan)
        self._sums["n"] = self._sums["n"] + np.isfinite(r)
        self._sums["r"] = self._sums["r"] + np.nan_to_num(r)
        self._sums["z"] = self._sums["z"] + np.nan_to_num(fisher_z(r))
        self.scan_ids.append(scan.scan_id)

    def _mean(self, name: str) -> NDArray[np.float64]:
        count = np.asarray(self._sums["n"])
        mean = np.asarray(self._sums[name]) / np.maximum(count, 1)
        unseen = count.diagonal() == 0
        mean[unseen] = mean[:, unseen] = np.nan
        return mean

    def connectivity(self) -> NDArray[np.float64]:
        """Hyperbolic tangent of the mean Fisher z, (N, N); NaN for regions that no scan has."""
        mean = np.tanh(self._mean("z"))
        np.fill_diagonal(mean, np.where(np.isfinite(mean.diagonal()), 1.0, np.nan))
        return mean

    def covariance(self) -> NDArray[np.float64]:
        """Mean correlation, (N, N): covariance of the scans' z-scored frames."""
        return self._mean("r")
