"""What has to fit before a language model is trained; each misfit is one clear line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from fmri_llm.base_model.locate import canonical
from fmri_vqtok.errors import InputError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from fmri_vqtok.tokenizer import FMRITokenizerConfig

__all__ = [
    "check_causal",
    "check_corpus",
    "check_length",
    "check_order",
    "check_sizes",
    "check_steps",
    "check_text_space",
    "check_vocabulary",
    "check_window",
]


def check_text_space(config: FMRITokenizerConfig, name: str, width: int) -> None:
    """Refuse a brain tokenizer that was aligned with another language model.

    Parameters
    ----------
    config : FMRITokenizerConfig
    name : str
        The base language model.
    width : int
        Width of its embeddings.

    Raises
    ------
    InputError
    """
    if config.text_space is None:
        msg = (
            "tokenizer: it has no text space; fit it with --descriptors, --text and "
            f"--language-model {name}"
        )
        raise InputError(msg)
    fitted_with = canonical(config.text_space)
    if (fitted_with, config.text_width) != (canonical(name), width):
        msg = (
            f"tokenizer: its text space is that of {config.text_space!r} (width "
            f"{config.text_width}), but the language model is {name!r} (width {width}); "
            f"fit the tokenizer with --language-model {name}"
        )
        raise InputError(msg)


def check_order(tokens_hash: str | None, tokenizer_hash: str | None) -> None:
    """Refuse tokens whose regions stand in another order than the tokenizer's.

    Raises
    ------
    InputError
    """
    if tokens_hash != tokenizer_hash:
        msg = (
            f"tokens: region order {tokens_hash!r}, but the tokenizer was fitted on "
            f"{tokenizer_hash!r}; tokenize the cohort again with this tokenizer"
        )
        raise InputError(msg)


def check_sizes(record: Mapping[str, Any], config: FMRITokenizerConfig) -> None:
    """Refuse tokens whose numbers of codes or regions are not the tokenizer's.

    Parameters
    ----------
    record : mapping
        ``tokens.json``.
    config : FMRITokenizerConfig

    Raises
    ------
    InputError
    """
    for key in ("n_codes", "n_regions"):
        if record[key] != getattr(config, key):
            msg = (
                f"tokens: {key} is {record[key]}, but the tokenizer has {getattr(config, key)}; "
                "tokenize the cohort again with this tokenizer"
            )
            raise InputError(msg)


def check_steps(n_steps: int) -> None:
    """Refuse next-step prediction where there is no next step.

    Raises
    ------
    InputError
    """
    if n_steps < 2:
        msg = (
            f"tokens: {n_steps} time step a window has no next step to predict (F2F); use fewer "
            "frames a patch or longer windows, or set weights.f2f to 0"
        )
        raise InputError(msg)


def check_causal(config: FMRITokenizerConfig) -> None:
    """Refuse next-step prediction on codes that have already seen the next step.

    Raises
    ------
    InputError
    """
    if config.temporal_attention != "causal":
        msg = (
            f"tokenizer: temporal_attention is {config.temporal_attention!r}, so its codes know "
            "the next step (F2F would be cheating); fit it with 'causal', or set weights.f2f to 0"
        )
        raise InputError(msg)


def check_window(codes: Tensor, config: FMRITokenizerConfig) -> None:
    """Refuse codes that this model's brain tokenizer cannot have written.

    Raises
    ------
    InputError
    """
    shape = tuple(codes.shape)
    if len(shape) != 3 or shape[2] != config.n_regions:
        msg = f"codes: shape {shape}; give (windows, steps, {config.n_regions} regions)"
        raise InputError(msg)
    if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < config.n_codes:
        msg = (
            f"codes: values from {int(codes.min())} to {int(codes.max())}, but the tokenizer has "
            f"{config.n_codes} codes; tokenize with this model's tokenizer"
        )
        raise InputError(msg)


def check_length(
    n_positions: int,
    config: PretrainedConfig,
    fix: str = "lower text_tokens, corpus_tokens or max_windows of fit-llm",
) -> None:
    """Refuse text that goes on beyond the positions that the base knows.

    Parameters
    ----------
    n_positions : int
        Time steps (regions of a step share a position) and the tokens of the longest text.
    config : PretrainedConfig
        Of the base model.
    fix : str
        What to do about it.

    Raises
    ------
    InputError
    """
    limit = getattr(config.get_text_config(), "max_position_embeddings", None)
    if limit is not None and n_positions > limit:
        msg = (
            f"text: an example needs {n_positions} positions, but the language model has {limit}; "
            f"{fix}"
        )
        raise InputError(msg)


def check_corpus(n_tokens: int, needed: int, path: Path | str) -> None:
    """Refuse a text-only corpus that is too short to train and to hold some out.

    Parameters
    ----------
    n_tokens : int
        Tokens of the corpus.
    needed : int
    path : Path or str
        Where it was read from, for the message.

    Raises
    ------
    InputError
    """
    if n_tokens < needed:
        msg = f"text {path}: {n_tokens} tokens, but at least {needed} are needed; give more text"
        raise InputError(msg)


def check_vocabulary(highest: int, n_words: int) -> None:
    """Refuse token ids that another model's tokenizer must have made.

    Parameters
    ----------
    highest : int
        Highest token id of a text.
    n_words : int
        V, the base's vocabulary.

    Raises
    ------
    InputError
    """
    if highest >= n_words:
        msg = (
            f"text: token id {highest}, but the language model has {n_words} tokens; "
            "tokenise with the language model's own tokenizer"
        )
        raise InputError(msg)
