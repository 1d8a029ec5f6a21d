"""The kernels in plain torch: the reference, and what runs without a GPU."""

import torch
from torch import Tensor

CHUNK_ROWS = 1024
"""Rows whose distances to all codes are held at one time; 32 MB with 8,192 codes."""


def nearest_code(x: Tensor, codebook: Tensor) -> Tensor:
    """Index of the nearest code; shapes (M, d) and (K, d) to (M,)."""
    nearest = torch.empty(len(x), dtype=torch.int64, device=x.device)
    with torch.autocast(x.device.type, enabled=False):
        codes = codebook.float()
        half_norms = codes.square().sum(dim=1) / 2
        for rows, out in zip(x.split(CHUNK_ROWS), nearest.split(CHUNK_ROWS), strict=True):
            products = rows.float() @ codes.T
            # |x - c|^2 / 2 without the term that is the same for every code
            torch.argmin(torch.sub(half_norms, products, out=products), dim=1, out=out)
    return nearest


def sum_by_code(x: Tensor, codes: Tensor, n_codes: int) -> tuple[Tensor, Tensor]:
    """Count and sum the vectors of each code; shapes (M, d) and (M,) to (K,) and (K, d)."""
    counts = torch.bincount(codes, minlength=n_codes).float()
    sums = torch.zeros(n_codes, x.shape[1], device=x.device)
    return counts, sums.index_add_(0, codes, x.float())
