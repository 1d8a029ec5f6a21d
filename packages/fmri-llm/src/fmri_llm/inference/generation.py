"""Text of a language model after a brain prefix: greedy, sampled, or found by beam search."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fmri_llm.inference.beam_search import beam_search
from fmri_llm.inference.continuation import Continuation
from fmri_llm.inference.decoding import Decoding
from fmri_llm.inference.prefix import BrainPrefix, CachedModel

__all__ = ["generate", "seeds_of"]


def generate(
    model: CachedModel,
    prefix: BrainPrefix,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    end_ids: set[int],
    seeds: Sequence[int],
) -> list[list[int]]:
    """Text after each prompt, up to the end of the turn.

    Parameters
    ----------
    model : CachedModel
    prefix : BrainPrefix
        One scan, or one per prompt.
    prompts : token ids of each prompt
    decoding : Decoding
    end_ids : set of int
        Tokens that end a turn; they are not part of the result.
    seeds : sequence of int
        One for each prompt, so that its draws do not depend on the others.

    Returns
    -------
    list of list of int
        New tokens for each prompt.
    """
    if decoding.num_beams > 1:
        rows = beam_search(model, prefix, prompts, decoding, end_ids)
    else:
        rows = _token_by_token(model, prefix, prompts, decoding, end_ids, seeds)
    return [_until_end(row, end_ids) for row in rows]


def seeds_of(seed: int | Sequence[int], n_prompts: int) -> list[int]:
    """Seed of each prompt: those given, or independent ones that follow from one number."""
    if isinstance(seed, int):
        states = (np.random.SeedSequence([seed, k]) for k in range(n_prompts))
        return [int(state.generate_state(1)[0]) for state in states]
    return list(seed)


def _token_by_token(
    model: CachedModel,
    prefix: BrainPrefix,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    end_ids: set[int],
    seeds: Sequence[int],
) -> list[list[int]]:
    continuation = Continuation(model, prefix, prompts)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    tokens = [_next_tokens(continuation.logits, decoding, generators)]
    while len(tokens) < decoding.max_new_tokens and not _all_ended(tokens, end_ids):
        continuation.append(tokens[-1])
        tokens.append(_next_tokens(continuation.logits, decoding, generators))
    return torch.stack(tokens, dim=1).tolist()


def _next_tokens(
    logits: Tensor, decoding: Decoding, generators: Sequence[torch.Generator]
) -> Tensor:
    """Choose the next token of each row, shape (R,): the most likely one, or a draw."""
    if decoding.temperature == 0:
        return logits.argmax(-1)
    from transformers import TemperatureLogitsWarper, TopPLogitsWarper

    nothing = torch.zeros(len(logits), 0, dtype=torch.int64)  # neither looks at earlier tokens
    scores = TemperatureLogitsWarper(decoding.temperature)(nothing, logits.float().cpu())
    if decoding.top_p < 1:
        scores = TopPLogitsWarper(decoding.top_p)(nothing, scores)
    rows = zip(scores.softmax(-1), generators, strict=True)
    drawn = [torch.multinomial(row, 1, generator=generator) for row, generator in rows]
    return torch.cat(drawn).to(logits.device)


def _all_ended(tokens: list[Tensor], end_ids: set[int]) -> bool:
    return all(end_ids.intersection(row) for row in torch.stack(tokens, dim=1).tolist())


def _until_end(ids: list[int], end_ids: set[int]) -> list[int]:
    ends = [k for k, token in enumerate(ids) if token in end_ids]
    return ids[: ends[0]] if ends else ids
