"""How long embeddings of words and of brain codes are, and what single codes look like as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from fmri_vqtok.tokenizer import FMRITokenizer

__all__ = ["code_embeddings", "code_length", "word_length"]

_WORDS = 4096
"""Words, spread over the vocabulary, that the length is a mean over."""

_TOKENS_AT_A_TIME = 65_536


@torch.no_grad()
def word_length(input_embeddings: nn.Embedding) -> float:
    """Mean norm of the input embeddings of words."""
    n_words = input_embeddings.num_embeddings
    device = input_embeddings.weight.device
    sample = torch.arange(0, n_words, max(1, n_words // _WORDS), device=device)
    return float(input_embeddings(sample).norm(dim=-1).mean())


@torch.no_grad()
def code_length(brain_tokenizer: FMRITokenizer) -> float:
    """Mean norm of the text embeddings of brain codes, each code once."""
    n_codes, n_regions = brain_tokenizer.config.n_codes, brain_tokenizer.config.n_regions
    n_steps = -(-n_codes // n_regions)
    codes = torch.arange(n_steps * n_regions).remainder(n_codes).view(1, n_steps, n_regions)
    return float(brain_tokenizer.text_embeddings(codes).norm(dim=-1).mean().clamp(min=1e-6))


@torch.no_grad()
def code_embeddings(brain_tokenizer: FMRITokenizer) -> Tensor:
    """Text embedding of each code, shape (K, D): the mean over a step that holds only this code."""
    n_codes, n_regions = brain_tokenizer.config.n_codes, brain_tokenizer.config.n_regions
    steps = torch.arange(n_codes)[:, None, None].expand(-1, 1, n_regions)
    parts = steps.split(max(1, _TOKENS_AT_A_TIME // n_regions))
    return torch.cat([brain_tokenizer.text_embeddings(part).mean((1, 2)) for part in parts])
