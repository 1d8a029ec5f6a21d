"""Brain codes as input embeddings of a language model, and hidden states as brain codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from fmri_llm.packing import token_grid

if TYPE_CHECKING:
    from fmri_vqtok.tokenizer import FMRITokenizer

__all__ = ["BrainEmbedding", "CodeHead", "TextProjection", "length_ratio"]


class TextProjection(Protocol):
    """What is needed of a brain tokenizer: its codes in the text space of a language model."""

    def text_embeddings(self, codes: Tensor) -> Tensor:
        """Text-space embeddings (B, W, N, C) of codes (B, W, N)."""


class BrainEmbedding(nn.Module):
    """Input embeddings of brain tokens.

    A code enters through the text projection that stage 1 aligned with the language model's
    embeddings, and which stays frozen. Two things are learned on top:

    - an embedding per region. The regions of a time step share one position id, so without it
      two regions with the same code would be one and the same token, and the model could not
      tell where in the brain it is. It starts at zero: at first the model sees exactly what
      stage 1 aligned.
    - one scale, since stage 1 aligns directions (cosine) more than lengths. It starts where
      brain tokens are as long, on average, as the model's own word embeddings.

    Parameters
    ----------
    n_regions : int
    width : int
        Width of the language model's embeddings, which is that of the text space (C = D).
    scale : float, default=1.0
        Where the scale starts.
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


def length_ratio(words: nn.Embedding, brain_tokenizer: FMRITokenizer) -> float:
    """Mean length of word embeddings over that of the brain codes' text embeddings."""
    n_codes, n_regions = brain_tokenizer.config.n_codes, brain_tokenizer.config.n_regions
    n_steps = -(-n_codes // n_regions)
    codes = torch.arange(n_steps * n_regions).remainder(n_codes).view(1, n_steps, n_regions)
    n_words = words.num_embeddings
    sample = torch.arange(0, n_words, max(1, n_words // 4096), device=words.weight.device)
    with torch.no_grad():
        code_length = brain_tokenizer.text_embeddings(codes).norm(dim=-1).mean()
        return float(words(sample).norm(dim=-1).mean() / code_length.clamp(min=1e-6))
