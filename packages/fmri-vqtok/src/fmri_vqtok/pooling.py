"""One vector for a scan from the tokens of its present regions."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class MeanPooling(nn.Module):
    """Mean over the tokens of the regions that are present.

    Parameters
    ----------
    width : int
        C; here for the signature that all poolings share.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """One vector a scan.

        Parameters
        ----------
        tokens : Tensor, shape (B, W, N, C)
        mask : Tensor of bool, shape (B, N)
            Regions that are present; a scan without any gives zeros.

        Returns
        -------
        Tensor, shape (B, C)
        """
        present = mask[:, None, :, None]
        n_tokens = mask.sum(dim=1, keepdim=True) * tokens.shape[1]
        return tokens.masked_fill(~present, 0.0).sum(dim=(1, 2)) / n_tokens.clamp(min=1)


class AttentionPooling(nn.Module):
    """Mean weighted by how well each present token answers a learned query.

    The query starts at zero, where all tokens weigh alike: training starts from the mean.

    Parameters
    ----------
    width : int
        C.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(width))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """One vector a scan; see `MeanPooling.forward`."""
        present = mask[:, None, :].expand(tokens.shape[:3]).flatten(1)
        values = tokens.flatten(1, 2).masked_fill(~present[..., None], 0.0)
        # Text embeddings are small numbers, so the query looks at their direction.
        keys = functional.layer_norm(values, values.shape[-1:])
        scores = keys @ self.query / len(self.query) ** 0.5
        # The lowest number and not -inf: a scan without any region shall give zeros, not NaN.
        weights = scores.masked_fill(~present, torch.finfo(scores.dtype).min).softmax(dim=1)
        return (weights[:, None, :] @ values).squeeze(1)


POOLINGS: dict[str, type[MeanPooling] | type[AttentionPooling]] = {
    "mean": MeanPooling,
    "attention": AttentionPooling,
}
"""By the value of the setting ``pooling``."""
