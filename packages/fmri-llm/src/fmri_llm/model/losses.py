"""The three losses of stage 2 and their weighted sum (paper, section 3.3).

Each is a mean over all targets of the whole batch, so that short examples have no larger weight.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from fmri_llm.packing.next_step import next_step
from fmri_llm.packing.sequences import NO_TARGET

__all__ = ["mean_over_targets", "next_step_loss", "step_targets", "weighted_sum"]


def mean_over_targets(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over the labels that are targets, in nats; 0 without any target.

    Parameters
    ----------
    logits : Tensor, shape (..., n_classes)
    labels : Tensor of int64, shape (...)
        `NO_TARGET` where nothing is to be predicted.

    Returns
    -------
    Tensor, scalar
    """
    n_classes = logits.shape[-1]
    total = cross_entropy(
        logits.reshape(-1, n_classes), labels.reshape(-1), ignore_index=NO_TARGET, reduction="sum"
    )
    return total / (labels != NO_TARGET).sum().clamp(min=1)


def next_step_loss(
    logits: Tensor, codes: Tensor, valid_codes: Tensor, step_mask: Tensor | None = None
) -> Tensor:
    """F2F: each code one step later (Eq. 5), as a mean over the codes of a step and the steps.

    Parameters
    ----------
    logits : Tensor, shape (B, W, N, K)
        Those at (w, n) predict code (w + 1, n).
    codes : Tensor of int64, shape (B, W, N)
    valid_codes : Tensor of bool, shape (B, N)
        False for a code that carries no signal, which is no target.
    step_mask : Tensor of bool, shape (B, W), optional
        False for a step that is no target; by default all but the first are.

    Returns
    -------
    Tensor, scalar

    Raises
    ------
    InputError
        If W < 2: nothing follows the only step.
    """
    predicted, _ = next_step(logits)
    _, targets = next_step(codes)
    is_target = valid_codes[:, None, :]
    if step_mask is not None:
        is_target = is_target & step_mask[:, 1:, None]
    targets = torch.where(is_target, targets, NO_TARGET)
    return mean_over_targets(predicted, targets)


def step_targets(codes: Tensor, step_mask: Tensor | None, follows: Tensor | None) -> Tensor:
    """Select the steps that are targets of next-step prediction (F2F); shape (B, W), bool.

    Parameters
    ----------
    codes : Tensor, shape (B, W, N)
    step_mask, follows : Tensor of bool, shape (B, W), or None
        False for a padding step, and for one that does not follow the one before it.
    """
    targets = torch.ones(codes.shape[:2], dtype=torch.bool, device=codes.device)
    for restriction in (step_mask, follows):
        targets = targets if restriction is None else targets & restriction
    return targets


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Sum of the losses by their weights (Eq. 6).

    Parameters
    ----------
    losses, weights : mapping by name
        A loss without a weight is an error.

    Returns
    -------
    Tensor, scalar
    """
    return torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()
