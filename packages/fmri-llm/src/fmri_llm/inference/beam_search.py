"""Beam search: the most likely of the texts that several beams find.

The same search as `generate` of transformers makes with several beams, after a brain prefix. Each
prompt has K beams; a step ranks the continuations of all of them by the log-likelihood of the whole
text. Of the best K, those that end are finished texts; the best K that do not end are continued.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch

from fmri_llm.inference.continuation import Continuation
from fmri_llm.inference.decoding import Decoding
from fmri_llm.inference.prefix import BrainPrefix, CachedModel

__all__ = ["beam_search"]


class _Text(NamedTuple):
    score: float
    ids: list[int]


class _Candidate(NamedTuple):
    score: float
    beam: int
    token: int


def beam_search(
    model: CachedModel,
    prefix: BrainPrefix,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    end_ids: set[int],
) -> list[list[int]]:
    """Tokens of the best finished text for each prompt, with its end if it has one.

    Parameters
    ----------
    model : CachedModel
    prefix : BrainPrefix
        One scan, or one per prompt.
    prompts : token ids of each prompt
    decoding : Decoding
    end_ids : set of int
        Tokens that end a turn.

    Returns
    -------
    list of list of int
    """
    n_beams = decoding.num_beams
    continuation = Continuation(model, prefix, prompts, n_beams)
    searches = [_Beams(decoding, end_ids) for _ in prompts]
    offsets = torch.arange(len(prompts)).repeat_interleave(n_beams) * n_beams
    while True:
        candidates = _candidates(continuation, searches, n_beams * (1 + len(end_ids)))
        for search, found in zip(searches, candidates, strict=True):
            search.advance(found)
        if all(search.is_done for search in searches):
            return [search.best for search in searches]
        device = continuation.logits.device
        beams = torch.tensor([beam for search in searches for beam in search.origins])
        continuation.select((beams + offsets).to(device))
        last = [text.ids[-1] for search in searches for text in search.running]
        continuation.append(torch.tensor(last, device=device))


def _candidates(
    continuation: Continuation, searches: Sequence[_Beams], n_kept: int
) -> list[list[_Candidate]]:
    """Best continuations of each prompt over all its beams, best first."""
    log_probabilities = continuation.logits.float().log_softmax(-1)
    scores = [text.score for search in searches for text in search.running]
    totals = log_probabilities + log_probabilities.new_tensor(scores)[:, None]
    n_words = totals.shape[1]
    best = totals.reshape(len(searches), -1).topk(n_kept)
    return [
        [_Candidate(score, *divmod(place, n_words)) for score, place in zip(*row, strict=True)]
        for row in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]


class _Beams:
    """Beams of one prompt.

    Attributes
    ----------
    running : list of _Text
        Those that are continued, best first.
    origins : list of int
        The beam that each of them continues.
    is_done : bool
        Whether no continuation can be better than the finished texts.
    """

    def __init__(self, decoding: Decoding, end_ids: set[int]) -> None:
        self._decoding, self._end_ids = decoding, end_ids
        # All beams begin alike, so only the first one counts.
        first, others = _Text(0.0, []), _Text(-1e9, [])
        self.running = [first, *[others] * (decoding.num_beams - 1)]
        self.origins = list(range(decoding.num_beams))
        self.is_done = False
        self._finished: list[_Text] = []

    @property
    def best(self) -> list[int]:
        """Tokens of the finished text with the highest score."""
        return self._finished[0].ids

    def advance(self, candidates: Sequence[_Candidate]) -> None:
        """Take the best continuations of this step, best first."""
        if self.is_done:
            return
        n_beams, length = self._decoding.num_beams, len(self.running[0].ids) + 1
        is_last = length == self._decoding.max_new_tokens
        ends = [is_last or candidate.token in self._end_ids for candidate in candidates]
        self._finish(
            candidate for candidate, ended in zip(candidates[:n_beams], ends, strict=False) if ended
        )
        continued = [each for each, ended in zip(candidates, ends, strict=True) if not ended]
        if not is_last:
            kept = continued[:n_beams]
            self.origins = [each.beam for each in kept]
            self.running = [self._text(each) for each in kept]
        self.is_done = is_last or not self._can_improve(length)

    def _finish(self, ended: Iterable[_Candidate]) -> None:
        texts = [self._text(each) for each in ended]
        ranked = [_Text(self._ranked(text.score, len(text.ids)), text.ids) for text in texts]
        everything = sorted([*self._finished, *ranked], key=lambda text: -text.score)
        self._finished = everything[: self._decoding.num_beams]

    def _can_improve(self, length: int) -> bool:
        """Whether the best running text is better than the worst finished one of a full set."""
        if len(self._finished) < self._decoding.num_beams:
            return True
        return self._ranked(self.running[0].score, length) > self._finished[-1].score

    def _text(self, candidate: _Candidate) -> _Text:
        return _Text(candidate.score, [*self.running[candidate.beam].ids, candidate.token])

    def _ranked(self, score: float, length: int) -> float:
        return score / length**self._decoding.length_penalty
