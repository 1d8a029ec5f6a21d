"""One packed sequence: the brain block, then text segments that do not see each other.

B sequences, W time steps, N regions, M = W * N brain tokens, L text columns, S = M + L.

::

    columns    0 ........ M-1 | M ............................ M+L-1
    holds      brain block    | segment 0 | segment 1 | ... | padding
    positions  0 0 .. W-1 W-1 | W W+1 ..  | W W+1 ..  | ... | 0

The brain block is time-major (`fmri_llm.packing.token_grid`): the regions of a step share one
position and see each other and the past. A segment sees itself causally, the whole brain block if
it `sees_brain`, and the one segment it continues, if any. Its positions go on where the text that
it continues ends: after the brain block at W, at 0 if it does not see the brain. So one forward
pass over the packed sequence gives what separate passes over its parts would give.

The windows of a scan stand one after the other as one longer series of steps. Where the scans of a
batch have different numbers of steps, W is the largest: the steps that fill up the others are
looked at by nothing, and text goes on at the scan's own number of steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from fmri_llm.model.losses import NO_TARGET
from fmri_llm.packing import token_grid

__all__ = [
    "PackedText",
    "TextSegment",
    "additive_mask",
    "allowed",
    "pack",
    "positions",
    "usable_tokens",
]

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
        So many tokens at the start are given (a prompt) and no targets. The first token of a
        text that continues nothing has nothing to be predicted from and never is one.
    sees_brain : bool
        Whether it is conditioned on the brain block (F2T) or plain text (T2T).
    continues : int or None
        Index, in the same sequence, of the segment that this one goes on from: several answers
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
        Number of the segment that this column's segment goes on from; negative for none.
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


def pack(sequences: Sequence[Sequence[TextSegment]]) -> PackedText:
    """Text columns of a batch of sequences.

    Parameters
    ----------
    sequences : sequence of sequence of TextSegment
        The segments of each sequence, in order; a segment stands after the one it continues.

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
        ids=_whole(ids, width),
        segment=_whole(segment, width),
        continues=_whole(continues, width),
        offsets=_whole(offsets, width),
        sees_brain=_whole(sees_brain, width).bool(),
        labels=_whole(labels, width),
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


def allowed(text: PackedText, present: Tensor, n_steps: int, steps: Tensor | None = None) -> Tensor:
    """Which column (last axis) each column (middle axis) of the whole sequence may attend to.

    Parameters
    ----------
    text : PackedText
    present : Tensor of bool, shape (B, N)
        False for a region without signal: nothing but the token itself looks at it.
    n_steps : int
        W.
    steps : Tensor of bool, shape (B, W), optional
        False for a step that fills up a shorter scan; all are the scan's by default.

    Returns
    -------
    Tensor of bool, shape (B, S, S)
        True where attention is allowed. Every row allows at least itself, so that no softmax is
        over nothing; nothing else looks at padding.
    """
    n_sequences, n_regions = present.shape
    n_brain, n_text = n_steps * n_regions, text.ids.shape[1]
    usable = usable_tokens(present, n_steps, steps)
    grid = token_grid.block_causal_mask(n_steps, n_regions, device=present.device)
    mask = present.new_zeros(n_sequences, n_brain + n_text, n_brain + n_text)
    mask[:, :n_brain, :n_brain] = grid & usable[:, None, :]
    mask[:, n_brain:, :n_brain] = text.sees_brain[:, :, None] & usable[:, None, :]
    mask[:, n_brain:, n_brain:] = _text_to_text(text)
    mask.diagonal(dim1=1, dim2=2).fill_(True)
    return mask


def usable_tokens(present: Tensor, n_steps: int, steps: Tensor | None = None) -> Tensor:
    """Which brain tokens of a block are looked at by others; shape (B, W * N), bool.

    Parameters
    ----------
    present, n_steps, steps
        As for `allowed`.
    """
    usable = present.repeat(1, n_steps)
    return usable if steps is None else usable & steps.repeat_interleave(present.shape[1], dim=1)


def additive_mask(allowed_pairs: Tensor, dtype: torch.dtype) -> Tensor:
    """Four-dimensional float mask that every attention implementation treats alike.

    Attention kernels add the mask to the scores. A boolean mask would be added as 0 and 1 by
    some of them and so hide nothing.

    Parameters
    ----------
    allowed_pairs : Tensor of bool, shape (B, Q, S)
    dtype : torch.dtype
        That of the model's embeddings.

    Returns
    -------
    Tensor, shape (B, 1, Q, S)
        0 where attention is allowed, the lowest finite number where not.
    """
    mask = torch.zeros(allowed_pairs.shape, dtype=dtype, device=allowed_pairs.device)
    return mask.masked_fill_(~allowed_pairs, torch.finfo(dtype).min).unsqueeze(1)


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


def _whole(rows: list[list[int]], width: int) -> Tensor:
    return torch.tensor(rows, dtype=torch.int64).reshape(len(rows), width)


def _text_to_text(text: PackedText) -> Tensor:
    """Causal pairs of one segment, or of a segment and the one it continues: (B, L, L)."""
    n_text = text.ids.shape[1]
    causal = torch.ones(n_text, n_text, dtype=torch.bool, device=text.ids.device).tril()
    query, key = text.segment[:, :, None], text.segment[:, None, :]
    related = (key == query) | (key == text.continues[:, :, None])
    return causal & related & (key != _PADDING)
