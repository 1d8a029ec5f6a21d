"""Train a model over brain tokens and text, and write its folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from fmri_llm import pretrained
from fmri_llm.base_model import chat
from fmri_llm.base_model.checks import default_system_prompt
from fmri_llm.data import examples
from fmri_llm.model.checks import check_length
from fmri_llm.model.fmri_lm import FMRILM
from fmri_llm.settings import FitLLMSettings, LossWeights
from fmri_llm.training import checks
from fmri_llm.training.forecast_baselines import reference_forecasts
from fmri_vqtok.config.stages import LoopSettings
from fmri_vqtok.digest import digest
from fmri_vqtok.distributed import barrier, init_process_group, is_main_process
from fmri_vqtok.formats.captions import read_captions
from fmri_vqtok.formats.tokens import read_tokens_record
from fmri_vqtok.text import features
from fmri_vqtok.text.cache import model_fingerprint
from fmri_vqtok.tokens.dataset import check_tokens_of
from fmri_vqtok.training import loop
from fmri_vqtok.training.log import write_losses

if TYPE_CHECKING:
    from torch.utils.data import Dataset

    from fmri_vqtok.training.log import LossRecord

__all__ = ["fine_tune", "fit_llm"]

Progress = Callable[[int, int], None]
Note = Callable[..., None]

_HELD_OUT_TEXT = 20
"""One token in so many, at the end of the corpus, is kept for validation."""


def fit_llm(  # noqa: PLR0913 - what the stage reads and writes, each named
    tokens_dir: Path,
    tokenizer_dir: Path,
    descriptors_dir: Path,
    text_path: Path | str,
    directory: Path,
    *,
    settings: FitLLMSettings,
    seed: int,
    language_model: Path,
    language_model_name: str,
    device: str = "cpu",
    progress: Progress = lambda _done, _total: None,
    note: Note = lambda **_facts: None,
) -> list[LossRecord]:
    """Train a language model on brain tokens, captions and plain text (stage 2, Eq. 6).

    Where ``accelerate launch`` or ``torchrun`` started several processes, all of them call this
    with the same arguments: they share each step's examples, and the first one writes.

    Parameters
    ----------
    tokens_dir, tokenizer_dir, descriptors_dir : Path
        Folders of the earlier stages. Only training scans are learned from; validation scans
        are scored.
    text_path : Path or str
        Plain text for the T2T loss; see `fmri_vqtok.text.corpus.read_corpus`.
    directory : Path
        Where the model's folder, ``losses.csv`` and, beside the F2F loss, ``forecasts.json`` are
        written.
    settings : FitLLMSettings
    seed : int
    language_model : Path
        Folder of the base.
    language_model_name : str
        The name that the saved model keeps of it.
    device : str, default="cpu"
    progress : callable, optional
        Called with (steps done, steps in all).
    note : callable, optional
        Called with facts by name: what is not shown of the training scans and captions, and what
        the chat template says before each question unasked.

    Returns
    -------
    list of LossRecord

    Raises
    ------
    InputError
        If the parts do not fit together (see `fmri_llm.training.checks`), or the tokens are those
        of another tokenizer.
    """
    init_process_group(device)
    record = read_tokens_record(tokens_dir)
    tokenizer = pretrained.brain_tokenizer(tokenizer_dir)
    checks.check_order(record["order_hash"], tokenizer.order_hash)
    checks.check_sizes(record, tokenizer.config)
    check_tokens_of(tokens_dir, tokenizer)
    if settings.weights.f2f > 0:
        checks.check_steps(record["n_steps"])
        checks.check_causal(tokenizer.config)
    model = FMRILM.from_base(
        language_model,
        tokenizer,
        name=language_model_name,
        lora=settings.lora,
        attention=settings.attention,
        seed=seed,
    )
    model.max_windows = settings.max_windows
    corpus, held_out = _corpus(model, language_model, text_path, settings)
    captions = read_captions(descriptors_dir / "captions.jsonl")

    def plan(split: str, text: np.ndarray, n_examples: int) -> examples.PretrainingDataset:
        return examples.PretrainingDataset(
            examples.TokenWindows.read(tokens_dir, split),
            captions,
            text,
            model.text_tokenizer,
            text_tokens=settings.text_tokens,
            corpus_tokens=settings.corpus_tokens,
            n_examples=n_examples,
            seed=seed,
            max_windows=settings.max_windows,
        )

    training = plan("train", corpus, settings.loop.steps * settings.loop.batch_size)
    validation = plan("validation", held_out, settings.validation_examples)
    longest = max(_longest(each, record["n_steps"]) for each in (training, validation))
    check_length(longest, model.language_model.config)
    note(**_left_out(training), system_prompt=default_system_prompt(model.text_tokenizer))
    if settings.weights.f2f > 0 and len(validation.windows) and is_main_process():
        reference_forecasts(model.brain_tokenizer, training, validation).write(directory)
    return fine_tune(
        model,
        training,
        validation if len(validation.windows) else None,
        settings.loop,
        directory,
        weights=settings.weights,
        seed=seed,
        identity={
            "tokens": record,
            "captions": digest([captions]),
            "text": digest([corpus, held_out]),
            "base": model_fingerprint(language_model)[:16],
            "settings of the stage": asdict(replace(settings, loop=LoopSettings())),
        },
        device=device,
        progress=progress,
    )


def fine_tune(  # noqa: PLR0913 - what a run is made of, each named
    model: FMRILM,
    plan: Dataset,
    validation: Dataset | None,
    settings: LoopSettings,
    directory: Path,
    *,
    weights: LossWeights,
    seed: int,
    identity: Mapping[str, Any] = MappingProxyType({}),
    device: str = "cpu",
    progress: Progress = lambda _done, _total: None,
) -> list[LossRecord]:
    """Train a model on a plan of examples, and write its folder and ``losses.csv``.

    Parameters
    ----------
    model : FMRILM
        Trained in place.
    plan, validation : Dataset
        Of `fmri_llm.data.examples.Example`; validation may be None.
    settings : LoopSettings
    directory : Path
        Checkpoints are kept in its folder ``checkpoints``; training resumes from them.
    weights : LossWeights
        ``LossWeights(f2f=0, t2t=0)`` trains on answers alone.
    seed : int
    identity : mapping, optional
        By name, what the data and the model are, so that no other run resumes from the checkpoints;
        see `fmri_vqtok.training.loop.train`.
    device : str, default="cpu"
    progress : callable, optional

    Returns
    -------
    list of LossRecord
    """
    model.loss_weights = weights
    records = loop.train(
        model,
        plan,
        validation,
        examples.collate,
        settings,
        directory,
        seed=seed,
        identity={"weights": asdict(weights), **identity},
        device=device,
        progress=progress,
    )
    if is_main_process():
        model.save_pretrained(directory)
        write_losses(records, directory / "losses.csv")
    barrier()
    return records


def _corpus(
    model: FMRILM, language_model: Path, text_path: Path | str, settings: FitLLMSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Plain text as tokens of this model: what is trained on, and what is held out."""
    stream = features.token_stream(
        language_model, text_path, column=settings.text_column, limit=settings.corpus_limit
    )
    tokens = stream.numpy()
    n_held_out = max(len(tokens) // _HELD_OUT_TEXT, settings.corpus_tokens)
    checks.check_corpus(len(tokens), 2 * settings.corpus_tokens, text_path)
    checks.check_vocabulary(int(tokens.max()), model.input_embeddings.num_embeddings)
    return tokens[:-n_held_out], tokens[-n_held_out:]


def _left_out(plan: examples.PretrainingDataset) -> dict[str, int]:
    """Count what a plan never shows: windows, and sentences that no target has room for."""
    n_left_out, n_sentences = plan.sentence_counts()
    return {
        "windows_left_out": plan.windows.n_left_out(plan.max_windows),
        "windows": len(plan.windows),
        "caption_sentences_left_out": n_left_out,
        "caption_sentences": n_sentences,
    }


def _longest(plan: examples.PretrainingDataset, n_steps: int) -> int:
    """Most positions that an example can take up: brain steps, prompt and text."""
    captions = [text for texts in plan.captions.values() for text in texts.values()]
    sentences = [sentence.text for caption in captions for sentence in caption.sentences]
    longest_sentence = max(examples.token_lengths(plan.tokenizer, sentences), default=0)
    longest_prompt = max(
        len(chat.encode_answers(plan.tokenizer, chat.question(prompt), [""])[0])
        for prompt in examples.DESCRIBE_PROMPTS.values()
    )
    n_brain = n_steps * plan.windows.most_windows(plan.max_windows)
    described = n_brain + longest_prompt + max(longest_sentence, plan.text_tokens) + 1
    return max(described, plan.corpus_tokens)
