"""Prompts after a brain prefix, continued token by token from cached keys and values.

R rows, each a prompt after its brain block; P columns of the block; V words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from fmri_llm.inference.prefix import BrainPrefix, CachedModel
from fmri_llm.packing import sequences
from fmri_llm.packing.attention_mask import text_mask
from fmri_llm.packing.sequences import TextSegment

__all__ = ["Continuation"]


class Continuation:
    """The state of text that is being written.

    Parameters
    ----------
    model : CachedModel
    prefix : BrainPrefix
        One scan, or one per prompt; it stays as it is.
    prompts : token ids of each prompt
    copies : int, default=1
        Rows of each prompt, one after the other.

    Attributes
    ----------
    logits : Tensor, shape (R, V)
        Of the next token of each row.
    """

    def __init__(
        self,
        model: CachedModel,
        prefix: BrainPrefix,
        prompts: Sequence[Sequence[int]],
        copies: int = 1,
    ) -> None:
        text = sequences.pack([[TextSegment(ids=ids)] for ids in prompts]).to(prefix.visible.device)
        prefix = prefix.for_prompts(len(prompts))
        last = torch.tensor([len(ids) - 1 for ids in prompts], device=text.ids.device)
        rows = torch.arange(len(prompts), device=text.ids.device)
        positions = sequences.positions(text, prefix.text_start)
        keep, kept_at = last.unique(return_inverse=True)
        mask = text_mask(text, prefix.visible)
        logits = model.forward_with_cache(prefix.cache, text.ids, mask, positions, keep)
        self._model, self._cache = model, prefix.cache
        self.logits = logits[rows, kept_at]
        # A new token attends to the brain tokens, its prompt without padding, and the tokens since.
        self._mask = torch.cat([prefix.visible, text.segment == 0], dim=1)
        self._position = positions[rows, last]
        if copies > 1:
            self._repeat(copies)

    def append(self, tokens: Tensor) -> None:
        """Add one token to each row, shape (R,), and compute the logits of the next one."""
        self._mask = torch.cat([self._mask, torch.ones_like(self._mask[:, :1])], dim=1)
        self._position = self._position + 1
        logits = self._model.forward_with_cache(
            self._cache,
            tokens[:, None],
            self._mask[:, None],
            self._position[:, None],
            torch.zeros(1, dtype=torch.int64, device=tokens.device),
        )
        self.logits = logits[:, 0]

    def select(self, rows: Tensor) -> None:
        """Continue from other rows: row r from what row ``rows[r]`` was, shape (R,)."""
        self._cache.reorder_cache(cast("torch.LongTensor", rows))
        self._mask, self._position = self._mask[rows], self._position[rows]

    def _repeat(self, copies: int) -> None:
        self._cache.batch_repeat_interleave(copies)
        self.logits, self._mask, self._position = (
            each.repeat_interleave(copies, dim=0)
            for each in (self.logits, self._mask, self._position)
        )
