"""Train a model over brain tokens and text, and write its folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from fmri_llm import pretrained
from fmri_llm.base_model.quantise import check_device
from fmri_llm.data import examples
from fmri_llm.data.feature_questions import FeatureQuestions
from fmri_llm.evaluation.scan_dependence import measure_scan_dependence
from fmri_llm.evaluation.text_perplexity import TextPerplexity, text_perplexity
from fmri_llm.model.checks import check_length
from fmri_llm.model.fmri_lm import FMRILM
from fmri_llm.settings import FitLLMSettings, LoraSettings, LossWeights
from fmri_llm.training import checks, plans
from fmri_llm.training.forecast_baselines import reference_forecasts
from fmri_llm.training.initialise import initial_filters, initialise
from fmri_vqtok.config.stages import LoopSettings
from fmri_vqtok.digest import digest
from fmri_vqtok.distributed import barrier, init_process_group, is_main_process
from fmri_vqtok.formats.captions import read_captions
from fmri_vqtok.formats.tokens import read_tokens_record
from fmri_vqtok.formats.zscores import read_zscores
from fmri_vqtok.text.cache import model_fingerprint
from fmri_vqtok.text.token_stream import token_stream
from fmri_vqtok.tokens.dataset import check_tokens_of
from fmri_vqtok.training import loop
from fmri_vqtok.training.log import write_losses
from fmri_vqtok.training.optimizer import ParameterGroup

if TYPE_CHECKING:
    from torch.utils.data import Dataset

    from fmri_vqtok.formats.captions import Caption
    from fmri_vqtok.tokenizer import FMRITokenizer
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
        Where the model's folder, ``losses.csv``, ``scan-dependence.json``, ``text-perplexity.json``
        and, beside the F2F loss, ``forecasts.json`` are written.
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
        Called with facts by name: what is not shown of the training scans and captions, and how
        fast training was.

    Returns
    -------
    list of LossRecord

    Raises
    ------
    InputError
        If the parts do not fit together (see `fmri_llm.training.checks`), the tokens are those of
        another tokenizer, or quantised weights lack a GPU or bitsandbytes.
    """
    check_device(settings.quantise, device)
    init_process_group(device)
    record = read_tokens_record(tokens_dir)
    tokenizer = _checked_tokenizer(tokenizer_dir, tokens_dir, settings)
    train_windows = examples.TokenWindows.read(tokens_dir, "train")
    measures = FeatureQuestions(read_zscores(descriptors_dir))
    model = _initial_model(
        language_model, language_model_name, tokenizer, train_windows, measures, settings, seed
    )
    corpus, held_out, corpus_digest = _corpus(model, language_model, text_path, settings)
    captions = read_captions(descriptors_dir / "captions.jsonl")
    asks = settings.n_questions > 0 and settings.weights.ask_questions
    questions = measures if asks else None
    training, validation = plans.plans(
        model, tokens_dir, captions, questions, (corpus, held_out), settings, seed
    )
    forecasts = settings.weights.f2f > 0
    for each in (training, validation):
        longest = plans.longest(each, model, record["n_steps"], forecasts=forecasts)
        check_length(longest, model.language_model.config)
    note(**plans.left_out(training, settings.max_windows))
    if forecasts and len(validation.windows) and is_main_process():
        reference_forecasts(model, training, validation).write(directory)
    before = _perplexity(model, held_out, settings)
    records = fine_tune(
        model,
        training,
        validation if len(validation.windows) else None,
        settings.loop,
        directory,
        weights=settings.weights if questions else settings.weights.without_questions(),
        lora=settings.lora,
        seed=seed,
        identity={
            "tokens": record,
            "captions": digest([captions]),
            "measures": None if questions is None else questions.digest,
            "text": corpus_digest,
            "base": model_fingerprint(language_model)[:16],
            "settings of the stage": asdict(replace(settings, loop=LoopSettings())),
        },
        device=device,
        progress=progress,
        note=note,
    )
    if questions is not None and is_main_process():
        _measure_dependence(model, tokens_dir, captions, questions, settings, seed, directory)
    if before and (after := _perplexity(model, held_out, settings)):
        TextPerplexity(before[0], *after).write(directory)
    barrier()
    return records


