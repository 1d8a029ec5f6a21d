"""Which columns of a packed sequence attend to which: the brain block, text about it, plain text.

B sequences, P columns of the brain block, L text columns, S = P + L. Boolean masks are True where
attention is allowed.
"""

import torch
from torch import Tensor

from fmri_llm.packing.brain_columns import BrainColumns
from fmri_llm.packing.sequences import PackedText

__all__ = ["additive_mask", "attention_mask", "text_mask"]


def attention_mask(text: PackedText, brain: BrainColumns) -> Tensor:
    """Which column (last axis) each column (middle axis) of the whole sequence may attend to.

    Parameters
    ----------
    text : PackedText
    brain : BrainColumns

    Returns
    -------
    Tensor of bool, shape (B, S, S)
        Every column attends at least to itself, so that no softmax is over nothing; no other
        column attends to padding or to a region without signal. Without text, and where all blocks
        have the same columns, one row serves all: (1, P, P).
    """
    of_brain, n_text = brain.mask(), text.ids.shape[1]
    if n_text == 0:
        return of_brain
    n_brain = brain.n_columns
    mask = of_brain.new_zeros(len(text.ids), n_brain + n_text, n_brain + n_text)
    mask[:, :n_brain, :n_brain] = of_brain
    mask[:, n_brain:] = text_mask(text, brain.visible)
    return mask


def text_mask(text: PackedText, visible: Tensor) -> Tensor:
    """Which column each text column may attend to.

    Parameters
    ----------
    text : PackedText
    visible : Tensor of bool, shape (B, P)
        Columns of the brain block that text about it attends to.

    Returns
    -------
    Tensor of bool, shape (B, L, S)
        A text column attends to its segment up to itself, to the segment that this one continues
        and, where it sees the brain, to the visible columns of the block.
    """
    n_text = text.ids.shape[1]
    causal = torch.ones(n_text, n_text, dtype=torch.bool, device=text.ids.device).tril()
    query, key = text.segment[:, :, None], text.segment[:, None, :]
    related = (key == query) | (key == text.continues[:, :, None])
    to_text = causal & related & (key >= 0)
    to_text.diagonal(dim1=1, dim2=2).fill_(True)
    to_brain = text.sees_brain[:, :, None] & visible[:, None, :]
    return torch.cat([to_brain, to_text], dim=2)


def additive_mask(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Four-dimensional float mask that every attention implementation treats alike.

    Attention kernels add the mask to the scores. Some of them would add a boolean mask as 0 and 1
    and so hide nothing.

    Parameters
    ----------
    mask : Tensor of bool, shape (B, Q, S)
    dtype : torch.dtype
        That of the model's embeddings.

    Returns
    -------
    Tensor, shape (B, 1, Q, S)
        0 where attention is allowed, the lowest finite number where not.
    """
    added = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    return added.masked_fill_(~mask, torch.finfo(dtype).min).unsqueeze(1)
