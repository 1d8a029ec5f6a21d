"""What the gradients of a scan are aligned to: the training cohort, or a published connectome."""

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.features.gradients.gradients import diffusion_map
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.settings import FeatureSettings

_CORTEX = {"schaefer400-7n": (0, 400), "tian3-schaefer400-7n": (50, 450)}
"""First and last + 1 column of Schaefer-400, in 7-network order, and the number of columns."""


def gradient_template(
    connectivity: NDArray[np.float64], parcellation: Parcellation, settings: FeatureSettings
) -> NDArray[np.float64]:
    """Diffusion components that scans are aligned to, (N, gradient_components).

    Parameters
    ----------
    connectivity : ndarray, (N, N)
        Mean connectivity of the training scans; NaN for regions that none has.
    parcellation : Parcellation
        Regions of the cohort.
    settings : FeatureSettings
        ``gradient_template``, ``gradient_components`` and ``gradient_sparsity``.

    Returns
    -------
    ndarray, (N, gradient_components)
        NaN for regions that the template does not have.

    Raises
    ------
    InputError
        If the template does not have this parcellation's regions.
    """
    if settings.gradient_template == "schaefer400":
        connectivity = schaefer400_connectivity(parcellation)
    seen = np.isfinite(connectivity.diagonal())
    template = np.full((len(seen), settings.gradient_components), np.nan)
    template[seen] = diffusion_map(
        connectivity[np.ix_(seen, seen)], settings.gradient_components, settings.gradient_sparsity
    )
    return template


def schaefer400_connectivity(parcellation: Parcellation) -> NDArray[np.float64]:
    """Group connectome of brainspace (Vos de Wael et al. 2018) on a parcellation, (N, N).

    Its rows are the parcels of Schaefer-400 in 7-network order: the region nearest to a parcel's
    centre on brainspace's own surface is always that of the same row, at a median of 2 mm.

    Parameters
    ----------
    parcellation : Parcellation
        ``schaefer400-7n`` or ``tian3-schaefer400-7n``.

    Returns
    -------
    ndarray, (N, N)
        NaN outside the cortex.

    Raises
    ------
    InputError
        If the parcellation is another.
    """
    from brainspace.datasets import load_group_fc

    start, stop = _CORTEX.get(parcellation.name, (0, 0))
    if stop != parcellation.n_regions:
        raise InputError(
            f"gradient_template: 'schaefer400' has no regions of '{parcellation.name}' "
            f"({parcellation.n_regions}); use {' or '.join(_CORTEX)}, or the template 'cohort'"
        )
    connectivity = np.full((stop, stop), np.nan)
    connectivity[start:, start:] = load_group_fc("schaefer", scale=400)
    return connectivity
