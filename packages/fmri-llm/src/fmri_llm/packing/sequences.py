"""One packed sequence: the brain block, then text segments that do not see each other.

B sequences, W time steps, N regions, M = W * N brain tokens, L text columns, S = M + L.

::

    columns    0 ........ M-1 | M ............................ M+L-1
    holds      brain block    | segment 0 | segment 1 | ... | padding
    positions  0 0 .. W-1 W-1 | W W+1 ..  | W W+1 ..  | ... | 0

The brain block is time-major (`fmri_llm.packing.token_grid`): the regions of a step share one
position and attend to each other and the past. A segment attends to itself causally, to the whole
brain block if it `sees_brain`, and to the one segment it continues, if any
(`fmri_llm.packing.attention_mask`). Its positions continue those of the text that it continues:
from W after the brain block, from 0 if it does not see the brain. So one forward pass over the
packed sequence gives what separate passes over its parts would give.

The windows of a scan are concatenated to one longer series of steps. Where the scans of a batch
have different numbers of steps, W is the largest: nothing attends to the padding steps of the
others, and text starts at the scan's own number of steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["NO_TARGET", "PackedText", "TextSegment", "pack", "positions"]

NO_TARGET = -100
"""Label of a column that predicts no target (the value that torch's cross-entropy ignores)."""

_PADDING = -1
_NOTHING = -2


@dataclass(frozen=True, kw_only=True)
class TextSegment:
    """A run of text tokens.

    Attributes
    ----------
    ids : sequence of int
        Token ids of the base model's tokenizer.
    n_given : int
        Number of tokens at the start that are given (a prompt) and are no targets. The first
        token of a text that continues nothing is predicted from nothing and never is a target.
    sees_brain : bool
        Whether it is conditioned on the brain block (F2T) or plain text (T2T).
    continues : int or None
        Index, in the same sequence, of the segment that this one continues: several answers
        can share one prompt.
    """

    ids: Sequence[int]
    n_given: int = 0
    sees_brain: bool = True
    continues: int | None = None


class PackedText(NamedTuple):
    """Text columns of a batch of packed sequences; each (B, L), padded on the right.

    Attributes
    ----------
    ids : Tensor of int64
    segment : Tensor of int64
        Number of the segment that a column belongs to; negative for padding.
    continues : Tensor of int64
        Number of the segment that this column's segment continues; negative for none.
    offsets : Tensor of int64
        Position within the text: 0 for the first token after the brain block (or of a text
        that does not see it).
    sees_brain : Tensor of bool
    labels : Tensor of int64
        The token that a column predicts, which is the next one of its segment; `NO_TARGET`
        where that is no target.
    """

    ids: Tensor
    segment: Tensor
    continues: Tensor
    offsets: Tensor
    sees_brain: Tensor
    labels: Tensor

    def to(self, device: torch.device | str) -> PackedText:
        """Move all columns to a device."""
        return PackedText(*(column.to(device) for column in self))


def pack(sequences: Sequence[Sequence[TextSegment]]) -> PackedText:
    """Text columns of a batch of sequences.

    Parameters
    ----------
    sequences : sequence of sequence of TextSegment
        The segments of each sequence, in order; a segment comes after the one it continues.

    Returns
    -------
    PackedText
    """
    rows = [_row(segments) for segments in sequences]
    width = max((len(row) for row in rows), default=0)
    blank = _Column(0, _PADDING, _NOTHING, 0, False, NO_TARGET)
    padded = [row + [blank] * (width - len(row)) for row in rows]
    fields = [[[column[field] for column in row] for row in padded] for field in range(len(blank))]
    ids, segment, continues, offsets, sees_brain, labels = fields
    return PackedText(
        ids=_int_tensor(ids, width),
        segment=_int_tensor(segment, width),
        continues=_int_tensor(continues, width),
        offsets=_int_tensor(offsets, width),
        sees_brain=_int_tensor(sees_brain, width).bool(),
        labels=_int_tensor(labels, width),
    )


def positions(text: PackedText, n_steps: int | Tensor) -> Tensor:
    """Position ids of the text columns.

    Parameters
    ----------
    text : PackedText
    n_steps : int or Tensor of int64, shape (B,)
        Steps of the brain block, or those of each scan.

    Returns
    -------
    Tensor of int64, shape (B, L)
    """
    steps = n_steps[:, None] if isinstance(n_steps, Tensor) else n_steps
    return text.offsets + steps * text.sees_brain


class _Column(NamedTuple):
    token: int
    segment: int
    continues: int
    offset: int
    sees_brain: bool
    label: int


def _row(segments: Sequence[TextSegment]) -> list[_Column]:
    row: list[_Column] = []
    ends: list[int] = []
    for number, segment in enumerate(segments):
        start = 0 if segment.continues is None else ends[segment.continues]
        parent = _NOTHING if segment.continues is None else segment.continues
        row += [
            _Column(token, number, parent, start + k, segment.sees_brain, label)
            for k, (token, label) in enumerate(zip(segment.ids, _labels(segment), strict=True))
        ]
        ends.append(start + len(segment.ids))
    return row


def _labels(segment: TextSegment) -> list[int]:
    """Next token of each token of a segment, unless that is given."""
    following = list(segment.ids[1:])
    n_given = max(segment.n_given - 1, 0)
    return [NO_TARGET] * min(n_given, len(following)) + following[n_given:] + [NO_TARGET]


def _int_tensor(rows: list[list[int]], width: int) -> Tensor:
    return torch.tensor(rows, dtype=torch.int64).reshape(len(rows), width)
