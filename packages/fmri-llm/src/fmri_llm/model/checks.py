"""Whether codes, text space and lengths fit a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from fmri_llm.base_model.locate import canonical
from fmri_vqtok.errors import InputError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from fmri_vqtok.config.model import FMRITokenizerConfig

__all__ = ["check_codes", "check_length", "check_text_space"]


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


def check_codes(codes: Tensor, config: FMRITokenizerConfig) -> None:
    """Refuse codes that the model's brain tokenizer cannot have written.

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
    """Refuse sequences that need more positions than the base model has.

    Parameters
    ----------
    n_positions : int
        Time steps (regions of a step share a position) and the tokens of the longest text.
    config : PretrainedConfig
        Of the base model.
    fix : str
        The end of the message.

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
