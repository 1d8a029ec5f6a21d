"""Cached keys and values of brain blocks, which any number of prompts can follow."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple, Protocol

from torch import Tensor

from fmri_vqtok.errors import InputError

if TYPE_CHECKING:
    from transformers import Cache

    from fmri_llm.packing.recent_words import Words

__all__ = ["BrainPrefix", "CachedModel"]


class CachedModel(Protocol):
    """A language model that continues from cached keys and values, such as `FMRILM`."""

    def forward_with_cache(
        self,
        cache: Cache,
        words: Words,
        measures: Tensor | None,
        attention_mask: Tensor,
        position_ids: Tensor,
        logits_to_keep: Tensor,
    ) -> Tensor:
        """Vocabulary logits of text tokens that follow those of a cache.

        Parameters
        ----------
        cache : transformers.Cache
            Of C tokens; it is extended in place.
        words : Words
            The L new tokens.
        measures : Tensor, shape (B, M), or None
            Values of the measures of the scans, for words that name one.
        position_ids : Tensor of int64, shape (B, L)
        attention_mask : Tensor of bool, shape (B, L, C + L)
            What each new token may attend to.
        logits_to_keep : Tensor of int64, shape (k,)
            Columns, of the L, whose logits are computed.

        Returns
        -------
        Tensor, shape (B, k, V)
        """


class BrainPrefix(NamedTuple):
    """Brain blocks of some scans after the prefill, to be asked many questions.

    Attributes
    ----------
    cache : transformers.Cache
        Keys and values of the B brain blocks of P columns.
    visible : Tensor of bool, shape (B, P)
        Columns that text may attend to.
    text_start : Tensor of int64, shape (B,)
        Position of the first text token.
    measures : Tensor, shape (B, M), or None
        Values of the measures that text about the scans reads.
    """

    cache: Cache
    visible: Tensor
    text_start: Tensor
    measures: Tensor | None

    @property
    def n_scans(self) -> int:
        """B."""
        return len(self.visible)

    def for_prompts(self, n_prompts: int) -> BrainPrefix:
        """Copy that prompts can extend: one scan for all prompts, or one for each.

        Raises
        ------
        InputError
            If there are several scans, but not one for each prompt.
        """
        if self.n_scans not in (1, n_prompts):
            msg = f"codes: {self.n_scans} scans for {n_prompts} prompts; give one, or one each"
            raise InputError(msg)
        # The forward pass extends a cache in place; this one stays as it is for other questions.
        cache = copy.deepcopy(self.cache)
        if self.n_scans != n_prompts:
            cache.batch_repeat_interleave(n_prompts)
        measures = None if self.measures is None else self.measures.expand(n_prompts, -1)
        return BrainPrefix(
            cache, self.visible.expand(n_prompts, -1), self.text_start.expand(n_prompts), measures
        )
