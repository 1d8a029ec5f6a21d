"""Weighted graph measures: bctpy's definitions on the strongest edges."""

import warnings
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.features.graph.louvain import louvain, objective
from fmri_descriptors.settings import FeatureSettings

SIGNED = ("negative_sym", "negative_asym")
"""Treatments of negative edges that keep their signs."""


@dataclass(frozen=True)
class GraphMeasures:
    """Measures of one graph.

    Parameters
    ----------
    strength : ndarray, (N,)
        Strength of each region; NaN where masked.
    modularity : float
        Best Louvain modularity Q.
    global_efficiency : float
        Mean inverse shortest-path length over the positive edges.
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


def threshold(
    connectivity: NDArray[np.float64], density: float, negative_edges: str = "drop"
) -> NDArray[np.float64]:
    """Keep the strongest edges, (n, n).

    Parameters
    ----------
    connectivity : ndarray, (n, n)
        Correlations, finite.
    density : float
        Share of all n (n - 1) / 2 possible edges to keep; fewer stay where there are fewer.
    negative_edges : str
        ``"drop"`` keeps the largest positive correlations; ``"absolute"`` the largest by size,
        as positive weights; ``"negative_sym"`` and ``"negative_asym"`` the largest by size, with
        their signs.

    Returns
    -------
    ndarray, (n, n)
        Symmetric weights of size at most 1 with a zero diagonal.
    """
    sizes = np.clip(connectivity, 0.0, 1.0) if negative_edges == "drop" else np.abs(connectivity)
    np.fill_diagonal(sizes, 0.0)
    kept = np.asarray(load_bctpy().threshold_proportional(sizes, density))
    return kept * np.sign(connectivity) if negative_edges in SIGNED else kept


def strength(weights: NDArray[np.float64], *, symmetric: bool = False) -> NDArray[np.float64]:
    """Sum of each region's weights, (n,).

    With negative weights, s+ and s- being the sums of the sizes of positive and negative ones,
    it is s+ - s- s- / (s+ + s-) (Rubinov and Sporns 2011), or s+ - s- if `symmetric`.

    Parameters
    ----------
    weights : ndarray, (n, n)
        As of `threshold`.
    symmetric : bool
        Whether negative edges count as much as positive ones.
    """
    positive = np.maximum(weights, 0.0).sum(axis=0)
    negative = np.maximum(-weights, 0.0).sum(axis=0)
    share = np.divide(
        negative, positive + negative, out=np.zeros_like(negative), where=negative > 0
    )
    return positive - (negative if symmetric else share * negative)


def clustering(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted clustering coefficient of each region, (n,), for weights from 0 to 1.

    Mean geometric mean of the weights of the triangles around a region (Onnela et al. 2005), in
    closed form: the diagonal of (W^(1/3))^3 over k (k - 1). Equals bctpy's `clustering_coef_wu`.

    Parameters
    ----------
    weights : ndarray, (n, n)
        Non-negative weights with a zero diagonal.
    """
    root = np.cbrt(weights)
    triangles = ((root @ root) * root).sum(axis=1)
    degree = (weights > 0).sum(axis=1)
    return _where_closed(triangles, (degree * (degree - 1)).astype(np.float64))


def signed_clustering(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signed clustering coefficient of each region, (n,), from -1 to 1.

    Products of the three weights of the triangles around a region, over the products of the
    sizes of its own two (Costantini and Perugini 2014), in closed form; a triangle with an odd
    number of negative edges counts as negative. Equals bctpy's `clustering_coef_wu_sign` of type
    ``costantini``, which loops over all triples.

    Parameters
    ----------
    weights : ndarray, (n, n)
        Signed weights with a zero diagonal.
    """
    triangles = ((weights @ weights) * weights).sum(axis=1)
    pairs = np.abs(weights).sum(axis=1) ** 2 - (weights**2).sum(axis=1)
    return _where_closed(triangles, pairs)


def _where_closed(
    triangles: NDArray[np.float64], pairs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Ratio of closed to possible triangles; 0 where there is none."""
    return np.divide(triangles, pairs, out=np.zeros_like(triangles), where=triangles != 0)


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


def modularity(
    weights: NDArray[np.float64], seed: int, runs: int, *, symmetric: bool = False
) -> float:
    """Best Louvain modularity Q of several seeded runs; NaN for a graph without positive edges.

    Parameters
    ----------
    weights : ndarray, (n, n)
        As of `threshold`.
    seed : int
        Seed of the first run; the others follow.
    runs : int
        Number of runs.
    symmetric : bool
        Whether negative edges count as much as positive ones.
    """
    if not (weights > 0).any():
        return float("nan")
    matrix = objective(weights, symmetric=symmetric)
    return max(louvain(matrix, seed + run)[1] for run in range(runs))


def graph_measures(
    connectivity: NDArray[np.float64], settings: FeatureSettings, seed: int
) -> GraphMeasures:
    """Measure the thresholded graph of a scan.

    Parameters
    ----------
    connectivity : ndarray, (N, N)
        Correlations; NaN where a region is masked, which is then no node of the graph.
    settings : FeatureSettings
        ``graph_density``, ``negative_edges`` and ``louvain_runs``.
    seed : int
        As in `modularity`.
    """
    usable = np.isfinite(connectivity.diagonal())
    edges, symmetric = settings.negative_edges, settings.negative_edges == "negative_sym"
    weights = threshold(connectivity[np.ix_(usable, usable)], settings.graph_density, edges)
    strengths = np.full(len(connectivity), np.nan)
    strengths[usable] = strength(weights, symmetric=symmetric)
    closed = signed_clustering(weights) if edges in SIGNED else clustering(weights)
    return GraphMeasures(
        strengths,
        modularity(weights, seed, settings.louvain_runs, symmetric=symmetric),
        global_efficiency(np.maximum(weights, 0.0)),
        float(closed.mean()),
    )
