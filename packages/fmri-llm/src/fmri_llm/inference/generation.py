"""Greedy text of a language model after a brain prefix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fmri_llm.inference.prefix import BrainPrefix, CachedModel
from fmri_llm.packing import sequences
from fmri_llm.packing.attention_mask import text_mask
from fmri_llm.packing.sequences import TextSegment

__all__ = ["greedy_search"]


def greedy_search(
    model: CachedModel,
    prefix: BrainPrefix,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    end_ids: set[int],
) -> list[list[int]]:
    """Most likely next token, one after the other, up to the end of the turn.

    Parameters
    ----------
    model : CachedModel
    prefix : BrainPrefix
        One scan, or one per prompt.
    prompts : token ids of each prompt
    max_new_tokens : int
    end_ids : set of int
        Tokens that end a turn; they are not part of the result.

    Returns
    -------
    list of list of int
        New tokens for each prompt.
    """
    text = sequences.pack([[TextSegment(ids=ids)] for ids in prompts]).to(prefix.visible.device)
    prefix = prefix.for_prompts(len(prompts))
    last = torch.tensor([len(ids) - 1 for ids in prompts], device=text.ids.device)
    rows = torch.arange(len(prompts), device=text.ids.device)
    position = sequences.positions(text, prefix.text_start)
    keep, kept_at = last.unique(return_inverse=True)
    mask = text_mask(text, prefix.visible)
    logits = model.forward_with_cache(prefix.cache, text.ids, mask, position, keep)
    token = logits[rows, kept_at].argmax(-1)
    # A new token attends to the brain tokens, its prompt without padding, and the tokens since,
    # which are appended below.
    mask = torch.cat([prefix.visible, text.segment == 0], dim=1)
    position, only = position[rows, last], torch.zeros_like(keep[:1])
    tokens = [token]
    while len(tokens) < max_new_tokens and not _all_ended(tokens, end_ids):
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
        position = position + 1
        logits = model.forward_with_cache(
            prefix.cache, token[:, None], mask[:, None], position[:, None], only
        )
        token = logits[:, 0].argmax(-1)
        tokens.append(token)
    return [_until_end(row, end_ids) for row in torch.stack(tokens, dim=1).tolist()]


def _all_ended(tokens: list[Tensor], end_ids: set[int]) -> bool:
    return all(end_ids.intersection(row) for row in torch.stack(tokens, dim=1).tolist())


def _until_end(ids: list[int], end_ids: set[int]) -> list[int]:
    ends = [k for k, token in enumerate(ids) if token in end_ids]
    return ids[: ends[0]] if ends else ids
