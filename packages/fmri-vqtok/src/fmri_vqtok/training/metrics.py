"""How well a codebook is used and how well signals survive it."""

import torch
from torch import Tensor


def normalised_mse(signal: Tensor, reconstruction: Tensor, mask: Tensor) -> float:
    """Sum of squared errors over the sum of squares, over the regions that are present.

    The signal is taken as the processor made it: no further mean is removed. Predicting 0
    everywhere gives 1.

    Parameters
    ----------
    signal, reconstruction : Tensor, shape (n, T, N)
    mask : Tensor of bool, shape (n, N)
    """
    weights = mask[:, None, :].to(signal.dtype)
    errors = ((signal - reconstruction).square() * weights).sum()
    return float(errors / (signal.square() * weights).sum())


def code_counts(codes: Tensor, n_codes: int) -> Tensor:
    """How often each code occurs, shape (K,)."""
    return torch.bincount(codes.reshape(-1), minlength=n_codes)


def perplexity(counts: Tensor) -> float:
    """Exponential of the entropy of the codes: K if all are used alike, 1 if one is used.

    Parameters
    ----------
    counts : Tensor, shape (K,)
    """
    shares = counts[counts > 0].double() / counts.sum()
    return float(torch.exp(-(shares * shares.log()).sum()))


def codes_used(counts: Tensor) -> int:
    """Count the codes that occur."""
    return int((counts > 0).sum())


def dead_codes(counts: Tensor) -> int:
    """Count the codes that do not occur."""
    return int((counts == 0).sum())
