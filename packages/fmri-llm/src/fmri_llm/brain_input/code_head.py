"""Hidden states as logits over brain codes: the brain half of the extended vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["CodeHead"]

START = 0.1
"""Spread of the first logits around the log frequencies, times the square root of D, for hidden
states of root mean square 1."""


class CodeHead(nn.Linear):
    """Logits over brain codes.

    Parameters
    ----------
    width : int
        D.
    n_codes : int
        K.
    """

    def __init__(self, width: int, n_codes: int) -> None:
        super().__init__(width, n_codes)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    @torch.no_grad()
    def start(self, code_embeddings: Tensor, counts: Tensor) -> None:
        """Start from the projected codebook, and from how frequent each code is.

        Weights are small at first, so that training starts from the loss of the frequencies.

        Parameters
        ----------
        code_embeddings : Tensor, shape (K, D)
            Of each code, in the space of the input embeddings.
        counts : Tensor, shape (K,)
            Of each code in the training scans.
        """
        deviations = code_embeddings - code_embeddings.mean(0)
        length = deviations.norm(dim=1).mean().clamp(min=torch.finfo(deviations.dtype).tiny)
        self.weight.copy_(START * deviations / length / self.weight.shape[1] ** 0.5)
        frequencies = (counts + 0.5) / (counts + 0.5).sum()  # half a count for each code
        self.bias.copy_(frequencies.log())
