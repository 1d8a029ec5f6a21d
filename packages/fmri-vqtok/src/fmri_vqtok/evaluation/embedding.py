"""One vector per scan, whatever its number of windows and missing regions.

B scans, V windows of each, W steps, N regions, D width.
"""

import torch
from torch import Tensor

from fmri_vqtok.errors import check_choice
from fmri_vqtok.model.pooling import pool
from fmri_vqtok.tokenizer import FMRITokenizer

EMBEDDINGS = ("latents", "quantized")
POOLINGS = ("statistics", "mean", "regions")


def check_choices(embedding: str, pooling: str) -> None:
    """Refuse an embedding or a pooling that does not exist.

    Raises
    ------
    InputError
    """
    check_choice("embedding", embedding, EMBEDDINGS)
    check_choice("pooling", pooling, POOLINGS)


def window_mean(
    tokenizer: FMRITokenizer,
    windows: Tensor,
    window_mask: Tensor,
    region_mask: Tensor,
    embedding: str = "latents",
) -> Tensor:
    """Embedding of each patch, averaged over the windows of its scan.

    Parameters
    ----------
    tokenizer : FMRITokenizer
    windows : Tensor, shape (B, V, T, N)
        Of each scan, as the processor makes them.
    window_mask : Tensor of bool, shape (B, V)
        False for padding windows; at least one window of each scan is True.
    region_mask : Tensor of bool, shape (B, N)
        False for missing regions, which no other attends to.
    embedding : {"latents", "quantized"}
        "latents": those of `FMRITokenizer.embed`. "quantized": what the codes decode to.

    Returns
    -------
    Tensor, shape (B, W, N, D)
    """
    n_windows = window_mask.sum(dim=1)
    region_mask = region_mask.repeat_interleave(n_windows, dim=0)
    if embedding == "latents":
        grid = tokenizer.embed(windows[window_mask], region_mask=region_mask)
    else:
        grid = tokenizer.encode(windows[window_mask], region_mask).quantized
    return torch.stack([part.mean(dim=0) for part in grid.split(n_windows.tolist())])


def pool_scan(grid: Tensor, region_mask: Tensor, pooling: str = "statistics") -> Tensor:
    """One vector per scan from the embeddings of its patches.

    Parameters
    ----------
    grid : Tensor, shape (B, W, N, D)
    region_mask : Tensor of bool, shape (B, N)
        False for missing regions, which are left out.
    pooling : {"statistics", "mean", "regions"}
        "mean": over steps and regions. "statistics": this and the standard deviation over them.
        "regions": each region's mean over steps, concatenated; 0 for a missing one.

    Returns
    -------
    Tensor, shape (B, 2D), (B, D) or (B, N * D)
    """
    if pooling == "regions":
        return (grid * region_mask[:, None, :, None]).mean(dim=1).flatten(1)
    mean = pool(grid, "scan", region_mask)
    if pooling == "mean":
        return mean
    variance = pool((grid - mean[:, None, None]).square(), "scan", region_mask)
    # The bound keeps the gradient of the root finite at zero variance.
    return torch.cat([mean, variance.clamp(min=1e-12).sqrt()], dim=1)


def pooled_width(tokenizer: FMRITokenizer, pooling: str) -> int:
    """Length of the vector that `pool_scan` makes."""
    factors = {"mean": 1, "statistics": 2, "regions": tokenizer.config.n_regions}
    return factors[pooling] * tokenizer.config.width
