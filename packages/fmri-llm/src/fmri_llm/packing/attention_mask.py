"""Which columns of a packed sequence attend to which: brain tokens, text about them, plain text.

B sequences, W time steps, N regions, M = W * N brain tokens, L text columns, S = M + L. Boolean
masks are True where attention is allowed.
"""

import torch
from torch import Tensor

from fmri_llm.packing import token_grid
from fmri_llm.packing.sequences import PackedText

__all__ = ["additive_mask", "attention_mask", "block_causal_mask", "brain_token_mask"]


def block_causal_mask(
    n_steps: int, n_regions: int, device: torch.device | str | None = None
) -> Tensor:
    """Which brain token (column) each one (row) may attend to: its own step and the past.

    Returns
    -------
    Tensor of bool, shape (M, M)
    """
    steps = token_grid.step_ids(n_steps, n_regions, device)
    return steps[None, :] <= steps[:, None]


def brain_token_mask(region_mask: Tensor, n_steps: int, step_mask: Tensor | None = None) -> Tensor:
    """Which brain tokens others may attend to.

    Parameters
    ----------
    region_mask : Tensor of bool, shape (B, N)
        False for a region without signal.
    n_steps : int
        W.
    step_mask : Tensor of bool, shape (B, W), optional
        False for the padding steps of a shorter scan; there are none by default.

    Returns
    -------
    Tensor of bool, shape (B, M)
    """
    mask = region_mask.repeat(1, n_steps)
    if step_mask is None:
        return mask
    return mask & step_mask.repeat_interleave(region_mask.shape[1], dim=1)


def attention_mask(
    text: PackedText, region_mask: Tensor, n_steps: int, step_mask: Tensor | None = None
) -> Tensor:
    """Which column (last axis) each column (middle axis) of the whole sequence may attend to.

    Parameters
    ----------
    text : PackedText
    region_mask, n_steps, step_mask
        As for `brain_token_mask`.

    Returns
    -------
    Tensor of bool, shape (B, S, S)
        Every column attends at least to itself, so that no softmax is over nothing; no other
        column attends to padding or to a region without signal.
    """
    n_sequences, n_regions = region_mask.shape
    n_brain, n_text = n_steps * n_regions, text.ids.shape[1]
    keys = brain_token_mask(region_mask, n_steps, step_mask)[:, None, :]
    mask = region_mask.new_zeros(n_sequences, n_brain + n_text, n_brain + n_text)
    mask[:, :n_brain, :n_brain] = block_causal_mask(n_steps, n_regions, region_mask.device) & keys
    mask[:, n_brain:, :n_brain] = text.sees_brain[:, :, None] & keys
    mask[:, n_brain:, n_brain:] = _text_to_text(text)
    mask.diagonal(dim1=1, dim2=2).fill_(True)
    return mask


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


def _text_to_text(text: PackedText) -> Tensor:
    """Causal pairs within a segment, or of a segment and the one it continues: (B, L, L)."""
    n_text = text.ids.shape[1]
    causal = torch.ones(n_text, n_text, dtype=torch.bool, device=text.ids.device).tril()
    query, key = text.segment[:, :, None], text.segment[:, None, :]
    related = (key == query) | (key == text.continues[:, :, None])
    return causal & related & (key >= 0)
