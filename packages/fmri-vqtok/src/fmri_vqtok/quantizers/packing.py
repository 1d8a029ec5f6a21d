"""Codes of several codebooks as one number, the first codebook most significant."""

from collections.abc import Sequence

import torch
from torch import Tensor


def pack(digits: Tensor, sizes: Sequence[int]) -> Tensor:
    """One code, shape (...), from those of Q codebooks: ``(c_0 * K_1 + c_1) * K_2 + c_2 ...``.

    Parameters
    ----------
    digits : Tensor of int64, shape (..., Q)
        Code of each codebook.
    sizes : sequence of int
        Codes of each codebook, K_0 to K_{Q-1}.
    """
    code = torch.zeros_like(digits[..., 0])
    for size, digit in zip(sizes, digits.unbind(-1), strict=True):
        code = code * size + digit
    return code


def unpack(codes: Tensor, sizes: Sequence[int]) -> Tensor:
    """Code of each codebook, shape (..., Q); the inverse of `pack`."""
    digits = []
    for size in reversed(sizes):
        digits.append(codes % size)
        codes = codes // size
    return torch.stack(digits[::-1], dim=-1)
