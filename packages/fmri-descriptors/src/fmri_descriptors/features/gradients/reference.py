"""The principal gradient of a published connectome, to hold a cohort's template against."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.features.gradients.gradients import N_GRADIENTS, diffusion_map
from fmri_descriptors.parcellation.parcellation import Parcellation, load_parcellation

SENSORY_TO_ASSOCIATION = 0.7
"""Correlation with the reference from which a gradient is said to part sensory from association
regions: they share half of their variance. Of one connectome in two samples it is 0.99."""

_SCHAEFER = "schaefer400-7n"
_SPARSITY = 0.9
_REACH = 25.0  # mm from the centre of a region to that of a parcel that may stand for it
_FEWEST = 20  # regions that a correlation needs


@lru_cache(maxsize=1)
def reference_gradient() -> NDArray[np.float64]:
    """Return the principal gradient of brainspace's group connectome on Schaefer-400, (400,).

    Sensory regions are negative and association regions positive (Margulies et al. 2016; Vos de
    Wael et al. 2020). Rows are in 7-network order, as those of the connectome.
    """
    from brainspace.datasets import load_group_fc

    gradient = diffusion_map(load_group_fc("schaefer", scale=400), 1, _SPARSITY)[:, 0]
    networks = np.asarray(load_parcellation(_SCHAEFER).networks)
    contrast = gradient[networks == "Default Mode"].mean() - gradient[networks == "Visual"].mean()
    return np.asarray(gradient * np.sign(contrast))


def reference_on(parcellation: Parcellation) -> NDArray[np.float64] | None:
    """Bring the reference gradient to the regions of a parcellation, by their places.

    Parameters
    ----------
    parcellation : Parcellation
        Regions with centroids in MNI space.

    Returns
    -------
    ndarray, (N,), or None
        Mean over the parcels of Schaefer-400 whose centre is nearest to the region's, at most 25
        mm away; NaN for regions without. None where the parcellation has no centroids.
    """
    if parcellation.centroids is None:
        return None
    parcels = np.asarray(load_parcellation(_SCHAEFER).centroids)
    places = np.asarray(parcellation.centroids)
    distances = np.linalg.norm(parcels[:, None] - places[None], axis=2)
    nearest = distances.argmin(axis=1)
    reached = distances.min(axis=1) <= _REACH
    gradient = reference_gradient()
    sums = np.bincount(nearest[reached], gradient[reached], parcellation.n_regions)
    counts = np.bincount(nearest[reached], minlength=parcellation.n_regions)
    return np.divide(sums, counts, out=np.full(len(places), np.nan), where=counts > 0)


def reference_correlations(
    template: NDArray[np.float64], parcellation: Parcellation
) -> list[float | None]:
    """Return the size of the correlation of each of a template's gradients with the reference.

    Parameters
    ----------
    template : ndarray, (N, C)
        Diffusion components; NaN for regions that it does not have.
    parcellation : Parcellation
        Its regions.

    Returns
    -------
    list of float or None
        One for each of the gradients that are described. None where the places are not known or
        reach fewer than 20 regions.
    """
    reference = reference_on(parcellation)
    if reference is None:
        return [None] * N_GRADIENTS
    shared = np.isfinite(reference) & np.isfinite(template[:, 0])
    if shared.sum() < _FEWEST:
        return [None] * N_GRADIENTS
    columns = template[shared, :N_GRADIENTS].T
    return [float(abs(np.corrcoef(reference[shared], column)[0, 1])) for column in columns]


def gradient_note(correlations: list[float | None]) -> str:
    """Say which gradient, if any, parts sensory from association regions.

    Parameters
    ----------
    correlations : list of float or None
        As of `reference_correlations`.
    """
    known = [r for r in correlations if r is not None]
    if len(known) < len(correlations):
        return (
            "The regions have no places near a published gradient's, so which gradient parts "
            "sensory from association regions is not known."
        )
    numbers = ", ".join(f"{r:.2f}" for r in known)
    best = int(np.argmax(known))
    measured = f"correlations of the template's {len(known)} gradients with it: {numbers}"
    if known[best] < SENSORY_TO_ASSOCIATION:
        return (
            "No gradient of the template is the published one from sensory to association regions "
            f"({measured}; it takes {SENSORY_TO_ASSOCIATION})."
        )
    return (
        f"Gradient {best + 1} of the template parts sensory from association regions, as the "
        f"published principal gradient does ({measured})."
    )
