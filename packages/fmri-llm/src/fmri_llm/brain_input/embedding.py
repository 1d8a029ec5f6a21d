"""Brain codes as input embeddings of a language model, and hidden states as brain codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from fmri_llm.packing import token_grid

if TYPE_CHECKING:
    from fmri_vqtok.tokenizer import FMRITokenizer

__all__ = ["BrainEmbedding", "CodeHead", "length_ratio"]


class BrainEmbedding(nn.Module):
    """Input embeddings of brain tokens.

    A code enters through the text projection that stage 1 aligned with the language model's
    embeddings, and which stays frozen. Two things are learned on top:

    - an embedding per region. The regions of a time step share one position id, so without it
      two regions with the same code would be the same token, and the model could not
      tell where in the brain it is. It starts at zero: at first the model sees exactly what
      stage 1 aligned.
    - one scale, since stage 1 aligns directions (cosine) more than norms. It starts where
      brain tokens have, on average, the norm of the model's own token embeddings.

    Parameters
    ----------
    n_regions : int
    width : int
        Width of the language model's embeddings, which is that of the text space (C = D).
    scale : float, default=1.0
        Initial value of the scale.
    """

    def __init__(self, n_regions: int, width: int, scale: float = 1.0) -> None:
        super().__init__()
        self.region = nn.Parameter(torch.zeros(n_regions, width))
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, text_embeddings: Tensor) -> Tensor:
        """Embed brain tokens.

        Parameters
        ----------
        text_embeddings : Tensor, shape (B, W, N, D)
            Codes in the text space.

        Returns
        -------
        Tensor, shape (B, W * N, D)
            In time-major order.
        """
        return token_grid.flatten(self.scale * text_embeddings + self.region)


class CodeHead(nn.Linear):
    """Logits over brain codes from hidden states (the brain half of the extended vocabulary).

    It starts at zero, so that training starts from equal odds for all codes: a loss of ln K.

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


def length_ratio(input_embeddings: nn.Embedding, brain_tokenizer: FMRITokenizer) -> float:
    """Mean norm of the text tokens' embeddings over that of the brain codes' text embeddings."""
    n_codes, n_regions = brain_tokenizer.config.n_codes, brain_tokenizer.config.n_regions
    n_steps = -(-n_codes // n_regions)
    codes = torch.arange(n_steps * n_regions).remainder(n_codes).view(1, n_steps, n_regions)
    n_tokens = input_embeddings.num_embeddings
    device = input_embeddings.weight.device
    sample = torch.arange(0, n_tokens, max(1, n_tokens // 4096), device=device)
    with torch.no_grad():
        code_length = brain_tokenizer.text_embeddings(codes).norm(dim=-1).mean()
        return float(input_embeddings(sample).norm(dim=-1).mean() / code_length.clamp(min=1e-6))
