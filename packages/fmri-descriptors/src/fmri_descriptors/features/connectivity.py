"""Functional connectivity: correlation of regions, Fisher z of network pairs."""

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.features.networks import pair_means
from fmri_descriptors.scan import Scan

_LARGEST_R = 1 - 1e-7  # Fisher z stays finite where two columns are copies of each other


def correlation(scan: Scan) -> NDArray[np.float64]:
    """Pearson correlation of the regions over time, (N, N).

    Parameters
    ----------
    scan : Scan
        Series (T, N).

    Returns
    -------
    ndarray, (N, N)
        Symmetric with ones on the diagonal; rows and columns of masked regions are NaN.
    """
    matrix = np.full((len(scan.mask), len(scan.mask)), np.nan)
    centred = scan.timeseries[:, scan.mask] - scan.timeseries[:, scan.mask].mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=0)
    r = np.clip(unit.T @ unit, -1.0, 1.0)
    np.fill_diagonal(r, 1.0)
    matrix[np.ix_(scan.mask, scan.mask)] = r
    return matrix


def fisher_z(r: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse hyperbolic tangent of correlations; |r| counts as at most 1 - 1e-7."""
    return np.arctanh(np.clip(r, -_LARGEST_R, _LARGEST_R))


def network_pair_connectivity(
    connectivity: NDArray[np.float64], membership: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Mean Fisher z within and between networks, (K, K).

    Parameters
    ----------
    connectivity : ndarray, (N, N)
        Correlations of a scan.
    membership : ndarray of bool, (K, N)
        Which region is in which network.
    """
    return pair_means(fisher_z(connectivity), membership)