def fine_tune(  # noqa: PLR0913 - what a run is made of, each named
    model: FMRILM,
    plan: Dataset,
    validation: Dataset | None,
    settings: LoopSettings,
    directory: Path,
    *,
    weights: LossWeights,
    lora: LoraSettings | None = None,
    seed: int,
    identity: Mapping[str, Any] = MappingProxyType({}),
    device: str = "cpu",
    progress: Progress = lambda _done, _total: None,
    note: Note = lambda **_facts: None,
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
        ``LossWeights(f2f=0, t2t=0, questions=0)`` trains on answers alone.
    lora : LoraSettings, optional
        Rate and first step of the adapters, or of the base where all of it trains; as the brain
        input's by default.
    seed : int
    identity : mapping, optional
        By name, what the data and the model are, so that no other run resumes from the checkpoints;
        see `fmri_vqtok.training.loop.train`.
    device : str, default="cpu"
    progress, note : callable, optional
        As for `fmri_vqtok.training.loop.train`.

    Returns
    -------
    list of LossRecord
    """
    model.loss_weights = weights
    # Of other weights, also where a resumed run has no step left to take.
    model.scan_dependence = None
    if model.base_training != "frozen":
        group = _base_group(model.base_training, lora or LoraSettings(), settings.steps)
        model.parameter_groups = (group,)
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
        note=note,
    )
    if is_main_process():
        model.save_pretrained(directory)
        write_losses(records, directory / "losses.csv")
    barrier()
    return records


def _measure_dependence(
    model: FMRILM,
    tokens_dir: Path,
    captions: Mapping[str, Mapping[str, Caption]],
    questions: FeatureQuestions,
    settings: FitLLMSettings,
    seed: int,
    directory: Path,
) -> None:
    """Write what the model's text owes to held-out scans, where there are enough of them."""
    found = measure_scan_dependence(
        model,
        _held_out(tokens_dir),
        captions,
        questions,
        n_scans=settings.dependence_scans,
        n_questions=settings.dependence_questions,
        text_tokens=settings.text_tokens,
        n_captions=settings.dependence_captions,
        caption_tokens=settings.dependence_caption_tokens,
        seed=seed,
    )
    if found is not None:
        found.write(directory)
        # Once more, so that the model's card shows it.
        model.scan_dependence = pretrained.read_dependence(directory)
        model.save_pretrained(directory)


def _perplexity(
    model: FMRILM, held_out: np.ndarray, settings: FitLLMSettings
) -> tuple[float, int] | None:
    """Perplexity of held-out text, and its tokens; None in a process that writes nothing."""
    if not settings.perplexity_tokens or not is_main_process():
        return None
    return text_perplexity(
        model.language_model, held_out, settings.corpus_tokens, settings.perplexity_tokens
    )


def _held_out(tokens_dir: Path) -> examples.TokenWindows:
    """Read scans that training has not seen: of the test, or of validation where that is empty."""
    test = examples.TokenWindows.read(tokens_dir, "test")
    return test if len(test) else examples.TokenWindows.read(tokens_dir, "validation")


def _initial_model(
    language_model: Path,
    name: str,
    tokenizer: FMRITokenizer,
    windows: examples.TokenWindows,
    measures: FeatureQuestions,
    settings: FitLLMSettings,
    seed: int,
) -> FMRILM:
    """Build a model on a base, with what starts from the training scans fitted to them."""
    model = FMRILM.from_base(
        language_model,
        tokenizer,
        name=name,
        filters=initial_filters(tokenizer, windows, settings.brain),
        brain=settings.brain,
        measures=measures.phrases,
        base_training=settings.base_training,
        quantise=settings.quantise,
        lora=settings.lora,
        attention=settings.attention,
        seed=seed,
    )
    model.max_windows = settings.max_windows
    model.code_softmax = settings.code_softmax
    initialise(model, windows, measures.z_scores(windows.scan_ids))
    return model


def _checked_tokenizer(
    tokenizer_dir: Path, tokens_dir: Path, settings: FitLLMSettings
) -> FMRITokenizer:
    """Read the brain tokenizer; refuse tokens that are not its own or cannot be learned from."""
    record = read_tokens_record(tokens_dir)
    tokenizer = pretrained.brain_tokenizer(tokenizer_dir)
    checks.check_order(record["order_hash"], tokenizer.order_hash)
    checks.check_sizes(record, tokenizer.config)
    check_tokens_of(tokens_dir, tokenizer)
    if settings.weights.f2f > 0:
        checks.check_steps(record["n_steps"])
        checks.check_causal(tokenizer.config)
    return tokenizer


def _base_group(base_training: str, lora: LoraSettings, n_steps: int) -> ParameterGroup:
    """Parameter group of the base: its adapters, or all of it."""
    first = round(lora.from_fraction * n_steps)
    return ParameterGroup(
        name="adapters" if base_training == "adapters" else "base",
        select=r"^language_model\.",
        learning_rate=lora.learning_rate,
        from_step=first if first < n_steps else None,
    )


def _corpus(
    model: FMRILM, language_model: Path, text_path: Path | str, settings: FitLLMSettings
) -> tuple[np.ndarray, np.ndarray, str]:
    """Plain text as tokens of this model: what is trained on, what is held out, and a digest."""
    stream = token_stream(
        language_model, text_path, column=settings.text_column, limit=settings.corpus_limit
    )
    tokens = stream.tokens.numpy()
    n_held_out = max(len(tokens) // _HELD_OUT_TEXT, settings.corpus_tokens)
    checks.check_corpus(len(tokens), 2 * settings.corpus_tokens, text_path)
    checks.check_vocabulary(stream.highest, model.input_embeddings.num_embeddings)
    return tokens[:-n_held_out], tokens[-n_held_out:], stream.digest[:16]
