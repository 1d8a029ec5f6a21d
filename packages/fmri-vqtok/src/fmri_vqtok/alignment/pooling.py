"""One vector for a scan from the tokens of its present regions, in all its windows."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from fmri_vqtok.distributed import all_gather, all_gather_with_gradient


class Pooled(NamedTuple):
    """A vector for each window, and its weight in the scan.

    Attributes
    ----------
    vectors : Tensor, shape (B, C)
    log_weights : Tensor, shape (B,)
        The mean of a scan's windows, weighted by the softmax of these, equals the pooling of all
        their tokens at once.
    """

    vectors: Tensor
    log_weights: Tensor


class MeanPooling(nn.Module):
    """Mean over the tokens of the regions that are present."""

    def forward(
        self,
        tokens: Tensor,
        region_mask: Tensor,
        features: Tensor | None = None,  # noqa: ARG002 - of RelationPooling
    ) -> Pooled:
        """One vector per window.

        Parameters
        ----------
        tokens : Tensor, shape (B, W, N, C)
        region_mask : Tensor of bool, shape (B, N)
            Regions that are present; a window without any gives zeros.
        features : Tensor, shape (B, n_features), optional
            Relation features of the windows, which only `RelationPooling` looks at.
        """
        token_mask = region_mask[:, None, :, None]
        n_tokens = region_mask.sum(dim=1) * tokens.shape[1]
        sums = tokens.masked_fill(~token_mask, 0.0).sum(dim=(1, 2))
        least = torch.finfo(sums.dtype).tiny
        return Pooled(
            sums / n_tokens.clamp(min=1)[:, None], n_tokens.to(sums.dtype).clamp(min=least).log()
        )


class AttentionPooling(nn.Module):
    """Mean weighted by the match of each present token with a learned query.

    The query starts at zero, where all weights are equal: training starts from the mean.

    Parameters
    ----------
    width : int
        C.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(width))

    def forward(
        self,
        tokens: Tensor,
        region_mask: Tensor,
        features: Tensor | None = None,  # noqa: ARG002 - of RelationPooling
    ) -> Pooled:
        """One vector per window; see `MeanPooling.forward`."""
        token_mask = region_mask[:, None, :].expand(tokens.shape[:3]).flatten(1)
        values = tokens.flatten(1, 2).masked_fill(~token_mask[..., None], 0.0)
        # Text embeddings are small numbers, so the query is matched with their direction.
        keys = functional.layer_norm(values, values.shape[-1:])
        scores = keys @ self.query / len(self.query) ** 0.5
        # A low number and not -inf: a window without any region gives zeros, not NaN.
        scores = scores.masked_fill(~token_mask, torch.finfo(scores.dtype).min / 2)
        weights = scores.softmax(dim=1)
        return Pooled((weights[:, None, :] @ values).squeeze(1), scores.logsumexp(dim=1))


class RelationPooling(nn.Module):
    """Mean over the tokens, plus a learned linear map of the window's relation features.

    How regions vary together is in no token, so no mean of tokens holds it. The map starts at
    zero, so training starts from the mean.

    Parameters
    ----------
    width : int
        C.
    n_features : int
    """

    def __init__(self, width: int, n_features: int) -> None:
        super().__init__()
        self.mean = MeanPooling()
        self.map = nn.Linear(n_features, width)
        nn.init.zeros_(self.map.weight)
        nn.init.zeros_(self.map.bias)

    def forward(
        self, tokens: Tensor, region_mask: Tensor, features: Tensor | None = None
    ) -> Pooled:
        """One vector per window; see `MeanPooling.forward`."""
        if features is None:
            raise ValueError("features: none; pooling of relations needs those of each window")
        pooled = self.mean(tokens, region_mask)
        return Pooled(pooled.vectors + self.map(features), pooled.log_weights)


Pooling = MeanPooling | AttentionPooling | RelationPooling


def make_pooling(pooling: str, width: int, n_features: int = 0) -> Pooling:
    """Pooling by the value of the setting ``pooling``.

    Parameters
    ----------
    pooling : {"mean", "attention", "relations"}
    width : int
        Of the tokens.
    n_features : int, default=0
        Relation features of a window.
    """
    if pooling == "relations":
        return RelationPooling(width, n_features)
    return AttentionPooling(width) if pooling == "attention" else MeanPooling()


def pool_scans(pooled: Pooled, scans: Tensor) -> tuple[Tensor, Tensor]:
    """One vector for each scan that has windows in the batch, over all processes.

    Parameters
    ----------
    pooled : Pooled
        Of the windows of this process.
    scans : Tensor of int64, shape (B,)
        Which scan each window is from.

    Returns
    -------
    vectors : Tensor, shape (S, C)
    scans : Tensor of int64, shape (S,)
        Each scan once, in ascending order.
    """
    vectors, log_weights = map(all_gather_with_gradient, pooled)
    found, place = all_gather(scans).rows.unique(return_inverse=True)
    # The maximum cancels; subtracting it keeps the exponential finite.
    greatest = log_weights.detach().new_full((len(found),), -torch.inf)
    greatest = greatest.scatter_reduce(0, place, log_weights.detach(), "amax")
    weights = (log_weights - greatest[place]).exp()
    totals = weights.new_zeros(len(found)).index_add(0, place, weights)
    sums = vectors.new_zeros(len(found), vectors.shape[1])
    return sums.index_add(0, place, weights[:, None] * vectors) / totals[:, None], found
