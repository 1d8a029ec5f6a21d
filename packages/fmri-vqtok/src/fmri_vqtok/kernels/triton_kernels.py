"""The kernels in Triton: distances stay in registers, and sums need no atomic addition."""

# Triton reads a kernel's annotations itself.
# ruff: noqa: ANN001, ANN201

import torch
import triton
import triton.language as tl
from torch import Tensor

NEAREST_BLOCKS = {"BLOCK_M": 64, "BLOCK_K": 64, "BLOCK_D": 16}
SUM_BLOCKS = {"BLOCK_M": 32, "BLOCK_D": 64}
# With four warps a thread runs out of registers.
OPTIONS = {"num_warps": 8, "enable_fp_fusion": True}


@triton.jit
def nearest_kernel(  # type: ignore[no-untyped-def]  # noqa: PLR0913, PLR0917
    x_ptr,
    codebook_ptr,
    half_norms_ptr,
    nearest_ptr,
    n_rows,
    n_codes,
    dim,
    BLOCK_M: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Nearest code of BLOCK_M rows, over the codes in blocks of BLOCK_K."""
    rows = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    best = tl.full((BLOCK_M,), float("inf"), tl.float32)
    best_code = tl.zeros((BLOCK_M,), tl.int64)
    for first in range(0, n_codes, BLOCK_K):
        codes = first + tl.arange(0, BLOCK_K).to(tl.int64)
        products = tl.zeros((BLOCK_M, BLOCK_K), tl.float32)
        for start in range(0, dim, BLOCK_D):
            places = start + tl.arange(0, BLOCK_D)
            x = tl.load(
                x_ptr + rows[:, None] * dim + places[None, :],
                mask=(rows[:, None] < n_rows) & (places[None, :] < dim),
                other=0.0,
            ).to(tl.float32)
            c = tl.load(
                codebook_ptr + codes[None, :] * dim + places[:, None],
                mask=(codes[None, :] < n_codes) & (places[:, None] < dim),
                other=0.0,
            ).to(tl.float32)
            products = tl.dot(x, c, products, input_precision="ieee")
        half_norms = tl.load(half_norms_ptr + codes, mask=codes < n_codes, other=float("inf"))
        distances = half_norms[None, :] - products
        least, place = tl.min(
            distances, axis=1, return_indices=True, return_indices_tie_break_left=True
        )
        # Strictly nearer: of equal codes in two blocks the first stays.
        best_code = tl.where(least < best, first + place, best_code)
        best = tl.minimum(least, best)
    tl.store(nearest_ptr + rows, best_code, mask=rows < n_rows)


@triton.jit
def sum_kernel(  # type: ignore[no-untyped-def]
    x_ptr,
    order_ptr,
    offsets_ptr,
    sums_ptr,
    dim,
    BLOCK_M: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Sum of one code's rows, which are contiguous in ``order``."""
    code = tl.program_id(0).to(tl.int64)
    places = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    last = tl.load(offsets_ptr + code + 1)
    total = tl.zeros((BLOCK_D,), tl.float32)
    for first in range(tl.load(offsets_ptr + code), last, BLOCK_M):
        listed = first + tl.arange(0, BLOCK_M)
        rows = tl.load(order_ptr + listed, mask=listed < last, other=0)
        x = tl.load(
            x_ptr + rows[:, None] * dim + places[None, :],
            mask=(listed[:, None] < last) & (places[None, :] < dim),
            other=0.0,
        )
        total += tl.sum(x.to(tl.float32), axis=0)
    tl.store(sums_ptr + code * dim + places, total, mask=places < dim)


def nearest_code(x: Tensor, codebook: Tensor) -> Tensor:
    """Index of the nearest code; shapes (M, d) and (K, d) to (M,)."""
    x, codebook = x.contiguous(), codebook.contiguous()
    half_norms = codebook.float().square().sum(dim=1) / 2
    nearest = torch.empty(len(x), dtype=torch.int64, device=x.device)
    if len(x):
        grid = (triton.cdiv(len(x), NEAREST_BLOCKS["BLOCK_M"]),)
        nearest_kernel[grid](
            x,
            codebook,
            half_norms,
            nearest,
            *(len(x), len(codebook), x.shape[1]),
            **NEAREST_BLOCKS,
            **OPTIONS,
        )
    return nearest


def sum_by_code(x: Tensor, codes: Tensor, n_codes: int) -> tuple[Tensor, Tensor]:
    """Count and sum the vectors of each code; shapes (M, d) and (M,) to (K,) and (K, d).

    The rows of a code are summed in their order, so the same batch gives the same bits.
    """
    ordered, order = codes.sort(stable=True)
    offsets = torch.searchsorted(ordered, torch.arange(n_codes + 1, device=x.device))
    sums = torch.empty(n_codes, x.shape[1], device=x.device)
    grid = (n_codes, triton.cdiv(x.shape[1], SUM_BLOCKS["BLOCK_D"]))
    sum_kernel[grid](x.contiguous(), order, offsets, sums, x.shape[1], **SUM_BLOCKS, **OPTIONS)
    return offsets.diff().float(), sums
