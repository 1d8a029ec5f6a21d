"""A transform coder in its textbook form, and the bound of a Gaussian, for `rate_distortion.py`.

Karhunen-Loeve across space and along time; a uniform-threshold quantizer with a dead zone, its
rounding offset chosen on some of the training subjects; reconstruction at the centroid of each
interval; ideal entropy coding of Laplace variables with the training variances (Sullivan, 1996).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

OFFSETS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
"""Rounding offsets to choose from; 0.5 rounds to the nearest and has no dead zone."""

Floats = NDArray[np.float64]


class Axes(NamedTuple):
    """Separable Karhunen-Loeve transform of a step.

    Attributes
    ----------
    temporal : ndarray, shape (P, P)
    spatial : ndarray, shape (N, N)
    variances : ndarray, shape (P * N,)
        Of the components over the training steps.
    """

    temporal: Floats
    spatial: Floats
    variances: Floats

    def components(self, steps: Floats) -> Floats:
        """Components of steps, shape (n, P * N), from steps of shape (n, P, N)."""
        return to_components(steps, self.temporal, self.spatial)


def fit_axes(steps: Floats) -> Axes:
    """Axes and variances of training steps, shape (n, P, N)."""
    _, temporal = np.linalg.eigh(np.einsum("spn,sqn->pq", steps, steps))
    _, spatial = np.linalg.eigh(np.einsum("spn,spm->nm", steps, steps))
    components = to_components(steps, temporal, spatial)
    return Axes(temporal, spatial, np.square(components).mean(axis=0))


def to_components(steps: Floats, temporal: Floats, spatial: Floats) -> Floats:
    """Components of steps along pairs of axes, shape (n, P * N)."""
    products = np.einsum("spn,pj,nc->sjc", steps, temporal, spatial, optimize=True)
    return products.reshape(len(steps), -1)


def best_offset(fitted: Floats, judged: Floats, bits: float) -> float:
    """Return the rounding offset with the least error on steps that were not fitted to."""
    return min(OFFSETS, key=lambda offset: transform_coder_error(fitted, judged, bits, offset))


def transform_coder_error(fitted: Floats, judged: Floats, bits: float, offset: float) -> float:
    """Sum of squared errors over the sum of squares, at the step size that spends the bits.

    Parameters
    ----------
    fitted, judged : ndarray, shape (n, P, N)
        Training steps, and those that are coded.
    bits : float
        Mean code length, over N tokens a step.
    offset : float
    """
    axes = fit_axes(fitted)
    components = axes.components(judged)
    scale = np.sqrt(axes.variances / 2)

    def cost(width: float) -> float:
        return float(code_lengths(components, width, offset, scale).sum() / len(components))

    width = solve(cost, bits * judged.shape[2])
    error = components - reconstructed(components, width, offset, scale)
    return float(np.square(error).sum() / np.square(components).sum())


def levels(components: Floats, width: float, offset: float) -> Floats:
    """Whole number of each component's interval; 0 in the dead zone."""
    return np.sign(components) * np.floor(np.abs(components) / width + offset)


def code_lengths(components: Floats, width: float, offset: float, scale: Floats) -> Floats:
    """Bits of each component's level, if it were a Laplace variable of this scale."""
    sizes = np.abs(levels(components, width, offset))
    lower = (sizes - offset) * width
    tail = np.exp(-np.maximum(lower, 0) / scale) * -np.expm1(-width / scale) / 2
    dead = -np.expm1(-(1 - offset) * width / scale)
    return -np.log2(np.maximum(np.where(sizes == 0, dead, tail), 1e-12))


def reconstructed(components: Floats, width: float, offset: float, scale: Floats) -> Floats:
    """Mean of the Laplace variable over each component's interval."""
    found = levels(components, width, offset)
    sizes = np.abs(found)
    ratio = np.minimum(width / scale, 500)  # beyond that the interval is a tail without an end
    into = scale - np.where(ratio < 500, width / np.expm1(ratio), 0)
    return np.where(sizes == 0, 0, np.sign(found) * ((sizes - offset) * width + into))


def gaussian_bound(axes: Axes, bits: float) -> float:
    """Least possible error of a Gaussian with the training covariance, at the same bits."""
    variances = axes.variances

    def rate(level: float) -> float:
        return float(np.maximum(0, np.log2(variances / level) / 2).sum())

    level = solve(rate, bits * len(axes.spatial))
    return float(np.minimum(variances, level).sum() / variances.sum())


def solve(falling: Callable[[float], float], wanted: float) -> float:
    """Argument at which a falling function of a positive number has a value."""
    low, high = 1e-6, 1e6
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if falling(middle) > wanted else (low, middle)
    return middle
