"""Averages over networks and over pairs of networks, leaving masked regions out."""

import numpy as np
from numpy.typing import NDArray


def network_means(
    values: NDArray[np.float64], membership: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Mean over the regions of each network, (K,).

    Parameters
    ----------
    values : ndarray, (N,)
        One value a region; NaN where the region is masked.
    membership : ndarray of bool, (K, N)
        Which region is in which network.

    Returns
    -------
    ndarray, (K,)
        NaN where a network has no usable region.
    """
    usable = (membership & np.isfinite(values)).astype(np.float64)
    return _ratio(usable @ np.nan_to_num(values), usable.sum(axis=1))


def pair_means(edges: NDArray[np.float64], membership: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean over the edges between each two networks and within each one, (K, K).

    Parameters
    ----------
    edges : ndarray, (N, N)
        Symmetric; NaN where a region is masked. The diagonal does not count.
    membership : ndarray of bool, (K, N)
        Which region is in which network.

    Returns
    -------
    ndarray, (K, K)
        NaN where a pair has no usable edge.
    """
    usable = np.isfinite(edges) & ~np.eye(len(edges), dtype=bool)
    members = membership.astype(np.float64)
    totals = members @ np.where(usable, edges, 0.0) @ members.T
    return _ratio(totals, members @ usable.astype(np.float64) @ members.T)


def _ratio(totals: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    means = np.full(totals.shape, np.nan)
    np.divide(totals, counts, out=means, where=counts > 0)
    return means


def pair_indices(n_networks: int, *, within: bool) -> list[tuple[int, int]]:
    """Index pairs (a, b) with a < b, or a <= b if `within`, row by row."""
    rows, columns = np.triu_indices(n_networks, k=0 if within else 1)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))
