"""Features of regions for position embeddings: connectivity gradients, and coordinates.

Gradients are diffusion maps (Coifman and Lafon, 2006) of the mean connectivity over training scans,
as in the position embeddings of Brain-JEPA: regions with similar connections get similar values.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from fmri_vqtok.errors import InputError

if TYPE_CHECKING:
    from fmri_vqtok.config.stages import FitTokenizerSettings
    from fmri_vqtok.data.window_dataset import NormalisedScan
    from fmri_vqtok.formats.cohort import Cohort

KEPT = 0.1
"""Fraction of a region's connections, the strongest, that its profile keeps."""

ANISOTROPY = 0.5
"""Alpha of the diffusion map: Fokker-Planck diffusion."""


def training_features(
    cohort: "Cohort", scans: Sequence["NormalisedScan"], settings: "FitTokenizerSettings"
) -> Tensor | None:
    """Region features that the settings ask for; None for learned positions.

    Parameters
    ----------
    cohort : Cohort
    scans : sequence of NormalisedScan
        Training scans.
    settings : FitTokenizerSettings

    Returns
    -------
    Tensor of float32, shape (N, F), or None

    Raises
    ------
    InputError
        If the cohort has no centroids but they are asked for, or too few regions.
    """
    if settings.region_positions == "learned":
        return None
    with_centroids = settings.region_positions == "geometry"
    if with_centroids and cohort.centroids is None:
        raise InputError(
            f"{cohort.directory}: parcellation '{cohort.parcellation}' has no centroids, which "
            "region_positions 'geometry' needs; give 'gradients' or 'learned'"
        )
    return region_features(
        [scan.series for scan in scans],
        [scan.mask for scan in scans],
        settings.n_gradients,
        cohort.centroids if with_centroids else None,
    )


def mean_connectivity(
    series: Sequence[Tensor], masks: Sequence[Tensor]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Mean correlation of regions over scans, averaged as Fisher z.

    Parameters
    ----------
    series : sequence of Tensor, shape (T_i, N)
    masks : sequence of Tensor of bool, shape (N,)
        Regions of each scan that are present; a pair is averaged over the scans that have both.

    Returns
    -------
    connectivity : ndarray, shape (N, N)
        0 for pairs that no scan has; 0 on the diagonal.
    seen : ndarray of bool, shape (N,)
        Regions that at least one scan has.
    """
    n_regions = len(masks[0])
    total = np.zeros((n_regions, n_regions))
    counts = np.zeros((n_regions, n_regions))
    for values, mask in zip(series, masks, strict=True):
        present = np.flatnonzero(mask.numpy())
        if len(present) < 2:
            continue  # nothing to correlate
        r = np.atleast_2d(np.corrcoef(values.numpy()[:, present].astype(np.float64).T))
        np.fill_diagonal(r, 0.0)
        pairs = np.ix_(present, present)
        total[pairs] += np.arctanh(np.clip(r, -0.9999999, 0.9999999))
        counts[pairs] += 1
    return np.tanh(total / np.maximum(counts, 1)), np.diag(counts) > 0


def diffusion_gradients(connectivity: NDArray[np.float64], n_gradients: int) -> NDArray[np.float64]:
    """Leading non-trivial components of the diffusion map of connectivity profiles.

    Parameters
    ----------
    connectivity : ndarray, shape (N, N)
    n_gradients : int

    Returns
    -------
    ndarray, shape (N, n_gradients)
        Strongest first, scaled by eigenvalue / (1 - eigenvalue); the entry of largest size of each
        is positive.

    Raises
    ------
    InputError
        If there are too few regions.
    """
    n_regions = len(connectivity)
    if n_gradients > n_regions - 2:
        raise InputError(
            f"n_gradients: {n_gradients}, but only {n_regions} regions have a signal; give at most "
            f"{max(n_regions - 2, 0)}, or region_positions 'learned'"
        )
    affinity = _affinity(connectivity)
    degree = affinity.sum(axis=1)
    weights = affinity / np.outer(degree, degree) ** ANISOTROPY
    root = np.sqrt(weights.sum(axis=1))
    # The symmetric form of the diffusion operator: the same eigenvalues, solved exactly.
    values, vectors = np.linalg.eigh(weights / np.outer(root, root))
    values, vectors = values[::-1], vectors[:, ::-1] / root[:, None]
    maps = vectors[:, 1 : n_gradients + 1] / vectors[:, :1]
    maps = maps * (values[1 : n_gradients + 1] / (1 - values[1 : n_gradients + 1]))
    largest = np.take_along_axis(maps, np.abs(maps).argmax(axis=0)[None], axis=0)
    return maps * np.sign(largest)


def region_features(
    series: Sequence[Tensor],
    masks: Sequence[Tensor],
    n_gradients: int,
    centroids: ArrayLike | None,
) -> Tensor:
    """Gradients of training scans and, if given, coordinates of each region.

    Parameters
    ----------
    series : sequence of Tensor, shape (T_i, N)
        Training scans.
    masks : sequence of Tensor of bool, shape (N,)
    n_gradients : int
    centroids : array_like, shape (N, 3), or None
        In mm.

    Returns
    -------
    Tensor of float32, shape (N, n_gradients) or (N, n_gradients + 3)
        Gradients of a region that no scan has are their mean over the others.

    Raises
    ------
    InputError
        If there are too few regions for so many gradients.
    """
    connectivity, seen = mean_connectivity(series, masks)
    gradients = diffusion_gradients(connectivity[np.ix_(seen, seen)], n_gradients)
    columns = np.tile(gradients.mean(axis=0), (len(seen), 1))
    columns[seen] = gradients
    if centroids is not None:
        columns = np.hstack([columns, np.asarray(centroids, dtype=np.float64)])
    return torch.from_numpy(columns.astype(np.float32))


def _affinity(connectivity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalised angle between profiles of the strongest connections: 1 if equal, 0 if opposite."""
    lowest = np.quantile(connectivity, 1 - KEPT, axis=1, keepdims=True)
    profiles = np.where(connectivity >= lowest, connectivity, 0.0)
    lengths = np.linalg.norm(profiles, axis=1, keepdims=True)
    profiles = profiles / np.where(lengths > 0, lengths, 1.0)
    return 1 - np.arccos(np.clip(profiles @ profiles.T, -1, 1)) / np.pi
