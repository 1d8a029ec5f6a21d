"""Phrases as the tokens and input embeddings of a base."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["mean_embeddings", "phrase_ids"]


def phrase_ids(tokenizer: PreTrainedTokenizerBase, phrases: Sequence[str]) -> list[list[int]]:
    """Tokens of phrases as they are within a sentence, after a space."""
    return [tokenizer(f" {each}", add_special_tokens=False)["input_ids"] for each in phrases]


@torch.no_grad()
def mean_embeddings(table: nn.Embedding, phrases: Sequence[Sequence[int]]) -> Tensor:
    """Mean input embedding of the tokens of each phrase.

    Parameters
    ----------
    table : torch.nn.Embedding
        Of width D.
    phrases : sequence of sequence of int

    Returns
    -------
    Tensor, shape (n_phrases, D)
        In single precision, on the CPU.
    """
    device = table.weight.device
    means = [table(torch.tensor(ids, device=device)).float().mean(0).cpu() for ids in phrases]
    return torch.stack(means) if means else torch.zeros(0, table.embedding_dim)
