"""Covariance of the regions that a simulated cohort starts from."""

import re
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation

_SCHAEFER = re.compile(r"(?:tian3-)?schaefer(100|200|300|400)-7n")
_SUBCORTICAL_COUPLING = 0.4  # correlation of a subcortical region's signal with the cortical mean

# Shares of a region's variance where no measured connectome is at hand.
_SHARED_WITH_NEAR_NETWORKS = 0.25
_SHARED_IN_NETWORK = 0.25


def group_covariance(parcellation: Parcellation) -> NDArray[np.float64]:
    """Correlation matrix that the subjects of a parcellation vary around, (N, N).

    On Schaefer parcellations in 7-network order, the group connectome that brainspace ships (Vos
    de Wael et al. 2018, 10.1073/pnas.1803667115). Subcortical regions before it, and the regions
    of other parcellations, share a part of their signal within each network and a smaller part
    with other networks, the less the further apart the networks stand in the parcellation's list.

    Parameters
    ----------
    parcellation : Parcellation
        The N regions.

    Returns
    -------
    ndarray, (N, N)
        Positive definite, ones on the diagonal.
    """
    match = _SCHAEFER.fullmatch(parcellation.name)
    if match is None:
        return block_covariance(parcellation.networks)
    scale = int(match[1])
    n_before = parcellation.n_regions - scale
    cortex = group_connectome(scale)
    if n_before == 0:
        return cortex
    if n_before < 0:
        raise InputError(
            f"parcellation '{parcellation.name}': {parcellation.n_regions} regions, but its name "
            f"says {scale} cortical ones; give another name to a part of it"
        )
    return _with_subcortex(block_covariance(parcellation.networks[:n_before]), cortex)


@lru_cache(maxsize=4)
def group_connectome(scale: int) -> NDArray[np.float64]:
    """Group connectome of a Schaefer parcellation in 7-network order, (scale, scale).

    Equals ``brainspace.datasets.load_group_fc("schaefer", scale)``; the file is read here because
    importing that module loads VTK, which takes seconds.

    Parameters
    ----------
    scale : int
        100, 200, 300 or 400 regions.

    Raises
    ------
    InputError
        If the installed brainspace lacks the file.
    """
    name = f"schaefer_{scale}_mean_connectivity_matrix.csv"
    path = resources.files("brainspace") / "datasets" / "matrices" / "main_group" / name
    try:
        matrix = np.loadtxt(path.read_text(encoding="utf-8").splitlines(), delimiter=",")
    except OSError as error:
        raise InputError(
            f"brainspace: no group connectome {name}; install brainspace 0.1.10 or newer"
        ) from error
    np.fill_diagonal(matrix, 1.0)
    matrix = (matrix + matrix.T) / 2
    matrix.flags.writeable = False
    return matrix


def block_covariance(networks: tuple[str, ...]) -> NDArray[np.float64]:
    """Correlation matrix with a block a network, (N, N).

    Parameters
    ----------
    networks : tuple of str, length N
        Network of each region.
    """
    names = list(dict.fromkeys(networks))
    place = np.array([names.index(network) for network in networks])
    apart = np.abs(place[:, None] - place) / len(names)
    covariance = _SHARED_WITH_NEAR_NETWORKS * np.exp(-2 * apart)
    covariance += _SHARED_IN_NETWORK * (apart == 0)
    np.fill_diagonal(covariance, 1.0)
    return covariance


def _with_subcortex(
    subcortex: NDArray[np.float64], cortex: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Each subcortical region is a part of the cortical mean and a part of its own block."""
    mean_with_cortex = cortex.mean(axis=0) / np.sqrt(cortex.mean())
    a = _SUBCORTICAL_COUPLING
    cross = np.tile(a * mean_with_cortex, (len(subcortex), 1))
    own = a**2 + (1 - a**2) * subcortex
    return np.block([[own, cross], [cross.T, cortex]])
