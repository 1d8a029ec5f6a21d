"""The last words up to each text column.

B texts, L text columns, n words.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fmri_llm.packing.sequences import PackedText

__all__ = ["NO_WORD", "N_WORDS", "Words", "words_of"]

N_WORDS = 16
"""Tokens, up to and with the one that reads, that are compared with the names of measures: most
names have fewer, and of a longer one the last are compared."""

NO_WORD = -1
"""Stands for a word before the first one of a text."""


class Words(NamedTuple):
    """Text tokens, each with those before it.

    Attributes
    ----------
    ids : Tensor of int64, shape (B, L)
    recent : Tensor of int64, shape (B, L, n)
        The last n tokens up to and with each one, the oldest first; `NO_WORD` where the text has
        fewer, or says nothing of a scan.
    """

    ids: Tensor
    recent: Tensor


def words_of(text: PackedText, n_words: int = N_WORDS) -> Words:
    """Words of packed text; a segment that continues another one has its last words before it.

    Parameters
    ----------
    text : PackedText
    n_words : int, default=N_WORDS
    """
    n_rows, n_columns = text.ids.shape
    columns = torch.arange(n_columns, device=text.ids.device).expand(n_rows, -1)
    # Column before each one in its text: its neighbour, or the last of the segment it continues.
    starts = torch.ones_like(text.ids, dtype=torch.bool)
    starts[:, 1:] = text.segment[:, 1:] != text.segment[:, :-1]
    is_parent = text.segment[:, None, :] == text.continues[:, :, None]
    last_of_parent = (
        torch.where(is_parent, columns[:, None], NO_WORD).amax(2) if n_columns else columns
    )
    before = torch.where(starts, last_of_parent, columns - 1)
    place, found = columns, []
    for _ in range(n_words):
        found.append(torch.where(place >= 0, text.ids.gather(1, place.clamp(min=0)), NO_WORD))
        place = torch.where(place >= 0, before.gather(1, place.clamp(min=0)), NO_WORD)
    recent = torch.stack(found[::-1], dim=2)
    return Words(text.ids, recent.masked_fill(~text.sees_brain[:, :, None], NO_WORD))
