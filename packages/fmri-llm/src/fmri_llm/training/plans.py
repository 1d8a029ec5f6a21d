"""Examples that a stage learns from and is scored on, and what they leave out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fmri_llm.base_model import chat
from fmri_llm.data import examples
from fmri_llm.data.template_words import TemplateWords
from fmri_llm.packing.sequences import TEXT_LOSSES

if TYPE_CHECKING:
    import numpy as np

    from fmri_llm.data.feature_questions import FeatureQuestions
    from fmri_llm.model.fmri_lm import FMRILM
    from fmri_llm.settings import FitLLMSettings
    from fmri_vqtok.formats.captions import Caption

__all__ = ["left_out", "longest", "plans"]


def plans(
    model: FMRILM,
    tokens_dir: Path,
    captions: Mapping[str, Mapping[str, Caption]],
    questions: FeatureQuestions | None,
    corpora: tuple[np.ndarray, np.ndarray],
    settings: FitLLMSettings,
    seed: int,
) -> tuple[examples.PretrainingDataset, examples.PretrainingDataset]:
    """Examples of training and of validation scans, each with its own part of the corpus."""
    training, validation = (
        examples.TokenWindows.read(tokens_dir, split) for split in ("train", "validation")
    )
    plan = partial(
        examples.PretrainingDataset,
        captions=captions,
        tokenizer=model.text_tokenizer,
        text_tokens=settings.text_tokens,
        corpus_tokens=settings.corpus_tokens,
        seed=seed,
        questions=questions,
        n_questions=settings.n_questions,
        losses=[name for name in TEXT_LOSSES if vars(settings.weights)[name] > 0],
        template=_template(captions, training.scan_ids, settings),
    )
    n_examples = settings.loop.steps * settings.loop.batch_size
    return (
        plan(training, corpus=corpora[0], n_examples=n_examples),
        plan(validation, corpus=corpora[1], n_examples=settings.validation_examples),
    )


def left_out(plan: examples.PretrainingDataset, max_windows: int | None) -> dict[str, int]:
    """Count what a plan never shows: windows, and sentences that no target has room for."""
    n_left_out, n_sentences = plan.sentence_counts()
    return {
        "windows_left_out": plan.windows.n_left_out(max_windows),
        "windows": len(plan.windows),
        "caption_sentences_left_out": n_left_out,
        "caption_sentences": n_sentences,
    }


def longest(
    plan: examples.PretrainingDataset, model: FMRILM, n_steps: int, *, forecasts: bool
) -> int:
    """Most positions that a pass over an example takes up.

    A pass is over brain block, prompt and text, or, for forecasts, over the enclosed signal tokens.
    """
    captions = [text for texts in plan.captions.values() for text in texts.values()]
    sentences = [sentence.text for caption in captions for sentence in caption.sentences]
    longest_sentence = max(examples.token_lengths(plan.tokenizer, sentences), default=0)
    longest_prompt = max(
        len(chat.encode_answers(plan.tokenizer, chat.question(prompt), [""])[0])
        for prompt in examples.DESCRIBE_PROMPTS.values()
    )
    n_signal = n_steps * plan.windows.most_windows(model.max_windows)
    longest_answer = max(longest_sentence, plan.text_tokens) + 1
    longest_text = longest_prompt + longest_answer
    if plan.questions is not None:
        longest_text = max(longest_text, plan.questions.longest(plan.tokenizer))
    described = model.n_brain_positions(n_signal) + longest_text
    return max(described, plan.corpus_tokens, 2 + n_signal if forecasts else 0)


def _template(
    captions: Mapping[str, Mapping[str, Caption]], scan_ids: Sequence[str], settings: FitLLMSettings
) -> TemplateWords | None:
    """Template words of the training captions; None where they count as much as others."""
    if settings.template_weight == 1:
        return None
    return TemplateWords(
        (captions[scan_id] for scan_id in scan_ids if scan_id in captions),
        settings.template_weight,
    )
