"""Connectivity gradients: diffusion maps, aligned to a template.

The kernel is brainspace's normalized angle over rows sparsified once, and the alignment is its
Procrustes rotation. The embedding is solved here: brainspace hands the asymmetric
diffusion operator to a symmetric Lanczos solver, so that its maps move by about 2 % with the
random starting vector. The symmetric form of the operator has the same eigenvalues, needs no
starting vector and is solved exactly.
"""

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError

N_GRADIENTS = 3
"""Gradients that are described."""

_ANISOTROPY = 0.5  # alpha of Coifman and Lafon (2006): Fokker-Planck diffusion, as in brainspace


def diffusion_map(
    connectivity: NDArray[np.float64], n_components: int, sparsity: float
) -> NDArray[np.float64]:
    """Leading non-trivial diffusion components of a connectivity matrix, (n, n_components).

    Parameters
    ----------
    connectivity : ndarray, (n, n)
        Correlations, finite.
    n_components : int
        Number of components, in descending order of their eigenvalues.
    sparsity : float
        Share of each row's smallest weights that is set to zero before the kernel.

    Returns
    -------
    ndarray, (n, n_components)
        Eigenvectors of the diffusion operator, scaled by eigenvalue / (1 - eigenvalue) (all
        diffusion times together); the entry of largest size of each column is positive.

    Raises
    ------
    InputError
        If there are too few regions for the components.
    """
    from brainspace.gradient.kernels import compute_affinity

    n_regions = len(connectivity)
    if n_regions < n_components + 2:
        most = n_regions - 2
        fix = (
            f"give at most {most}"
            if most >= N_GRADIENTS
            else f"{N_GRADIENTS} gradients need {N_GRADIENTS + 2} regions, so describe a finer "
            "parcellation"
        )
        raise InputError(
            f"gradient_components: {n_components}, but only {n_regions} regions are usable; {fix}"
        )
    affinity = compute_affinity(connectivity, kernel="normalized_angle", sparsity=sparsity)
    return _embed(affinity, n_components)


def _embed(affinity: NDArray[np.float64], n_components: int) -> NDArray[np.float64]:
    degree = affinity.sum(axis=1)
    weights = affinity / np.outer(degree, degree) ** _ANISOTROPY
    root = np.sqrt(weights.sum(axis=1))
    eigenvalues, eigenvectors = np.linalg.eigh(weights / np.outer(root, root))
    eigenvalues = eigenvalues[::-1][: n_components + 1]
    maps = eigenvectors[:, ::-1][:, : n_components + 1] / root[:, None]
    # The first eigenvector is constant and carries no gradient; it sets the scale of the others.
    maps = maps[:, 1:] / maps[:, [0]]
    ratio = eigenvalues[1:] / eigenvalues[0]
    maps = maps * (ratio / (1 - ratio))
    peaks = maps[np.abs(maps).argmax(axis=0), np.arange(n_components)]
    return maps * np.sign(peaks)


def align(maps: NDArray[np.float64], template: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotate maps onto a template, which fixes their order and signs.

    Parameters
    ----------
    maps, template : ndarray, (n, n_components)
        Components of a scan and of the template on the same regions; regions that the template
        does not have are NaN in it, and are rotated with the others.

    Returns
    -------
    ndarray, (n, n_components)
        The maps after the orthogonal rotation that brings them closest to the template (as
        brainspace's `procrustes`); no scaling, so the range of a gradient stays the scan's own.

    Raises
    ------
    InputError
        If they share fewer regions than there are components.
    """
    from scipy.linalg import orthogonal_procrustes

    shared = np.isfinite(template[:, 0])
    if shared.sum() < template.shape[1]:
        raise InputError(
            f"gradient template: the scan has {int(shared.sum())} of its regions, but aligning "
            f"{template.shape[1]} components needs as many; leave the scan out"
        )
    rotation, _ = orthogonal_procrustes(maps[shared], template[shared])
    return np.asarray(maps @ rotation)


def scan_gradients(
    connectivity: NDArray[np.float64], template: NDArray[np.float64], sparsity: float
) -> NDArray[np.float64]:
    """Gradients of a scan in the order and with the signs of the template, (N, 3).

    Parameters
    ----------
    connectivity : ndarray, (N, N)
        Correlations; NaN where a region is masked.
    template : ndarray, (N, n_components)
        Components to align to; NaN for regions that the template does not have.
    sparsity : float
        As in `diffusion_map`.

    Returns
    -------
    ndarray, (N, 3)
        NaN where a region is masked.
    """
    usable = np.isfinite(connectivity.diagonal())
    maps = diffusion_map(connectivity[np.ix_(usable, usable)], template.shape[1], sparsity)
    gradients = np.full((len(connectivity), N_GRADIENTS), np.nan)
    gradients[usable] = align(maps, template[usable])[:, :N_GRADIENTS]
    return gradients
