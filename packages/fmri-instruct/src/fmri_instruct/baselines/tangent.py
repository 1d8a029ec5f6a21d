"""Tangent-space connectome: covariances of regions about their mean over the training scans.

Covariance matrices lie on a curved space, in which a difference of two of them is none. Whitened by
a mean matrix and their logarithm taken, they are vectors of a flat space that touches it there.

References
----------
Varoquaux et al. (2010), MICCAI, 200-208, for the tangent space; Ledoit & Wolf (2004), Journal of
Multivariate Analysis 88, 365-411, for the shrinkage; Fletcher & Joshi (2007), Signal Processing 87,
250-262, for the geometric mean.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin

__all__ = ["TangentSpace", "shrunk_covariance"]

Mapped = Callable[[NDArray[np.float64]], NDArray[np.float64]]

COMPLETIONS = 3  # rounds of filling missing regions and averaging
ITERATIONS = 20
TOLERANCE = 1e-7  # of the gradient, per entry of a matrix


def shrunk_covariance(bold: ArrayLike) -> NDArray[np.float64]:
    """Covariance of the regions of a scan, shrunk as Ledoit and Wolf have it.

    Parameters
    ----------
    bold : (T, N) array-like
        A scan; a region without signal is constant.

    Returns
    -------
    (N, N) ndarray of float64
        Positive definite, but for the rows and columns of constant regions, which are NaN.
    """
    from sklearn.covariance import ledoit_wolf

    series = np.asarray(bold, dtype=np.float64)
    seen = np.flatnonzero(np.ptp(series, axis=0) > 0)
    found = np.full((series.shape[1],) * 2, np.nan)
    if len(seen):
        found[np.ix_(seen, seen)] = ledoit_wolf(series[:, seen])[0]
    return found


class TangentSpace(TransformerMixin, BaseEstimator):
    """Covariances as vectors of the tangent space at the geometric mean of training scans.

    A region that a scan lacks is filled with what the mean of the training scans predicts of it
    from the scan's other regions. A region that no training scan has is left out.

    Attributes
    ----------
    regions_ : (M,) ndarray of int
        Regions that some training scan has.
    reference_ : (M, M) ndarray
        Geometric mean of the training covariances.
    whitening_ : (M, M) ndarray
        Its inverse square root.
    """

    def fit(self, X: Sequence[NDArray[np.float64]], y: None = None) -> "TangentSpace":
        """Average the covariances of training scans.

        Parameters
        ----------
        X : sequence of (N, N) ndarray
            From `shrunk_covariance`.
        y : None
            Ignored.

        Returns
        -------
        TangentSpace
        """
        del y
        seen = np.any([~np.isnan(np.diag(each)) for each in X], axis=0)
        self.regions_ = np.flatnonzero(seen)
        covariances = [self._known(each) for each in X]
        filled = [_completed(each, np.eye(len(self.regions_))) for each in covariances]
        if any(np.isnan(each).any() for each in covariances):
            for _ in range(COMPLETIONS):
                mean = np.mean(filled, axis=0)
                filled = [_completed(each, mean) for each in covariances]
        self.reference_ = _geometric_mean(filled)
        self.whitening_ = _mapped(self.reference_, lambda values: values**-0.5)
        return self

    def transform(self, X: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Project covariances.

        Parameters
        ----------
        X : iterable of (N, N) ndarray
            From `shrunk_covariance`; one at a time is held.

        Returns
        -------
        (n, M * (M + 1) / 2) ndarray
            Upper triangle with the diagonal, row by row, of the logarithm of the whitened matrix.
        """
        edges = np.triu_indices(len(self.regions_))
        rows = [
            _logarithm(_completed(self._known(each), self.reference_), self.whitening_)[edges]
            for each in X
        ]
        return np.array(rows).reshape(-1, len(edges[0]))

    def _known(self, covariance: NDArray[np.float64]) -> NDArray[np.float64]:
        return covariance[np.ix_(self.regions_, self.regions_)]


def _completed(
    covariance: NDArray[np.float64], reference: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fill missing regions with their regression on the others, as a reference has it.

    The result is positive definite, and is the reference itself where the others are.
    """
    missing = np.isnan(np.diag(covariance))
    if not missing.any():
        return covariance
    seen = ~missing
    own = covariance[np.ix_(seen, seen)]
    across = reference[np.ix_(seen, missing)]
    weights = np.linalg.solve(reference[np.ix_(seen, seen)], across)
    filled = covariance.copy()
    filled[np.ix_(seen, missing)] = own @ weights
    filled[np.ix_(missing, seen)] = (own @ weights).T
    filled[np.ix_(missing, missing)] = (
        reference[np.ix_(missing, missing)] - across.T @ weights + weights.T @ own @ weights
    )
    return filled


def _geometric_mean(matrices: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Matrix from which the whitened logarithms of all add up to nothing, by gradient descent."""
    mean, step, last = np.mean(matrices, axis=0), 1.0, np.inf
    for _ in range(ITERATIONS):
        root = _mapped(mean, np.sqrt)
        whitening = _mapped(mean, lambda values: values**-0.5)
        gradient = np.mean([_logarithm(each, whitening) for each in matrices], axis=0)
        size = float(np.linalg.norm(gradient))
        mean = root @ _mapped(step * gradient, np.exp) @ root
        if size < TOLERANCE * mean.size:
            break
        step, last = (step / 2, last) if size > last else (step, size)
    return mean


def _logarithm(matrix: NDArray[np.float64], whitening: NDArray[np.float64]) -> NDArray[np.float64]:
    return _mapped(whitening @ matrix @ whitening, np.log)


def _mapped(matrix: NDArray[np.float64], function: Mapped) -> NDArray[np.float64]:
    """Apply a function to the eigenvalues of a symmetric matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * function(values)) @ vectors.T
