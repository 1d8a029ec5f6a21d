"""Whether signals and region masks fit a tokenizer."""

import torch
from torch import Tensor

from fmri_vqtok.config.model import FMRITokenizerConfig
from fmri_vqtok.errors import InputError


def check_signal(x: Tensor, config: FMRITokenizerConfig) -> None:
    """Refuse a signal whose regions or frames do not fit.

    Raises
    ------
    InputError
    """
    if x.ndim != 3 or x.shape[2] != config.n_regions or x.shape[1] > config.n_frames:
        raise InputError(
            f"signal: shape {tuple(x.shape)}; give (scans, frames, regions) with at most "
            f"{config.n_frames} frames and {config.n_regions} regions"
        )


def mask_per_scan(
    region_mask: Tensor | None, n_scans: int, config: FMRITokenizerConfig
) -> Tensor | None:
    """Mask of each scan, shape (B, N), from one for all scans, (N,), or for each; None if all True.

    Raises
    ------
    InputError
        If it is not boolean, or has another shape.
    """
    if region_mask is None:
        return None
    n_regions = config.n_regions
    if region_mask.dtype != torch.bool or tuple(region_mask.shape) not in (
        (n_regions,),
        (n_scans, n_regions),
    ):
        raise InputError(
            f"mask: {region_mask.dtype} of shape {tuple(region_mask.shape)}; give bool of shape "
            f"({n_scans}, {n_regions}) or ({n_regions},), True for regions that are present"
        )
    return None if bool(region_mask.all()) else region_mask.expand(n_scans, -1)
