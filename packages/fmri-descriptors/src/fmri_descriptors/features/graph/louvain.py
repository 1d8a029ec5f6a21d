"""Louvain communities of a signed or unsigned weighted graph, by an objective matrix."""

import numpy as np
from numpy.typing import NDArray

_GAIN = 1e-10  # smallest gain in Q that counts, as in bctpy


def objective(weights: NDArray[np.float64], *, symmetric: bool = False) -> NDArray[np.float64]:
    """Matrix whose sum over the pairs of one community is its share of the modularity Q, (n, n).

    Without negative weights Q is Newman's. With them, Q+ and Q- being the modularities of the
    positive and of the negative edges and s the negative edges' share of all weight, it is
    Q+ - s Q- (asymmetric) or (1 - s) Q+ - s Q- (symmetric), as in Rubinov and Sporns (2011) and
    bctpy's ``negative_asym`` and ``negative_sym``.

    Parameters
    ----------
    weights : ndarray, (n, n)
        Symmetric weights with a zero diagonal, some of them positive.
    symmetric : bool
        Whether negative edges count as much as positive ones.
    """
    matrix = _above_chance(np.maximum(weights, 0.0))
    negative = np.maximum(-weights, 0.0)
    if negative.any():
        share = negative.sum() / np.abs(weights).sum()
        positive_factor = 1.0 - share if symmetric else 1.0
        matrix = positive_factor * matrix - share * _above_chance(negative)
    return matrix


def _above_chance(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    degree = weights.sum(axis=0)
    total = degree.sum()
    return weights / total - np.outer(degree, degree) / total**2


def louvain(matrix: NDArray[np.float64], seed: int) -> tuple[NDArray[np.intp], float]:
    """Communities that one greedy run finds, and their Q (Blondel et al. 2008).

    It visits the nodes in the order in which bctpy's `community_louvain` does for the same seed,
    and so finds the same communities, in less time: it does less a visit, and pools
    communities by one matrix product.

    Parameters
    ----------
    matrix : ndarray, (n, n)
        Symmetric objective, as of `objective`.
    seed : int
        Seed of the order of visits, below 2**32.

    Returns
    -------
    communities : ndarray of int, (n,)
        Numbered from 0.
    quality : float
        Sum of the objective within communities.
    """
    # The legacy generator, as bctpy's: a seed then means the same in both.
    rng = np.random.RandomState(seed)
    communities = np.arange(len(matrix))
    quality = -np.inf
    while True:
        labels = _move_nodes(matrix, rng)
        communities = labels[communities]
        inside = np.eye(labels.max() + 1)[labels]
        matrix = inside.T @ matrix @ inside
        previous, quality = quality, float(matrix.trace())
        if quality - previous <= _GAIN:
            return communities, quality


def _move_nodes(matrix: NDArray[np.float64], rng: np.random.RandomState) -> NDArray[np.intp]:
    """Move single nodes to the community that gains most, until no move gains; (n,)."""
    n_nodes = len(matrix)
    labels = np.arange(n_nodes)
    to_community = matrix.copy()  # row u: the objective between node u and each community
    own = matrix.diagonal().tolist()
    moved = True
    while moved:
        moved = False
        for node in rng.permutation(n_nodes).tolist():
            here = labels[node]
            row = to_community[node]
            gains = row + (own[node] - row[here])
            gains[here] = 0.0
            there = gains.argmax()
            if gains[there] > _GAIN:
                to_community[:, there] += matrix[node]
                to_community[:, here] -= matrix[node]
                labels[node] = there
                moved = True
    return np.unique(labels, return_inverse=True)[1]
