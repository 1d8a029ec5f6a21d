"""The time-major order of tokens: flattening and positions.

B scans, W time steps, N regions, M = W * N tokens. Token ``m = w * N + n``: the region index runs
fastest. Everything that depends on this order takes it from here.
"""

import torch
from torch import Tensor

from fmri_vqtok.errors import InputError


def flatten(grid: Tensor) -> Tensor:
    """Tokens of a grid in time-major order.

    Parameters
    ----------
    grid : Tensor, shape (B, W, N, ...)

    Returns
    -------
    Tensor, shape (B, W * N, ...)
    """
    return grid.flatten(1, 2)


def unflatten(tokens: Tensor, n_regions: int) -> Tensor:
    """Grid of tokens in time-major order; the inverse of `flatten`.

    Parameters
    ----------
    tokens : Tensor, shape (B, W * N, ...)
    n_regions : int
        N.

    Returns
    -------
    Tensor, shape (B, W, N, ...)

    Raises
    ------
    InputError
        If the number of tokens is not a multiple of the regions.
    """
    if tokens.shape[1] % n_regions:
        raise InputError(
            f"tokens: {tokens.shape[1]} are not a multiple of {n_regions} regions; "
            "pass the number of regions that the grid was flattened with"
        )
    return tokens.unflatten(1, (-1, n_regions))


def step_ids(n_steps: int, n_regions: int, device: torch.device | str | None = None) -> Tensor:
    """Time step w of every token, which is also its position id: regions of a step share it.

    Returns
    -------
    Tensor of int64, shape (W * N,)
    """
    return torch.arange(n_steps, device=device).repeat_interleave(n_regions)
