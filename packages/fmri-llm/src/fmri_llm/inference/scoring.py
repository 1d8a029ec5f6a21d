"""Answers of a language model about scans that it has read: likelihoods and greedy text.

The brain block of a scan is read once; its keys and values serve every prompt, and a prompt's
serve every answer.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from fmri_llm.packing import sequences
from fmri_llm.packing.sequences import PackedText, TextSegment
from fmri_vqtok.errors import InputError

if TYPE_CHECKING:
    from transformers import Cache

    from fmri_llm.model.fmri_lm import FMRILM

__all__ = ["BrainPrefix", "greedy", "score"]


class BrainPrefix(NamedTuple):
    """Brain blocks of some scans as a model has read them, to be asked many questions.

    Attributes
    ----------
    cache : transformers.Cache
        Keys and values of the B brain blocks.
    present : Tensor of bool, shape (B, N)
        False for a region without signal.
    steps : Tensor of bool, shape (B, W)
        False for a step that fills up a shorter scan.
    """

    cache: Cache
    present: Tensor
    steps: Tensor

    @property
    def n_steps(self) -> int:
        """W, steps of the longest scan."""
        return self.steps.shape[1]

    @property
    def own_steps(self) -> Tensor:
        """Steps of each scan, shape (B,); text goes on there."""
        return self.steps.sum(1)

    def for_prompts(self, n_prompts: int) -> BrainPrefix:
        """Copy to read on from: one scan for all prompts, or one for each.

        Raises
        ------
        InputError
            If there are several scans, but not one for each prompt.
        """
        n_scans = len(self.present)
        if n_scans not in (1, n_prompts):
            msg = f"codes: {n_scans} scans for {n_prompts} prompts; give one, or one each"
            raise InputError(msg)
        # Reading on extends a cache in place; this one stays as it is for the next question.
        cache = copy.deepcopy(self.cache)
        if n_scans != n_prompts:
            cache.batch_repeat_interleave(n_prompts)
        present, steps = (each.expand(n_prompts, -1) for each in (self.present, self.steps))
        return BrainPrefix(cache, present, steps)

    def seen_by(self, text: PackedText) -> Tensor:
        """Tell what each text column may attend to, shape (B, L, M + L)."""
        seen = sequences.allowed(text, self.present, self.n_steps, self.steps)
        return seen[:, seen.shape[2] - text.ids.shape[1] :]


def score(
    model: FMRILM,
    prefix: BrainPrefix,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[Sequence[int]]],
) -> Tensor:
    """Log-likelihood of each answer to each prompt, summed over the answer's tokens.

    Prompt and answers are read in one pass: every answer continues the same prompt and does not
    see the others.

    Parameters
    ----------
    model : FMRILM
    prefix : BrainPrefix
        One scan, or one per prompt.
    prompts : token ids of each prompt
    answers : token ids of each answer to each prompt
        Equally many answers to every prompt.

    Returns
    -------
    Tensor, shape (B, n_answers)
        In nats.
    """
    rows = [_with_answers(prompt, row) for prompt, row in zip(prompts, answers, strict=True)]
    text = _on_device(sequences.pack(rows), prefix.present)
    spots = [_spots(prompt, row) for prompt, row in zip(prompts, answers, strict=True)]
    keep = sorted({column for row in spots for answer in row for column, _ in answer})
    kept_at = {column: k for k, column in enumerate(keep)}
    prefix = prefix.for_prompts(len(rows))
    logits = model.read_on(
        prefix.cache,
        text.ids,
        prefix.seen_by(text),
        sequences.positions(text, prefix.own_steps),
        torch.tensor(keep, device=text.ids.device),
    )
    log_probabilities = logits.log_softmax(-1)
    return torch.stack(
        [
            torch.stack([_sum_at(row, answer, kept_at) for answer in answers_of_row])
            for row, answers_of_row in zip(log_probabilities, spots, strict=True)
        ]
    )


def greedy(
    model: FMRILM,
    prefix: BrainPrefix,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    end_ids: set[int],
) -> list[list[int]]:
    """Most likely next token after next token, up to the end of the turn.

    Parameters
    ----------
    model : FMRILM
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
    text = _on_device(sequences.pack([[TextSegment(ids=ids)] for ids in prompts]), prefix.present)
    prefix = prefix.for_prompts(len(prompts))
    last = torch.tensor([len(ids) - 1 for ids in prompts], device=text.ids.device)
    rows = torch.arange(len(prompts), device=text.ids.device)
    position = sequences.positions(text, prefix.own_steps)
    keep, kept_at = last.unique(return_inverse=True)
    logits = model.read_on(prefix.cache, text.ids, prefix.seen_by(text), position, keep)
    token = logits[rows, kept_at].argmax(-1)
    # What a new token sees: the usable brain tokens, its prompt without padding, and what
    # is appended below: the tokens since.
    usable = sequences.usable_tokens(prefix.present, prefix.n_steps, prefix.steps)
    seen = torch.cat([usable, text.segment == 0], dim=1)
    position, only = position[rows, last], torch.zeros_like(keep[:1])
    tokens = [token]
    while len(tokens) < max_new_tokens and not _all_ended(tokens, end_ids):
        seen = torch.cat([seen, torch.ones_like(seen[:, :1])], dim=1)
        position = position + 1
        logits = model.read_on(prefix.cache, token[:, None], seen[:, None], position[:, None], only)
        token = logits[:, 0].argmax(-1)
        tokens.append(token)
    return [_until_end(row, end_ids) for row in torch.stack(tokens, dim=1).tolist()]


def _with_answers(prompt: Sequence[int], answers: Sequence[Sequence[int]]) -> list[TextSegment]:
    return [TextSegment(ids=prompt), *(TextSegment(ids=ids, continues=0) for ids in answers)]


def _spots(prompt: Sequence[int], answers: Sequence[Sequence[int]]) -> list[list[tuple[int, int]]]:
    """For each answer the pairs (text column, token that this column has to predict)."""
    spots, start = [], len(prompt)
    for ids in answers:
        columns = [len(prompt) - 1, *range(start, start + len(ids) - 1)]
        spots.append(list(zip(columns, ids, strict=True)))
        start += len(ids)
    return spots


def _sum_at(
    log_probabilities: Tensor, answer: Sequence[tuple[int, int]], kept_at: dict[int, int]
) -> Tensor:
    rows = [kept_at[column] for column, _ in answer]
    return log_probabilities[rows, [token for _, token in answer]].sum()


def _on_device(text: PackedText, like: Tensor) -> PackedText:
    return PackedText(*(column.to(like.device) for column in text))


def _all_ended(tokens: list[Tensor], end_ids: set[int]) -> bool:
    return all(end_ids.intersection(row) for row in torch.stack(tokens, dim=1).tolist())


def _until_end(ids: list[int], end_ids: set[int]) -> list[int]:
    ends = [k for k, token in enumerate(ids) if token in end_ids]
    return ids[: ends[0]] if ends else ids
