"""The kernels in plain torch: the reference, and what runs without a GPU."""

import torch
from torch import Tensor

BUFFER_BYTES = 16 * 2**20
"""Distances held at one time. A buffer that stays in the cache is faster than one pass over all."""

BLOCK = 128
"""Codes per block: the minimum of each block is found first, then its index in one block."""


def nearest_code(x: Tensor, codebook: Tensor) -> Tensor:
    """Index of the nearest code; shapes (M, d) and (K, d) to (M,)."""
    n_codes = len(codebook)
    n_rows = max(1, min(len(x), rows_at_once(n_codes)))
    # The last block is padded with codes at infinite distance.
    shape = (n_rows, -(-n_codes // BLOCK), BLOCK)
    distances = torch.full(shape, float("inf"), dtype=torch.float32, device=x.device)
    nearest = torch.empty(len(x), dtype=torch.int64, device=x.device)
    with torch.autocast(x.device.type, enabled=False):
        codes = codebook.float()
        half_norms = codes.square().sum(dim=1) / 2
        for rows, out in zip(x.split(n_rows), nearest.split(n_rows), strict=True):
            held = distances[: len(rows)]
            # |x - c|^2 / 2 without the term that is the same for every code
            out_distances = held.flatten(1)[:, :n_codes]
            torch.addmm(half_norms, rows.float(), codes.T, alpha=-1, out=out_distances)
            out.copy_(_first_least(held))
    return nearest


def rows_at_once(n_codes: int) -> int:
    """Vectors whose distances to all codes fit the buffer; at least one."""
    padded = -(-n_codes // BLOCK) * BLOCK
    return max(1, BUFFER_BYTES // (padded * torch.float32.itemsize))


def sum_by_code(x: Tensor, codes: Tensor, n_codes: int) -> tuple[Tensor, Tensor]:
    """Count and sum the vectors of each code; shapes (M, d) and (M,) to (K,) and (K, d)."""
    counts = torch.bincount(codes, minlength=n_codes).float()
    sums = torch.zeros(n_codes, x.shape[1], device=x.device)
    return counts, sums.index_add_(0, codes, x.float())


def _first_least(distances: Tensor) -> Tensor:
    """Lowest index of the smallest distance of each row; shape (n, blocks, BLOCK) to (n,).

    On a CPU torch finds a minimum several times faster than its index.
    """
    block = distances.amin(dim=2).argmin(dim=1)
    within = distances[torch.arange(len(block), device=block.device), block]
    return block * BLOCK + within.argmin(dim=1)
