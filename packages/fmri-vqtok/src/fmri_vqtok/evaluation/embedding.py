"""One vector for each recording, whatever its number of windows and missing regions.

B recordings, V windows of each, W steps, N regions, D width.
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
    counted: Tensor,
    present: Tensor,
    embedding: str = "latents",
) -> Tensor:
    """Embedding of each patch, averaged over the windows of its recording.

    Parameters
    ----------
    tokenizer : FMRITokenizer
    windows : Tensor, shape (B, V, T, N)
        Of each recording, as the processor makes them.
    counted : Tensor of bool, shape (B, V)
        False for windows that only fill the tensor up; at least one counts in each recording.
    present : Tensor of bool, shape (B, N)
        False for missing regions, which are not looked at.
    embedding : {"latents", "quantized"}
        "latents": what `FMRITokenizer.embed` gives. "quantized": what is left of it in the codes.

    Returns
    -------
    Tensor, shape (B, W, N, D)
    """
    real = windows[counted]
    mask = present.repeat_interleave(counted.sum(dim=1), dim=0)
    if embedding == "latents":
        grid = tokenizer.embed(real, mask=mask)
    else:
        grid = tokenizer.encode(real, mask).quantized
    return torch.stack([part.mean(dim=0) for part in grid.split(counted.sum(dim=1).tolist())])


def pool_recording(grid: Tensor, present: Tensor, pooling: str = "statistics") -> Tensor:
    """One vector of a recording from the embeddings of its patches.

    Parameters
    ----------
    grid : Tensor, shape (B, W, N, D)
    present : Tensor of bool, shape (B, N)
        False for missing regions, which do not count.
    pooling : {"statistics", "mean", "regions"}
        "mean": over steps and regions. "statistics": this and the standard deviation over them.
        "regions": each region's mean over steps, side by side; 0 for a missing one.

    Returns
    -------
    Tensor, shape (B, 2D), (B, D) or (B, N * D)
    """
    if pooling == "regions":
        return (grid * present[:, None, :, None]).mean(dim=1).flatten(1)
    mean = pool(grid, "scan", present)
    if pooling == "mean":
        return mean
    variance = pool((grid - mean[:, None, None]).square(), "scan", present)
    # The bound keeps the gradient of the root finite where nothing varies.
    return torch.cat([mean, variance.clamp(min=1e-12).sqrt()], dim=1)


def pooled_width(tokenizer: FMRITokenizer, pooling: str) -> int:
    """Length of the vector that `pool_recording` makes."""
    factors = {"mean": 1, "statistics": 2, "regions": tokenizer.config.n_regions}
    return factors[pooling] * tokenizer.config.width
