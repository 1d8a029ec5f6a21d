"""Whether a language model supports the packed sequences of `fmri_llm.packing.sequences`.

A brain block of two steps with two regions each, and short texts: the logits of a text must not
depend on the other texts in the sequence or batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from fmri_llm.base_model.language_model import input_embeddings
from fmri_llm.packing import sequences
from fmri_llm.packing.attention_mask import additive_mask, attention_mask
from fmri_llm.packing.brain_columns import BrainColumns
from fmri_llm.packing.sequences import TextSegment

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel

__all__ = ["first_fault"]

N_STEPS, N_REGIONS = 2, 2
N_BRAIN = N_STEPS * N_REGIONS + 2  # with a token before and one after

TOLERANCE = 5e-4
"""Largest difference between equal logits, relative to the largest logit."""

LEAST_EFFECT = 1e-6
"""Smallest difference between different logits, relative to the largest logit."""


@torch.no_grad()
def first_fault(model: PreTrainedModel) -> str | None:
    """Name the first requirement of packed sequences that a language model fails; None if none.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model in evaluation mode, in float32.
    """
    probe = _Probe.of(model)
    for fault, holds in (
        ("it does not read inputs_embeds as it reads its own tokens", probe.reads_embeddings),
        (
            "it does not honour a 4-D mask, or position_ids, beside other text",
            probe.packed_is_alone,
        ),
        ("a text in a batch is not what it is alone", probe.batched_is_alone),
        ("it sees steps to come through a 4-D mask", probe.hides_the_future),
        ("regions of a step do not see each other, whatever a mask says", probe.shows_the_step),
        ("an answer is not the same beside other answers", probe.beside_is_alone),
        ("a text after a cache is not what it is in one pass", probe.cached_is_whole),
    ):
        if not holds():
            return fault
    return None


class _Probe(NamedTuple):
    """A model, a brain block, and texts that attend to it or not."""

    model: PreTrainedModel
    brain: Tensor
    about: list[int]
    plain: list[int]
    answers: list[list[int]]

    @classmethod
    def of(cls, model: PreTrainedModel) -> _Probe:
        embedding = input_embeddings(model)
        generator = torch.Generator().manual_seed(0)
        n_words = embedding.num_embeddings
        ids = torch.randint(n_words // 4, n_words, (12,), generator=generator).tolist()
        embedded = embedding(torch.tensor([ids], device=embedding.weight.device))
        noise = torch.randn(1, N_BRAIN, embedded.shape[-1], generator=generator)
        brain = noise.to(embedded) * embedded.std()
        return cls(model, brain, ids[:4], ids[4:8], [ids[8:10], ids[10:12]])

    def reads_embeddings(self) -> bool:
        ids = torch.tensor([self.plain], device=self.brain.device)
        as_ids = self.model(input_ids=ids, use_cache=False).logits
        as_embeddings = self.model(
            inputs_embeds=input_embeddings(self.model)(ids), use_cache=False
        ).logits
        return _equal(as_ids, as_embeddings)

    def packed_is_alone(self) -> bool:
        ids = torch.tensor([self.plain], device=self.brain.device)
        alone = self.model(input_ids=ids, use_cache=False).logits
        about = TextSegment(ids=self.about)
        plain = TextSegment(ids=self.plain, sees_brain=False)
        packed = self._logits([about, plain])
        swapped = self._logits([plain, about])
        n, m = len(self.about), len(self.plain)
        return (
            _equal(packed[:, N_BRAIN + n :], alone)
            and _equal(swapped[:, N_BRAIN : N_BRAIN + m], alone)
            and _equal(swapped[:, N_BRAIN + m :], self._logits([about])[:, N_BRAIN:])
        )

    def batched_is_alone(self) -> bool:
        about, longer = TextSegment(ids=self.about), TextSegment(ids=self.about + self.plain)
        both = self._logits([about], [longer])[:1, : N_BRAIN + len(self.about)]
        return _equal(both, self._logits([about]))

    def hides_the_future(self) -> bool:
        before, after = self._logits([]), self._logits([], brain=self._changed(N_REGIONS))
        return _equal(before[:, : 1 + N_REGIONS], after[:, : 1 + N_REGIONS])

    def shows_the_step(self) -> bool:
        before, after = self._logits([]), self._logits([], brain=self._changed(1))
        moved = (before[:, 1] - after[:, 1]).abs().max()
        return bool(moved > LEAST_EFFECT * before.abs().max())

    def beside_is_alone(self) -> bool:
        prompt = TextSegment(ids=self.about)
        beside = self._logits(
            [prompt, *(TextSegment(ids=ids, continues=0) for ids in self.answers)]
        )
        alone = self._logits([TextSegment(ids=self.about + self.answers[1])])
        return _equal(beside[:, -len(self.answers[1]) :], alone[:, -len(self.answers[1]) :])

    def cached_is_whole(self) -> bool:
        from transformers import DynamicCache

        cache = DynamicCache()
        about = TextSegment(ids=self.about)
        self._logits([], cache=cache)
        after = self._logits([about], cache=cache)
        return _equal(after, self._logits([about])[:, N_BRAIN:])

    def _changed(self, place: int) -> Tensor:
        """Brain block with other signal tokens from a place to the end of its step."""
        changed = self.brain.clone()
        end = (place // N_REGIONS + 1) * N_REGIONS
        columns = slice(1 + place, 1 + end)
        changed[:, columns] = -self.brain[:, columns].roll(1, dims=2)
        return changed

    def _logits(
        self,
        *rows: Sequence[TextSegment],
        brain: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Logits of all columns: brain and text, or those after a cache."""
        text = sequences.pack(rows).to(self.brain.device)
        n_read = cache.get_seq_length() if cache is not None else 0
        block = (self.brain if brain is None else brain).expand(len(rows), -1, -1)
        columns = torch.cat([block, input_embeddings(self.model)(text.ids)], dim=1)[:, n_read:]
        layout = _layout(len(rows), block.device)
        mask = attention_mask(text, layout)[:, n_read:]
        of_text = sequences.positions(text, layout.text_start)
        positions = torch.cat([layout.position_ids, of_text], dim=1)[:, n_read:]
        return self.model(
            inputs_embeds=columns,
            attention_mask=additive_mask(mask, columns.dtype),
            position_ids=positions,
            past_key_values=cache,
            use_cache=cache is not None,
            logits_to_keep=torch.arange(columns.shape[1], device=block.device),
        ).logits


def _layout(n_rows: int, device: torch.device) -> BrainColumns:
    """Blocks of signal tokens alone, without a missing region."""
    return BrainColumns(
        signal_mask=torch.ones(n_rows, N_STEPS * N_REGIONS, dtype=torch.bool, device=device),
        steps_per_scan=torch.full((n_rows,), N_STEPS, device=device),
        n_regions=N_REGIONS,
        context_mask=torch.ones(n_rows, 0, dtype=torch.bool, device=device),
        context_offsets=torch.zeros(0, dtype=torch.int64, device=device),
    )


def _equal(first: Tensor, second: Tensor) -> bool:
    if first.shape != second.shape:
        return False
    return bool((first - second).abs().max() <= TOLERANCE * first.abs().max())
