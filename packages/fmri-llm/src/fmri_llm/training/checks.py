"""Whether tokens, tokenizer, text and settings can be trained on together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmri_vqtok.errors import InputError

if TYPE_CHECKING:
    from fmri_vqtok.tokenizer import FMRITokenizerConfig

__all__ = [
    "check_causal",
    "check_corpus",
    "check_order",
    "check_sizes",
    "check_steps",
    "check_vocabulary",
]


def check_order(tokens_hash: str | None, tokenizer_hash: str | None) -> None:
    """Refuse tokens whose region order is not the tokenizer's.

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
            f"tokens: {n_steps} time step per window has no next step to predict (F2F); use "
            "fewer frames per patch or longer windows, or set weights.f2f to 0"
        )
        raise InputError(msg)


def check_causal(config: FMRITokenizerConfig) -> None:
    """Refuse next-step prediction on codes that depend on the next step.

    Raises
    ------
    InputError
    """
    if config.temporal_attention != "causal":
        msg = (
            f"tokenizer: temporal_attention is {config.temporal_attention!r}, so its codes depend "
            "on the next step (F2F would leak); fit it with 'causal', or set weights.f2f to 0"
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
