"""A base language model over brain tokens and text: embeddings in, logits and hidden states out.

B scans, W time steps, N regions, P columns of the brain block, L text columns, D width, K codes,
V words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from fmri_llm.base_model.language_model import input_embeddings, logits_at
from fmri_llm.brain_input.scans import BrainScans, connectome, scan_covariance
from fmri_llm.brain_input.signal_windows import SignalSteps, signal_steps
from fmri_llm.inference.prefix import BrainPrefix
from fmri_llm.model.checks import check_codes
from fmri_llm.packing import sequences, token_grid
from fmri_llm.packing.attention_mask import additive_mask, attention_mask
from fmri_llm.packing.brain_columns import BrainColumns
from fmri_llm.packing.recent_words import NO_WORD, Words, words_of
from fmri_llm.packing.sequences import NO_TARGET

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import Cache, PreTrainedModel

    from fmri_llm.brain_input.brain_input import BrainInput
    from fmri_llm.brain_input.code_head import CodeHead
    from fmri_llm.packing.sequences import PackedText
    from fmri_vqtok.tokenizer import FMRITokenizer

__all__ = ["BrainBlock", "BrainTextModel"]


class BrainBlock(NamedTuple):
    """Brain blocks of a batch.

    Attributes
    ----------
    columns : BrainColumns
    embeddings : Tensor, shape (B, P, D)
    measures : Tensor, shape (B, M), or None
        Values of the measures that text about the scans reads; None if it reads none.
    """

    columns: BrainColumns
    embeddings: Tensor
    measures: Tensor | None


class BrainTextModel(nn.Module):
    """The forward passes of `fmri_llm.FMRILM`."""

    language_model: PreTrainedModel | PeftModel
    brain_tokenizer: FMRITokenizer
    brain: BrainInput
    head: CodeHead
    max_windows: int | None

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
        return self.brain.markers.device

    @property
    def _no_split_modules(self) -> list[str]:
        """Classes of the base's blocks, by which accelerate shards a model that names none."""
        return sorted(getattr(self.language_model, "_no_split_modules", None) or ())

    @torch.no_grad()
    def prefill(self, scans: Tensor | BrainScans, region_mask: Tensor | None = None) -> BrainPrefix:
        """Cache the keys and values of scans, to ask many questions of them.

        Parameters
        ----------
        scans : BrainScans, or Tensor of int64, shape (B, W, N)
            Scans, or codes of all their windows.
        region_mask : Tensor of bool, shape (B, N), optional
            Beside codes alone: False for a region without signal.

        Returns
        -------
        BrainPrefix
            Takes the place of the scans in `score_answers` and `generate_text`.
        """
        from transformers import DynamicCache

        block = self.block_for_text(self.checked(scans, region_mask))
        # Made without the base's config, so that no layer drops tokens beyond a window.
        cache = DynamicCache()
        self._forward_embeddings(
            block.embeddings,
            block.columns.mask(),
            block.columns.position_ids,
            cache=cache,
            logits_to_keep=torch.zeros(0, dtype=torch.int64, device=self.device),
        )
        return BrainPrefix(cache, block.columns.visible, block.columns.text_start, block.measures)

    @torch.no_grad()
    def scan_features(self, scans: BrainScans) -> Tensor:
        """Numbers that the tokens about whole scans are made of, shape (B, n_features).

        See `fmri_llm.brain_input.brain_input.BrainInput.features`.
        """
        given = self.checked(scans, None)
        covariance = scan_covariance(self.brain_tokenizer, given)
        return torch.cat(self.brain.features(given, covariance), dim=1)

    @torch.no_grad()
    def scan_connectome(self, scans: BrainScans) -> Tensor:
        """Fisher-z correlations of the regions' codes, (B, N * (N - 1) / 2), row by row.

        NaN for every pair with a region without signal.
        """
        given = self.checked(scans, None)
        return connectome(scan_covariance(self.brain_tokenizer, given), given.region_mask)

    def forward_with_cache(
        self,
        cache: Cache,
        words: Words,
        measures: Tensor | None,
        attention_mask: Tensor,
        position_ids: Tensor,
        logits_to_keep: Tensor,
    ) -> Tensor:
        """Vocabulary logits of text tokens that follow those of a cache.

        See `fmri_llm.inference.prefix.CachedModel`.
        """
        return self._forward_embeddings(
            self.embed_text(words, measures),
            attention_mask,
            position_ids,
            cache=cache,
            logits_to_keep=logits_to_keep,
        ).logits

    def embed_text(self, words: Words, measures: Tensor | None) -> Tensor:
        """Input embeddings of text tokens, (B, L, D), with what they read of a scan's measures.

        Parameters
        ----------
        words : Words
        measures : Tensor, shape (B, M), or None
            Of the scan that each text is about.
        """
        embeddings = self.input_embeddings(words.ids)
        if measures is None or self.brain.measures is None or words.ids.shape[1] == 0:
            return embeddings
        known = words.recent != NO_WORD
        last_words = (
            self.input_embeddings(ids.clamp(min=0)) * (ids != NO_WORD)[..., None]
            for ids in words.recent.unbind(2)[::-1]
        )
        return embeddings + self.brain.measures(last_words, known.sum(2), measures)

    def forward_packed(
        self, block: BrainBlock, text: PackedText, text_to_keep: Tensor, *, hidden: bool = False
    ) -> Any:
        """Pass over whole packed sequences.

        Parameters
        ----------
        block : BrainBlock
        text : PackedText
        text_to_keep : Tensor of int64, shape (k,)
            Text columns, of the L, whose vocabulary logits are computed; those of the brain block
            count from -P.
        hidden : bool, default=False
            Whether hidden states are returned.

        Returns
        -------
        transformers.modeling_outputs.CausalLMOutput
            "logits" (B, k, V); "hidden_states" of each layer (B, P + L, D).
        """
        columns = block.columns
        embeddings = self.embed_text(words_of(text), block.measures)
        text_positions = sequences.positions(text, columns.text_start)
        return self._forward_embeddings(
            torch.cat([block.embeddings, embeddings], dim=1),
            attention_mask(text, columns),
            torch.cat([columns.position_ids, text_positions], dim=1),
            logits_to_keep=text_to_keep + columns.n_columns,
            hidden=hidden,
        )

    def target_logits(
        self, block: BrainBlock, text: PackedText, *, hidden: bool = False
    ) -> tuple[Tensor, Any]:
        """Vocabulary logits of the text columns that predict something, row by row.

        Parameters
        ----------
        block : BrainBlock
        text : PackedText
        hidden : bool, default=False
            Whether the output has hidden states.

        Returns
        -------
        logits : Tensor, shape (n, V)
            In the order of ``text.labels != NO_TARGET``.
        output : transformers.modeling_outputs.CausalLMOutput
        """
        rows, columns = (text.labels != NO_TARGET).nonzero(as_tuple=True)
        every = torch.arange(text.ids.shape[1], device=text.ids.device)
        with logits_at(self.language_model, rows, columns):
            output = self.forward_packed(block, text, every, hidden=hidden)
        return output.logits[0], output

    def next_code_logits(
        self, scans: BrainScans, steps: SignalSteps, *, with_words: bool = False
    ) -> Tensor:
        """Logits over the codes of the next step, (B, W, N, K), from a pass without text.

        No token about the whole scan, which would hold the future, is in the sequence. With the
        words in front they are over the extended vocabulary, (B, W, N, V + K).
        """
        block = self.brain_block(scans, steps, context=False)
        columns = block.columns
        no_text = sequences.pack([[]] * len(scans)).to(self.device)
        signal = torch.arange(columns.n_columns, device=self.device)[columns.signal]
        kept = signal if with_words else signal[:0]
        output = self.forward_packed(block, no_text, kept - columns.n_columns, hidden=True)
        codes = self.code_logits(output, columns)
        if not with_words:
            return codes
        words = token_grid.unflatten(output.logits, columns.n_regions)
        return torch.cat([words, codes], dim=-1)

    def code_logits(self, output: Any, columns: BrainColumns) -> Tensor:
        """Logits over the codes of the next step, (B, W, N, K), from a pass's hidden states."""
        hidden = output.hidden_states[-1][:, columns.signal]
        return self.head(token_grid.unflatten(hidden, columns.n_regions))

    def n_brain_positions(self, n_steps: int) -> int:
        """Positions of a brain block for text, of a scan with so many steps of signal tokens."""
        reads_signal = self.brain.settings.text_reads_signal
        return self.brain.n_positions + 2 + (n_steps if reads_signal else 0)

    def signal_steps(self, scans: BrainScans) -> SignalSteps:
        """Take the steps of the windows that are read as signal tokens."""
        return signal_steps(scans, self.brain_tokenizer.config.n_steps, self.max_windows)

    def block_for_text(self, scans: BrainScans) -> BrainBlock:
        """Brain block that text is about: signal tokens only where the settings ask for them."""
        reads_signal = self.brain.settings.text_reads_signal
        return self.brain_block(
            scans, self.signal_steps(scans) if reads_signal else None, context=True
        )

    def brain_block(
        self, scans: BrainScans, steps: SignalSteps | None, *, context: bool
    ) -> BrainBlock:
        """Brain block of scans.

        Parameters
        ----------
        scans : BrainScans
        steps : SignalSteps or None
            Steps of the signal tokens; None for none.
        context : bool
            Whether tokens about the whole scan are in it.
        """
        region_mask = scans.region_mask
        n_scans, n_regions = region_mask.shape
        opening, closing = self.brain.markers[:, None, None].expand(-1, n_scans, 1, -1)
        signal, signal_mask = opening[:, :0], region_mask[:, :0]
        steps_per_scan = torch.zeros(n_scans, dtype=torch.int64, device=self.device)
        if steps is not None:
            with torch.no_grad():
                text_embeddings = self.brain_tokenizer.text_embeddings(steps.codes)
            signal = self.brain.signal(text_embeddings)
            signal_mask = (steps.step_mask[:, :, None] & region_mask[:, None]).flatten(1)
            steps_per_scan = steps.step_mask.sum(1)
        about, about_mask = opening[:, :0], region_mask[:, :0]
        offsets, measures = steps_per_scan[:0], None
        if context:
            covariance = scan_covariance(self.brain_tokenizer, scans)
            about, about_mask, offsets, measures = self.brain.context(scans, covariance)
        return BrainBlock(
            BrainColumns(signal_mask, steps_per_scan, n_regions, about_mask, offsets),
            torch.cat([opening, signal, about, closing], dim=1),
            measures,
        )

    def checked(self, scans: Tensor | BrainScans, region_mask: Tensor | None) -> BrainScans:
        """Refuse codes that the tokenizer cannot have written; scans on the model's device.

        Raises
        ------
        InputError
            If the shape or a value of the codes does not fit.
        """
        if isinstance(scans, Tensor):
            check_codes(scans, self.brain_tokenizer.config)
            scans = BrainScans.of(scans, region_mask)
        else:
            check_codes(scans.codes, self.brain_tokenizer.config)
        return scans.to(self.device)

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
