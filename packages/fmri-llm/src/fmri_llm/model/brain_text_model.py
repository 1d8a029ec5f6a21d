"""A base language model over brain tokens and text: embeddings in, logits and hidden states out.

B scans, W time steps, N regions, M = W * N brain tokens, L text columns, D width, K codes, V words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from fmri_llm.base_model.language_model import input_embeddings
from fmri_llm.inference.prefix import BrainPrefix
from fmri_llm.model.checks import check_window
from fmri_llm.packing import sequences, token_grid
from fmri_llm.packing.attention_mask import additive_mask, attention_mask

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import Cache

    from fmri_llm.brain_input.embedding import BrainEmbedding, CodeHead
    from fmri_llm.packing.sequences import PackedText
    from fmri_vqtok.tokenizer import FMRITokenizer

__all__ = ["BrainTextModel"]


class BrainTextModel(nn.Module):
    """The forward passes of `fmri_llm.FMRILM`."""

    language_model: PeftModel
    brain_tokenizer: FMRITokenizer
    brain: BrainEmbedding
    head: CodeHead

    @property
    def input_embeddings(self) -> nn.Embedding:
        """The base's input embeddings of text tokens."""
        return input_embeddings(self.language_model)

    @property
    def width(self) -> int:
        """D, the width of the base's embeddings."""
        return self.input_embeddings.embedding_dim

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return self.brain.region.device

    @torch.no_grad()
    def forecast(self, codes: Tensor, region_mask: Tensor | None = None) -> Tensor:
        """Logits over the codes of the next step, for each step and region.

        Parameters
        ----------
        codes : Tensor of int64, shape (B, W, N)
        region_mask : Tensor of bool, shape (B, N), optional
            False for a region without signal; all have signal by default.

        Returns
        -------
        Tensor, shape (B, W, N, K)
            Those at (w, n) predict (w + 1, n) and depend on the steps up to w only.
        """
        codes, region_mask = self._checked(codes, region_mask)
        no_text = sequences.pack([[]] * len(codes)).to(self.device)
        no_column = torch.zeros(0, dtype=torch.int64, device=self.device)
        output = self.forward_packed(codes, region_mask, no_text, no_column, hidden=True)
        return self.code_logits(output, codes)

    @torch.no_grad()
    def prefill(
        self,
        codes: Tensor,
        region_mask: Tensor | None = None,
        step_mask: Tensor | None = None,
    ) -> BrainPrefix:
        """Cache the keys and values of scans, to ask many questions of them.

        Parameters
        ----------
        codes : Tensor of int64, shape (B, W, N)
        region_mask : Tensor of bool, shape (B, N), optional
            False for a region without signal; all have signal by default.
        step_mask : Tensor of bool, shape (B, W), optional
            False for the padding steps of a shorter scan; there are none by default.

        Returns
        -------
        BrainPrefix
            Takes the place of the codes in `score_answers` and `generate_text`.
        """
        from transformers import DynamicCache

        codes, region_mask = self._checked(codes, region_mask)
        n_steps, n_regions = codes.shape[1:]
        if step_mask is None:
            step_mask = torch.ones(codes.shape[:2], dtype=torch.bool)
        step_mask = step_mask.to(self.device)
        no_text = sequences.pack([[]] * len(codes)).to(self.device)
        # Made without the base's config, so that no layer drops tokens beyond a window.
        cache = DynamicCache()
        self._forward_embeddings(
            self._brain_embeddings(codes),
            attention_mask(no_text, region_mask, n_steps, step_mask),
            token_grid.step_ids(n_steps, n_regions, self.device).expand(len(codes), -1),
            cache=cache,
            logits_to_keep=torch.zeros(0, dtype=torch.int64, device=self.device),
        )
        return BrainPrefix(cache, region_mask, step_mask)

    def forward_with_cache(
        self,
        cache: Cache,
        ids: Tensor,
        attention_mask: Tensor,
        position_ids: Tensor,
        logits_to_keep: Tensor,
    ) -> Tensor:
        """Vocabulary logits of text tokens that follow those of a cache.

        See `fmri_llm.inference.prefix.CachedModel`.
        """
        return self._forward_embeddings(
            self.input_embeddings(ids),
            attention_mask,
            position_ids,
            cache=cache,
            logits_to_keep=logits_to_keep,
        ).logits

    def forward_packed(
        self,
        codes: Tensor,
        region_mask: Tensor,
        text: PackedText,
        text_to_keep: Tensor,
        *,
        step_mask: Tensor | None = None,
        hidden: bool = False,
    ) -> Any:
        """Pass over whole packed sequences.

        Parameters
        ----------
        codes : Tensor of int64, shape (B, W, N)
        region_mask : Tensor of bool, shape (B, N)
        text : PackedText
        text_to_keep : Tensor of int64, shape (k,)
            Text columns, of the L, whose vocabulary logits are computed.
        step_mask : Tensor of bool, shape (B, W), optional
        hidden : bool, default=False
            Whether hidden states are returned.

        Returns
        -------
        transformers.modeling_outputs.CausalLMOutput
            "logits" (B, k, V); "hidden_states" of each layer (B, M + L, D).
        """
        n_scans, n_steps, n_regions = codes.shape
        steps = token_grid.step_ids(n_steps, n_regions, codes.device).expand(n_scans, -1)
        text_starts = n_steps if step_mask is None else step_mask.sum(1)
        return self._forward_embeddings(
            torch.cat([self._brain_embeddings(codes), self.input_embeddings(text.ids)], dim=1),
            attention_mask(text, region_mask, n_steps, step_mask),
            torch.cat([steps, sequences.positions(text, text_starts)], dim=1),
            logits_to_keep=text_to_keep + n_steps * n_regions,
            hidden=hidden,
        )

    def code_logits(self, output: Any, codes: Tensor) -> Tensor:
        """Logits over the codes of the next step, (B, W, N, K), from a pass's hidden states."""
        n_steps, n_regions = codes.shape[1:]
        hidden = output.hidden_states[-1][:, : n_steps * n_regions]
        return self.head(token_grid.unflatten(hidden, n_regions))

    def _forward_embeddings(
        self,
        embeddings: Tensor,
        attention_mask: Tensor,
        position_ids: Tensor,
        *,
        logits_to_keep: Tensor,
        cache: Cache | None = None,
        hidden: bool = False,
    ) -> Any:
        return self.language_model(
            inputs_embeds=embeddings,
            attention_mask=additive_mask(attention_mask, embeddings.dtype),
            position_ids=position_ids,
            past_key_values=cache,
            use_cache=cache is not None,
            logits_to_keep=logits_to_keep,
            output_hidden_states=hidden,
        )

    def _brain_embeddings(self, codes: Tensor) -> Tensor:
        with torch.no_grad():
            embeddings = self.brain_tokenizer.text_embeddings(codes)
        return self.brain(embeddings)

    def _checked(self, codes: Tensor, region_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Codes that the tokenizer can have written, and their mask, on the model's device."""
        check_window(codes, self.brain_tokenizer.config)
        if region_mask is None:
            region_mask = torch.ones(codes.shape[0], codes.shape[2], dtype=torch.bool)
        return codes.to(self.device, torch.int64), region_mask.to(self.device)
