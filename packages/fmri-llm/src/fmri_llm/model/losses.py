"""The losses over tokens and answers, and their weighted sum (paper, section 3.3).

Each is a mean over all targets of the whole batch, so that short examples have no larger weight.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from fmri_llm.packing.next_step import next_step
from fmri_llm.packing.sequences import NO_TARGET

__all__ = ["choice_loss", "mean_over_targets", "next_step_loss", "weighted_sum"]


def mean_over_targets(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy over the labels that are targets, in nats; 0 without any target.

    Parameters
    ----------
    logits : Tensor, shape (..., n_classes)
    labels : Tensor of int64, shape (...)
        `NO_TARGET` where nothing is to be predicted.
    weights : Tensor, shape (...), optional
        Of each target in the mean; equal by default.

    Returns
    -------
    Tensor, scalar
    """
    if weights is None:
        weights = (labels != NO_TARGET).to(logits.dtype)
    losses = cross_entropy(
        logits.flatten(0, -2), labels.flatten(), ignore_index=NO_TARGET, reduction="none"
    )
    total = weights.sum()
    return (losses * weights.flatten()).sum() / torch.where(total > 0, total, 1.0)


def choice_loss(
    logits: Tensor, labels: Tensor, weights: Tensor, answer: Tensor, question: Tensor
) -> Tensor:
    """Cross-entropy of a choice among the possible answers to a question, a mean over questions.

    An answer is chosen in proportion to its likelihood, the product over its tokens. This is what
    `fmri_llm.FMRILM.score_answers` compares.

    Parameters
    ----------
    logits : Tensor, shape (n, V)
        Of the tokens of all answers.
    labels : Tensor of int64, shape (n,)
    weights : Tensor, shape (n,)
        Over the tokens of an answer, they sum to the probability that it should have.
    answer, question : Tensor of int64, shape (n,)
        Number of the answer that a token is of, and of the question that it answers. No two
        questions share the number of an answer.

    Returns
    -------
    Tensor, scalar
        In nats; 0 without any question.
    """
    if len(labels) == 0:
        return logits.sum()
    log_likelihoods = -cross_entropy(logits, labels, reduction="none")
    numbers, answer = answer.unique(return_inverse=True)
    nothing = log_likelihoods.new_zeros(len(numbers))
    scores = nothing.index_add(0, answer, log_likelihoods)
    wanted = nothing.index_add(0, answer, weights.to(nothing))
    of_answer = question.new_zeros(len(numbers)).index_copy(0, answer, question)
    losses = []
    for number in of_answer.unique():
        own = of_answer == number
        losses.append(-(wanted[own] * scores[own].log_softmax(0)).sum())
    return torch.stack(losses).mean()


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
