"""Signal tokens: codes in the text space of stage 1 as input embeddings of a language model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fmri_llm.packing import token_grid

__all__ = ["Connector"]


class Connector(nn.Module):
    """Map from the text space of stage 1 to input embeddings.

    It starts as the identity, times one number: the stage-1 text projection is what aligned codes
    with the embeddings of words. Learned on top of it are

    - a correction, a perceptron with one hidden layer whose output layer starts at zero;
    - an embedding for each region, since the regions of a time step share one position: without it
      two regions with the same code would be the same token. It starts at zero;
    - the number itself, since stage 1 aligns directions more than lengths. It starts where brain
      tokens are on average as long as the embeddings of words.

    Parameters
    ----------
    n_regions : int
        N.
    width : int
        D, of the embeddings and of the text space.
    hidden_width : int
        Of the correction; 0 for none.
    scale : float
        Initial value of the number.
    """

    def __init__(self, n_regions: int, width: int, hidden_width: int, scale: float) -> None:
        super().__init__()
        self.region = nn.Parameter(torch.zeros(n_regions, width))
        self.scale = nn.Parameter(torch.tensor(scale))
        self.correction: nn.Module | None = None
        if hidden_width:
            last = nn.Linear(hidden_width, width)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.correction = nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, hidden_width), nn.GELU(), last
            )

    def forward(self, text_embeddings: Tensor) -> Tensor:
        """Embed signal tokens.

        Parameters
        ----------
        text_embeddings : Tensor, shape (B, W, N, D)
            Codes in the text space.

        Returns
        -------
        Tensor, shape (B, W * N, D)
            In time-major order.
        """
        embeddings = self.scale * text_embeddings
        if self.correction is not None:
            embeddings = embeddings + self.correction(text_embeddings)
        return token_grid.flatten(embeddings + self.region)
