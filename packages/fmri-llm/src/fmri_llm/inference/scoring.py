"""Likelihoods of answers after a brain prefix.

One pass scores all answers to a prompt: the prompt follows the cached brain block, and each answer
continues the prompt without attending to the other answers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fmri_llm.inference.prefix import BrainPrefix, CachedModel
from fmri_llm.packing import sequences
from fmri_llm.packing.attention_mask import text_mask
from fmri_llm.packing.recent_words import words_of
from fmri_llm.packing.sequences import TextSegment

__all__ = ["answer_log_likelihoods"]


def answer_log_likelihoods(
    model: CachedModel,
    prefix: BrainPrefix,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[Sequence[int]]],
) -> Tensor:
    """Log-likelihood of each answer to each prompt, summed over the answer's tokens.

    Parameters
    ----------
    model : CachedModel
    prefix : BrainPrefix
        One scan, or one per prompt.
    prompts : token ids of each prompt
    answers : token ids of each answer to each prompt
        The same number of answers to every prompt.

    Returns
    -------
    Tensor, shape (B, n_answers)
        In nats.
    """
    rows = [
        [TextSegment(ids=prompt), *(TextSegment(ids=ids, continues=0) for ids in row)]
        for prompt, row in zip(prompts, answers, strict=True)
    ]
    text = sequences.pack(rows).to(prefix.visible.device)
    targets = [_targets(prompt, row) for prompt, row in zip(prompts, answers, strict=True)]
    keep = sorted({column for row in targets for answer in row for column, _ in answer})
    kept_at = {column: k for k, column in enumerate(keep)}
    prefix = prefix.for_prompts(len(rows))
    logits = model.forward_with_cache(
        prefix.cache,
        words_of(text),
        prefix.measures,
        text_mask(text, prefix.visible),
        sequences.positions(text, prefix.text_start),
        torch.tensor(keep, device=text.ids.device),
    )
    log_probabilities = logits.log_softmax(-1)
    return torch.stack(
        [
            torch.stack([_sum_at(row, answer, kept_at) for answer in answers_of_row])
            for row, answers_of_row in zip(log_probabilities, targets, strict=True)
        ]
    )


def _targets(
    prompt: Sequence[int], answers: Sequence[Sequence[int]]
) -> list[list[tuple[int, int]]]:
    """For each answer the pairs (text column, token that this column predicts)."""
    targets, start = [], len(prompt)
    for ids in answers:
        columns = [len(prompt) - 1, *range(start, start + len(ids) - 1)]
        targets.append(list(zip(columns, ids, strict=True)))
        start += len(ids)
    return targets


def _sum_at(
    log_probabilities: Tensor, answer: Sequence[tuple[int, int]], kept_at: dict[int, int]
) -> Tensor:
    rows = [kept_at[column] for column, _ in answer]
    return log_probabilities[rows, [token for _, token in answer]].sum()
