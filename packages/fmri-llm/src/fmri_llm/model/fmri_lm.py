"""One language model over brain tokens and text (paper, section 3.3).

B scans, W time steps, N regions, P columns of the brain block, L text columns, D width, K codes.
The windows of a scan are concatenated: W counts the steps of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from fmri_llm import merged, pretrained
from fmri_llm.base_model import locate
from fmri_llm.base_model.checks import load_checked
from fmri_llm.base_model.language_model import input_embeddings, prepared_to_train
from fmri_llm.base_model.phrases import mean_embeddings, phrase_ids
from fmri_llm.brain_input.brain_input import BrainInput
from fmri_llm.brain_input.code_head import CodeHead
from fmri_llm.brain_input.lengths import code_length, word_length
from fmri_llm.brain_input.measure_words import LEVELS, measure_words
from fmri_llm.brain_input.scans import BrainScans
from fmri_llm.model.answering_model import AnsweringModel
from fmri_llm.model.checks import check_text_space
from fmri_llm.model.forecasting_model import ForecastingModel
from fmri_llm.model.losses import choice_loss, mean_over_targets, next_step_loss, weighted_sum
from fmri_llm.model.shared_model import SharedModel
from fmri_llm.model.trainable_state import expect_trainable, keep_trainable
from fmri_llm.packing.sequences import NO_TARGET, TEXT_LOSSES, PackedText
from fmri_llm.settings import BrainInputSettings, LoraSettings, LossWeights
from fmri_vqtok.model.relations import network_filters
from fmri_vqtok.scan_scale import N_BANDS

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from fmri_vqtok.tokenizer import FMRITokenizer
    from fmri_vqtok.training.optimizer import ParameterGroup

__all__ = ["FMRILM"]


class FMRILM(AnsweringModel, ForecastingModel, SharedModel):
    """A causal language model with brain tokens in front of its text.

    Made by `from_base` or `from_pretrained`. The brain input and the code head are trained, and of
    the base adapters, everything or nothing. What is frozen, as the brain tokenizer always is, is
    left out of ``state_dict``; the tokenizer always stays in evaluation mode.

    Only public extension points of the base are used (``inputs_embeds``, a 4-D additive mask,
    ``position_ids``, ``past_key_values``), so any causal model of transformers will do. The mask
    also replaces that of layers with a sliding window: every text token attends to the whole scan.

    Parameters
    ----------
    language_model : PreTrainedModel or PeftModel
        The base, with its adapters if it has any.
    text_tokenizer : PreTrainedTokenizerBase
        The base's own.
    brain_tokenizer : FMRITokenizer
    filters : Tensor, shape (Q, N)
        Initial spatial filters of the brain input.
    settings : BrainInputSettings
    base_name : str
        Name that `fmri_llm.base_model.locate.resolve` finds the base by.
    attention : str
        Attention implementation that the base was loaded with.
    measures : sequence of str, optional
        Names in words of the measures that text reads.
    base_digest : str, optional
        Of the base's weights; kept with the model, so that other weights are noticed.
    base_training : {"adapters", "full", "frozen"}
        What of the base trains.
    quantise : {"none", "int8", "nf4"}
        Bits that the base was loaded in.

    Attributes
    ----------
    max_windows : int or None
        Most windows of a scan that it reads as signal tokens; all by default. Kept in the saved
        folder.
    code_softmax : {"codes", "joint"}
        What the F2F loss normalises over: the codes, or words and codes.
    parameter_groups : tuple of ParameterGroup
        Of `fmri_vqtok.training.loop.train`: rates and first steps.
    scan_dependence : dict or None
        Content of ``scan-dependence.json`` in the folder that it was loaded from, until it is
        trained further; saved with the model, and shown in its card.
    """

    def __init__(  # noqa: PLR0913 - what a model is made of, each named
        self,
        language_model: PreTrainedModel | PeftModel,
        text_tokenizer: PreTrainedTokenizerBase,
        brain_tokenizer: FMRITokenizer,
        *,
        filters: Tensor,
        settings: BrainInputSettings,
        base_name: str,
        attention: str,
        measures: Sequence[str] = (),
        base_digest: str | None = None,
        base_training: str = "adapters",
        quantise: str = "none",
    ) -> None:
        super().__init__()
        self.language_model = language_model
        self.text_tokenizer = text_tokenizer
        self.brain_tokenizer = brain_tokenizer.requires_grad_(False)
        self.base_name = base_name
        self.attention = attention
        self.measures = tuple(measures)
        self.base_digest = base_digest
        self.scan_dependence: dict[str, Any] | None = None
        self.base_training = base_training
        self.quantise = quantise
        self.loss_weights = LossWeights()
        self.max_windows: int | None = None
        self.code_softmax = "codes"
        self.parameter_groups: tuple[ParameterGroup, ...] = ()
        length = word_length(self.input_embeddings)
        self.brain = BrainInput(
            settings,
            filters,
            self._filter_names(len(filters)),
            N_BANDS,
            self.width,
            length,
            length / code_length(brain_tokenizer),
            measure_words(
                self.input_embeddings, text_tokenizer, measures, [LEVELS] * len(measures)
            ),
        )
        self.head = CodeHead(self.width, brain_tokenizer.config.n_codes)
        self.register_state_dict_post_hook(keep_trainable)
        self.register_load_state_dict_post_hook(expect_trainable)
        self.eval()

    @classmethod
    def from_base(  # noqa: PLR0913 - what a model is made of, each named
        cls,
        base: str | Path,
        tokenizer: FMRITokenizer | str | Path,
        *,
        name: str | None = None,
        filters: Tensor | None = None,
        brain: BrainInputSettings | None = None,
        measures: Sequence[str] = (),
        base_training: str = "adapters",
        quantise: str = "none",
        lora: LoraSettings | None = None,
        attention: str = "sdpa",
        seed: int = 0,
    ) -> Self:
        """Model on a base language model, with fresh adapters unless asked for otherwise.

        Parameters
        ----------
        base : str or Path
            Packaged model, folder or hub id; see `fmri_llm.base_model.locate.resolve`.
        tokenizer : FMRITokenizer, str or Path
            The brain tokenizer, or its folder. Its text space must be this base's.
        name : str, optional
            The base's name in the saved model; `base` by default.
        filters : Tensor, shape (Q, N), optional
            Initial spatial filters; by default the means of the tokenizer's networks, or of all
            regions where it has none.
        brain : BrainInputSettings, optional
        measures : sequence of str, optional
            Names in words of the measures that text reads, where the settings ask for it.
        base_training : {"adapters", "full", "frozen"}, default="adapters"
            What of the base trains: low-rank adapters, all of its weights, or nothing.
        quantise : {"none", "int8", "nf4"}, default="none"
            Bits of the base's weights, where they do not train; needs bitsandbytes.
        lora : LoraSettings, optional
        attention : str, default="sdpa"
        seed : int, default=0
            For the initial values of the adapters and the brain input.

        Returns
        -------
        FMRILM
            In evaluation mode.

        Raises
        ------
        InputError
            If the tokenizer was aligned with another language model, or bitsandbytes is missing.
        """
        name = locate.canonical(name or str(base))
        brain_tokenizer = pretrained.brain_tokenizer(tokenizer)
        folder = locate.resolve(str(base))
        base_model, text_tokenizer = load_checked(folder, attention, quantise)
        width = input_embeddings(base_model).embedding_dim
        check_text_space(brain_tokenizer.config, name, width)
        language_model = prepared_to_train(base_model, base_training, lora or LoraSettings(), seed)
        n_regions = brain_tokenizer.config.n_regions
        networks = brain_tokenizer.networks or ("",) * n_regions
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return cls(
                language_model,
                text_tokenizer,
                brain_tokenizer,
                filters=network_filters(networks) if filters is None else filters,
                settings=brain or BrainInputSettings(),
                base_name=name,
                attention=attention,
                measures=measures,
                base_digest=locate.weights_digest(folder),
                base_training=base_training,
                quantise=quantise,
            )

    @classmethod
    def from_pretrained(
        cls,
        directory: str | Path,
        *,
        base: str | Path | None = None,
        attention: str | None = None,
        revision: str | None = None,
    ) -> Self:
        """Model that `save_pretrained` or `export_merged` wrote; training can continue from it.

        Parameters
        ----------
        directory : str or Path
            A folder, or "owner/name" on the Hugging Face Hub.
        base : str or Path, optional
            Where the base model is, if not where its saved name says. A model whose base was
            trained whole needs none.
        attention : str, optional
            By default the one that the model was trained with.
        revision : str, optional
            Branch, tag or commit on the Hub.

        Returns
        -------
        FMRILM
            In evaluation mode.

        Raises
        ------
        InputError
            If the folder is of a newer schema, or its base model is unavailable or has other
            weights than it was trained on.
        """
        directory = pretrained.local_folder(directory, revision)
        directory, base = merged.brain_and_base(directory, base)
        config = pretrained.read_config(directory)
        attention = attention or config["attention"]
        language_model, text_tokenizer = pretrained.load_base(
            config, directory, base=None if base is None else str(base), attention=attention
        )
        tokenizer = pretrained.brain_tokenizer(directory / pretrained.TOKENIZER)
        width = input_embeddings(language_model).embedding_dim
        check_text_space(tokenizer.config, config["base_model"], width)
        model = cls(
            language_model,
            text_tokenizer,
            tokenizer,
            filters=torch.zeros(config["brain"]["n_filters"], tokenizer.config.n_regions),
            settings=pretrained.brain_settings(config, directory),
            base_name=config["base_model"],
            attention=attention,
            measures=config["brain"]["measures"],
            base_digest=config["base_digest"],
            base_training=config.get("base_training", "adapters"),
            quantise=config.get("quantise", "none"),
        )
        model.max_windows = config["max_windows"]
        pretrained.load_brain(model, directory)
        model.scan_dependence = pretrained.read_dependence(directory)
        # Quantised weights lie where they were made, and the rest has to be there too.
        return model if model.quantise == "none" else model.to(model.input_embeddings.weight.device)

    def forward(self, **batch: Tensor) -> dict[str, Any]:
        """Losses of a batch of packed sequences.

        Parameters
        ----------
        **batch : Tensor
            The fields of `fmri_llm.packing.sequences.PackedText`; all others are arguments of
            `fmri_llm.brain_input.scans.BrainScans.of`.

        Returns
        -------
        dict
            "losses": each loss of non-zero weight by name ("f2t", "f2f", "t2t", "questions",
            "choices"), a
            mean over its targets in the whole batch, in nats. "loss": their sum (Eq. 6) by
            "weights".

        Raises
        ------
        InputError
            If there is a single time step for next-step prediction (F2F).
        """
        packed, scans = _split(batch)
        weights = self.loss_weights
        losses: dict[str, Tensor] = {}
        joint = self.code_softmax == "joint"
        code_logits = None
        if any(vars(weights)[name] > 0 for name in TEXT_LOSSES):
            block = self.block_for_text(scans)
            shared = weights.f2f > 0 and self.brain.settings.text_reads_signal and not joint
            logits, output = self.target_logits(block, packed, hidden=shared)
            losses |= self._text_losses(logits, packed)
            code_logits = self.code_logits(output, block.columns) if shared else None
        if weights.f2f > 0:
            steps = self.signal_steps(scans)
            if code_logits is None:
                code_logits = self.next_code_logits(scans, steps, with_words=joint)
            n_words = code_logits.shape[-1] - self.head.out_features
            losses["f2f"] = next_step_loss(
                code_logits,
                n_words + steps.codes,
                self.brain_tokenizer.valid_codes(scans.region_mask),
                steps.step_mask & steps.follows,
            )
        total = weighted_sum(losses, vars(weights))
        return {"loss": total, "losses": losses, "weights": vars(weights)}

    def _text_losses(self, logits: Tensor, packed: PackedText) -> dict[str, Tensor]:
        """Losses of text from the logits of its targets, by name."""
        is_target = packed.labels != NO_TARGET
        row = torch.arange(len(is_target), device=is_target.device)[:, None]
        answer, question = (
            row * is_target.shape[1] + k for k in (packed.segment, packed.continues)
        )
        columns = (packed.labels, packed.weight, answer, question)
        labels, weight, answer, question = (column[is_target] for column in columns)
        losses = {}
        for name, counted in _targets(packed).items():
            if vars(self.loss_weights)[name] > 0:
                own = counted[is_target]
                given = logits[own], labels[own], weight[own]
                losses[name] = (
                    choice_loss(*given, answer[own], question[own])
                    if name == "choices"
                    else mean_over_targets(*given)
                )
        return losses

    def loss_counts(self, **batch: Tensor) -> dict[str, Tensor]:
        """Targets of each loss in a batch, by name; the arguments are those of `forward`."""
        packed, scans = _split(batch)
        steps = self.signal_steps(scans)
        next_steps = (steps.step_mask & steps.follows)[:, 1:].sum(1)
        of_text = {name: (packed.weight * own).sum() for name, own in _targets(packed).items()}
        counts = {
            **of_text,
            "f2f": (self.brain_tokenizer.valid_codes(scans.region_mask).sum(1) * next_steps).sum(),
        }
        return {name: n for name, n in counts.items() if vars(self.loss_weights)[name] > 0}

    def _filter_names(self, n_filters: int) -> Tensor:
        """Take the embeddings of the networks' names, where filters are networks; else zeros."""
        networks = list(dict.fromkeys(self.brain_tokenizer.networks or ()))
        if len(networks) != n_filters:
            return torch.zeros(n_filters, self.width)
        return mean_embeddings(self.input_embeddings, phrase_ids(self.text_tokenizer, networks))

    def add_measures(self, names: Sequence[str], ends: Sequence[tuple[str, str]]) -> None:
        """Let text read further measures, of which nothing is read out yet.

        Parameters
        ----------
        names : sequence of str, length M
            What text calls each.
        ends : sequence of (str, str), length M
            Words for a low value of each, and for a high one.
        """
        if self.brain.measures is not None:
            self.measures += tuple(names)
            words = measure_words(self.input_embeddings, self.text_tokenizer, names, ends)
            self.brain.measures.add(words)


def _targets(packed: PackedText) -> dict[str, Tensor]:
    """Which text columns count for each loss, if they have a target; shape (B, L), bool."""
    found = {name: packed.loss == place for place, name in enumerate(TEXT_LOSSES)}
    return {**found, "questions": found["questions"] | found["choices"]}


def _split(batch: Mapping[str, Tensor]) -> tuple[PackedText, BrainScans]:
    """Text and scans of a batch."""
    text = {name: batch[name] for name in PackedText._fields}
    scans = {name: value for name, value in batch.items() if name not in text}
    return PackedText(**text), BrainScans.of(**scans)
