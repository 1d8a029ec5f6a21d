"""One token for each spatial filter: what it has to do with the others, under its own name."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["FilterTokens"]


class FilterTokens(nn.Module):
    """Linear maps, one for each filter, from the filter's features to its token.

    A token is the sum of what the features say and of an embedding that tells the filter from the
    others. Where filters are networks, it starts as the embedding of the network's name, so that a
    question about a network finds its token.

    Parameters
    ----------
    names : Tensor, shape (Q, D)
        Initial embedding of each filter.
    n_features : int
        F, of each filter.
    length : float
        Length of what the features say at the start, for features of mean 0 and variance 1.
    """

    def __init__(self, names: Tensor, n_features: int, length: float) -> None:
        super().__init__()
        n_filters, width = names.shape
        scale = length / (n_features * width) ** 0.5
        self.weight = nn.Parameter(scale * torch.randn(n_filters, n_features, width))
        self.name = nn.Parameter(names.clone())

    def forward(self, features: Tensor) -> Tensor:
        """Tokens of scans, shape (B, Q, D), from features, shape (B, Q, F)."""
        return torch.einsum("bqf,qfd->bqd", features, self.weight) + self.name
