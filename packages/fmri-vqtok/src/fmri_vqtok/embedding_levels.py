"""Embeddings of patches averaged to those of steps and of whole scans."""

from torch import Tensor

LEVELS = ("patch", "step", "scan")


def pool(grid: Tensor, level: str, present: Tensor | None) -> Tensor:
    """Mean of a grid's vectors over what a level holds.

    Parameters
    ----------
    grid : Tensor, shape (B, W, N, D)
    level : {"patch", "step", "scan"}
    present : Tensor of bool, shape (B, N), or None
        Regions that count; None for all.

    Returns
    -------
    Tensor, shape (B, W, N, D), (B, W, D) or (B, D)
        0 for a scan without any region.
    """
    if level == "patch":
        return grid
    if present is None:
        steps = grid.mean(dim=2)
    else:
        weights = present[:, None, :, None].to(grid.dtype)
        steps = (grid * weights).sum(dim=2) / weights.sum(dim=2).clamp(min=1)
    return steps if level == "step" else steps.mean(dim=1)
