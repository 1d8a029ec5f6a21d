"""Weighted graph measures: bctpy's definitions on the strongest positive edges."""

import warnings
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class GraphMeasures:
    """Measures of one graph.

    Parameters
    ----------
    strength : ndarray, (N,)
        Sum of each region's weights; NaN where masked.
    modularity : float
        Best Louvain modularity Q.
    global_efficiency : float
        Mean inverse shortest-path length.
    mean_clustering : float
        Mean weighted clustering coefficient.
    """

    strength: NDArray[np.float64]
    modularity: float
    global_efficiency: float
    mean_clustering: float


def load_bctpy() -> ModuleType:
    """Import bctpy, whose sources hold comparisons that Python warns of when it compiles them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        import bct
    return bct


def threshold(connectivity: NDArray[np.float64], density: float) -> NDArray[np.float64]:
    """Keep the strongest positive edges, (n, n).

    Parameters
    ----------
    connectivity : ndarray, (n, n)
        Correlations, finite.
    density : float
        Share of all n (n - 1) / 2 possible edges to keep; fewer stay where fewer are positive.

    Returns
    -------
    ndarray, (n, n)
        Symmetric weights in [0, 1] with a zero diagonal. Negative edges are dropped, never made
        positive.
    """
    positive = np.clip(connectivity, 0.0, 1.0)
    np.fill_diagonal(positive, 0.0)
    return np.asarray(load_bctpy().threshold_proportional(positive, density))


def global_efficiency(weights: NDArray[np.float64]) -> float:
    """Mean inverse shortest-path length, where an edge is 1 / weight long.

    Equals bctpy's `efficiency_wei`, which takes 20 s on 450 regions where scipy takes 0.1 s.

    Parameters
    ----------
    weights : ndarray, (n, n)
        Weights in [0, 1]; zero where there is no edge.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import shortest_path

    n_regions = len(weights)
    edges = csr_array(weights)
    edges.data = 1.0 / edges.data
    lengths = shortest_path(edges, method="D", directed=False)
    np.fill_diagonal(lengths, np.inf)
    return float((1.0 / lengths).sum() / (n_regions * (n_regions - 1)))


def modularity(weights: NDArray[np.float64], seed: int, runs: int) -> float:
    """Best Louvain modularity Q of several seeded runs; NaN for a graph without edges.

    Parameters
    ----------
    weights : ndarray, (n, n)
        Non-negative weights with a zero diagonal.
    seed : int
        Seed of the first run; the others follow.
    runs : int
        Number of runs.
    """
    if not weights.any():
        return float("nan")
    louvain = load_bctpy().community_louvain
    return max(float(louvain(weights, seed=seed + run)[1]) for run in range(runs))


def graph_measures(
    connectivity: NDArray[np.float64], density: float, seed: int, runs: int
) -> GraphMeasures:
    """Measure the thresholded graph of a scan.

    Parameters
    ----------
    connectivity : ndarray, (N, N)
        Correlations; NaN where a region is masked, which is then no node of the graph.
    density : float
        As in `threshold`.
    seed, runs : int
        As in `modularity`.
    """
    usable = np.isfinite(connectivity.diagonal())
    weights = threshold(connectivity[np.ix_(usable, usable)], density)
    strength = np.full(len(connectivity), np.nan)
    strength[usable] = weights.sum(axis=0)
    return GraphMeasures(
        strength,
        modularity(weights, seed, runs),
        global_efficiency(weights),
        float(np.mean(load_bctpy().clustering_coef_wu(weights))),
    )
