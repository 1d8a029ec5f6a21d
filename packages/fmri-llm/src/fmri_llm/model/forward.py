"""Passes of a base language model over brain tokens and text.

B scans, W time steps, N regions, M = W * N brain tokens, L text columns, D width, K codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from fmri_llm import pretrained
from fmri_llm.packing import sequences, token_grid

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import Cache

    from fmri_llm.brain_input.embedding import BrainEmbedding, CodeHead
    from fmri_llm.packing.sequences import PackedText
    from fmri_vqtok.tokenizer import FMRITokenizer

__all__ = ["BrainTextPasses"]


class BrainTextPasses(nn.Module):
    """What `fmri_llm.FMRILM` computes with: embeddings in, logits and hidden states out."""

    language_model: PeftModel
    brain_tokenizer: FMRITokenizer
    brain: BrainEmbedding
    head: CodeHead

    @property
    def words(self) -> nn.Embedding:
        """The base's input embedding of text tokens."""
        return pretrained.word_embedding(self.language_model)

    def read_on(
        self, cache: Cache, ids: Tensor, seen: Tensor, position_ids: Tensor, keep: Tensor
    ) -> Tensor:
        """Vocabulary logits of text tokens that come after what a cache holds.

        Parameters
        ----------
        cache : transformers.Cache
            Of C tokens; it is extended in place.
        ids, position_ids : Tensor of int64, shape (B, L)
        seen : Tensor of bool, shape (B, L, C + L)
            What each new token may attend to.
        keep : Tensor of int64, shape (k,)
            Columns, of the L, whose logits are wanted.

        Returns
        -------
        Tensor, shape (B, k, V)
        """
        output = self._pass(self.words(ids), seen, position_ids, cache=cache, keep=keep)
        return output.logits

    def _read(
        self,
        codes: Tensor,
        present: Tensor,
        text: PackedText,
        kept: Tensor,
        *,
        steps: Tensor | None = None,
        hidden: bool,
    ) -> Any:
        """Pass over whole packed sequences; vocabulary logits at the `kept` text columns."""
        n_scans, n_steps, n_regions = codes.shape
        grid = token_grid.step_ids(n_steps, n_regions, codes.device).expand(n_scans, -1)
        own_steps = n_steps if steps is None else steps.sum(1)
        return self._pass(
            torch.cat([self._brain_embeddings(codes), self.words(text.ids)], dim=1),
            sequences.allowed(text, present, n_steps, steps),
            torch.cat([grid, sequences.positions(text, own_steps)], dim=1),
            keep=kept + n_steps * n_regions,
            hidden=hidden,
        )

    def _pass(
        self,
        embeddings: Tensor,
        seen: Tensor,
        position_ids: Tensor,
        *,
        keep: Tensor,
        cache: Cache | None = None,
        hidden: bool = False,
    ) -> Any:
        return self.language_model(
            inputs_embeds=embeddings,
            attention_mask=sequences.additive_mask(seen, embeddings.dtype),
            position_ids=position_ids,
            past_key_values=cache,
            use_cache=cache is not None,
            logits_to_keep=keep,
            output_hidden_states=hidden,
        )

    def _brain_embeddings(self, codes: Tensor) -> Tensor:
        with torch.no_grad():
            embeddings = self.brain_tokenizer.text_embeddings(codes)
        return self.brain(embeddings)

    def _code_logits(self, output: Any, codes: Tensor) -> Tensor:
        n_steps, n_regions = codes.shape[1:]
        hidden = output.hidden_states[-1][:, : n_steps * n_regions]
        return self.head(token_grid.unflatten(hidden, n_regions))
