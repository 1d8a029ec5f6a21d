"""Rates of components of a Gaussian at a common distortion (Cover and Thomas, 2006, 10.3.3)."""

import torch
from torch import Tensor

HALVINGS = 100


def water_level(variances: Tensor, bits: int) -> Tensor:
    """Distortion of each component at which all together take so many bits, a scalar.

    Parameters
    ----------
    variances : Tensor of float64, shape (n,)
    bits : int
    """
    largest = variances.max().clamp(min=torch.finfo(variances.dtype).tiny)
    # All bits on the strongest component leave less than this of every one.
    low, high = largest.log2() - 2 * bits, largest.log2()
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        too_many = rates(variances, middle.exp2()).sum() > bits
        low, high = (middle, high) if too_many else (low, middle)
    return high.exp2()


def rates(variances: Tensor, level: Tensor) -> Tensor:
    """Bits of each component at a distortion; 0 for those with no more variance than that."""
    return ((variances / level).log2() / 2).clamp(min=0)


def allotted_bits(variances: Tensor, level: Tensor, bits: int) -> Tensor:
    """Whole bits that the components up to each have taken, shape (n,), int64; at the end all."""
    shares = rates(variances, level)
    if not shares.sum() > 0:
        shares = torch.ones_like(shares)
    taken = shares.cumsum(dim=0)
    return (taken / taken[-1] * bits).round().long()
