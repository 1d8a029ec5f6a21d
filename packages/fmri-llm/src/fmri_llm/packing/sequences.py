"""One packed sequence: the brain block, then text segments that do not see each other.

B sequences, P columns of the brain block, L text columns, S = P + L.

::

    columns    0 ... P-1   | P ............................ P+L-1
    holds      brain block | segment 0 | segment 1 | ... | padding
    positions  0 ... E-1   | E E+1 ..  | E E+1 ..  | ... | 0

The brain block is laid out by `fmri_llm.packing.brain_columns`. A segment attends to itself
causally, to the brain block if it `sees_brain`, and to the one segment it continues, if any
(`fmri_llm.packing.attention_mask`). Its positions continue those of the text that it continues:
from E after the brain block, from 0 if it does not see the brain. So one forward pass over the
packed sequence gives what separate passes over its parts would give.

Where the scans of a batch have different numbers of steps, the block has room for the longest:
nothing attends to the padding of the others, and their text starts at a lower position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["NO_TARGET", "TEXT_LOSSES", "PackedText", "TextSegment", "pack", "positions"]

NO_TARGET = -100
"""Label of a column that predicts no target (the value that torch's cross-entropy ignores)."""

TEXT_LOSSES = ("f2t", "t2t", "questions", "choices")
"""Losses that a segment's targets can count for. Targets of "choices" count for "questions" too."""

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
    loss : str
        Which of `TEXT_LOSSES` its targets count for.
    weights : sequence of float, optional
        Weight of each token as a target; 1 by default.
    """

    ids: Sequence[int]
    n_given: int = 0
    sees_brain: bool = True
    continues: int | None = None
    loss: str = "f2t"
    weights: Sequence[float] | None = None


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
    loss : Tensor of int64
        Place in `TEXT_LOSSES` of the loss that the target counts for.
    weight : Tensor of float32
        Of the target in its loss; 0 where there is none.
    """

    ids: Tensor
    segment: Tensor
    continues: Tensor
    offsets: Tensor
    sees_brain: Tensor
    labels: Tensor
    loss: Tensor
    weight: Tensor

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
    blank = _Column(0, _PADDING, _NOTHING, 0, False, NO_TARGET, 0, 0.0)
    padded = [row + [blank] * (width - len(row)) for row in rows]

    def column(name: str, dtype: torch.dtype = torch.int64) -> Tensor:
        values = [[getattr(each, name) for each in row] for row in padded]
        return torch.tensor(values, dtype=dtype).reshape(len(padded), width)

    return PackedText(
        ids=column("token"),
        segment=column("segment"),
        continues=column("parent"),
        offsets=column("offset"),
        sees_brain=column("sees_brain", torch.bool),
        labels=column("label"),
        loss=column("loss"),
        weight=column("weight", torch.float32),
    )


def positions(text: PackedText, start: Tensor) -> Tensor:
    """Position ids of the text columns.

    Parameters
    ----------
    text : PackedText
    start : Tensor of int64, shape (B,)
        Position after each brain block, E.

    Returns
    -------
    Tensor of int64, shape (B, L)
    """
    return text.offsets + start[:, None] * text.sees_brain


class _Column(NamedTuple):
    token: int
    segment: int
    parent: int
    offset: int
    sees_brain: bool
    label: int
    loss: int
    weight: float


def _row(segments: Sequence[TextSegment]) -> list[_Column]:
    row: list[_Column] = []
    ends: list[int] = []
    for number, segment in enumerate(segments):
        start = 0 if segment.continues is None else ends[segment.continues]
        parent = _NOTHING if segment.continues is None else segment.continues
        loss = TEXT_LOSSES.index(segment.loss)
        columns = zip(segment.ids, _labels(segment), _weights(segment), strict=True)
        row += [
            _Column(token, number, parent, start + k, segment.sees_brain, label, loss, weight)
            for k, (token, label, weight) in enumerate(columns)
        ]
        ends.append(start + len(segment.ids))
    return row


def _labels(segment: TextSegment) -> list[int]:
    """Next token of each token of a segment, unless that is given."""
    following = list(segment.ids[1:])
    n_given = max(segment.n_given - 1, 0)
    return [NO_TARGET] * min(n_given, len(following)) + following[n_given:] + [NO_TARGET]


def _weights(segment: TextSegment) -> list[float]:
    """Weight of what each token of a segment predicts; 0 where that is no target."""
    weights = segment.weights or [1.0] * len(segment.ids)
    following = [*weights[1:], 0.0]
    return [
        0.0 if label == NO_TARGET else float(weight)
        for label, weight in zip(_labels(segment), following, strict=True)
    ]
