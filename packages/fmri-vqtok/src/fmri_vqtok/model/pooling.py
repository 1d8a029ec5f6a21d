"""Embeddings of patches, pooled over steps, whole scans, or pairs of regions."""

import torch
from torch import Tensor
from torch.nn import functional

from fmri_vqtok.errors import InputError

LEVELS = ("patch", "step", "scan", "connectome")

MAX_CORRELATION = 1 - 1e-6
"""Correlations are clipped to this before Fisher z, which is infinite at 1."""


def pool(grid: Tensor, level: str, region_mask: Tensor | None) -> Tensor:
    """Pool a grid's vectors at a level.

    Parameters
    ----------
    grid : Tensor, shape (B, W, N, D)
    level : {"patch", "step", "scan", "connectome"}
        Means over a step or a scan, or the `latent_connectome`.
    region_mask : Tensor of bool, shape (B, N), or None
        Regions to include; None for all.

    Returns
    -------
    Tensor, shape (B, W, N, D), (B, W, D), (B, D) or (B, N (N - 1) / 2)
        0 for a scan without any region.

    Raises
    ------
    InputError
        If a connectome is asked for of a single step.
    """
    if level == "patch":
        return grid
    if level == "connectome":
        return latent_connectome(grid, region_mask)
    if region_mask is None:
        steps = grid.mean(dim=2)
    else:
        weights = region_mask[:, None, :, None].to(grid.dtype)
        steps = (grid * weights).sum(dim=2) / weights.sum(dim=2).clamp(min=1)
    return steps if level == "step" else steps.mean(dim=1)


def latent_connectome(grid: Tensor, region_mask: Tensor | None) -> Tensor:
    """Fisher z of the correlation between the vectors of two regions.

    People differ in the relations between regions more than in any mean vector. The correlation is
    over steps and components, of the deviations from each region's own mean over the steps.

    Parameters
    ----------
    grid : Tensor, shape (B, W, N, D)
        Of at least two steps.
    region_mask : Tensor of bool, shape (B, N), or None
        Regions to include; None for all.

    Returns
    -------
    Tensor, shape (B, N (N - 1) / 2)
        Pairs in the order of ``numpy.triu_indices(N, 1)``; 0 for a pair with a missing region.

    Raises
    ------
    InputError
        If there is a single step.
    """
    n_steps, n_regions = grid.shape[1:3]
    if n_steps < 2:
        raise InputError(
            "level: 'connectome' needs at least 2 steps, but the signal has 1; give a longer one, "
            "or fit a tokenizer with smaller patch_frames"
        )
    deviations = (grid - grid.mean(dim=1, keepdim=True)).transpose(1, 2).flatten(2)
    if region_mask is not None:
        deviations = deviations * region_mask[..., None]
    directions = functional.normalize(deviations, dim=2)
    first, second = torch.triu_indices(n_regions, n_regions, 1, device=grid.device)
    correlations = (directions @ directions.transpose(1, 2))[:, first, second]
    return correlations.clamp(-MAX_CORRELATION, MAX_CORRELATION).atanh()
