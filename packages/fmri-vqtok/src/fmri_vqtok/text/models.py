"""Language models and their tokenizers from a local folder, with checks that they are complete."""

import json
import textwrap
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.reading import reading
from fmri_vqtok.library_logging import quiet_transformers

FIX = "give a whole transformers folder"

_TEXT_FIX = "give the folder of a causal language model with whole weights"

_PROBE = 16
"""Tokens of the text that a model is probed with."""

_TOLERANCE = 1e-3
"""Largest difference of hidden states by rounding, relative to the largest of them."""


def load_model(kind: Any, folder: Path, **options: Any) -> PreTrainedModel:
    """Language model in float32 and in evaluation mode.

    Parameters
    ----------
    kind : type
        Class of transformers that loads it, such as ``AutoModel``.
    folder : Path
    **options
        Passed on to ``kind.from_pretrained``.

    Raises
    ------
    InputError
        If the folder holds no such model or a broken one, or lacks weights (which transformers
        would initialise at random).
    """
    thing = f"language model {folder}"
    read_config(folder)
    with quiet_transformers(), reading(thing, FIX):
        model, info = kind.from_pretrained(
            folder,
            dtype=torch.float32,
            output_loading_info=True,
            trust_remote_code=False,
            use_safetensors=True,
            **options,
        )
    if info["missing_keys"]:
        first = min(info["missing_keys"])
        raise InputError(f"{thing}: no weights of {first} in its safetensors; {FIX}")
    return model.eval()


def load_text_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Text tokenizer of a language model.

    Raises
    ------
    InputError
        If the folder holds none, or a broken one.
    """
    with reading(f"text tokenizer of language model {folder}", FIX):
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def most_positions(model: PreTrainedModel) -> int | None:
    """Most tokens that a model reads at a time; None where its configuration sets no bound.

    Encoders of the RoBERTa family count positions from the one after their padding's, and so read
    fewer tokens than they have positions.
    """
    most = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    tables = [
        module
        for name, module in model.named_modules()
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding)
    ]
    first = max((table.padding_idx + 1 for table in tables if table.padding_idx), default=0)
    return None if most is None or most <= 0 else most - first


def check_token_ids(highest: int, model: PreTrainedModel, folder: Path) -> None:
    """Refuse token ids that the model has no embedding for.

    Raises
    ------
    InputError
    """
    n_words = cast("nn.Embedding", model.get_input_embeddings()).num_embeddings
    if highest >= n_words:
        raise InputError(
            f"language model {folder}: its tokenizer gives token {highest}, but it has embeddings "
            f"of {n_words} tokens; give the tokenizer that belongs to the model"
        )


@torch.no_grad()
def probe_text_model(model: PreTrainedModel, ids: Tensor, folder: Path) -> None:
    """Refuse a model whose hidden states cannot be features of a text.

    They must be finite, and those of a text the same alone and in a batch with a longer one.

    Parameters
    ----------
    model : PreTrainedModel
    ids : Tensor of int64, shape (n,)
        Tokens of some text.
    folder : Path
        Of the model, for the message.

    Raises
    ------
    InputError
    """
    thing = f"language model {folder}"
    whole, part = ids[:_PROBE], ids[: max(1, min(len(ids), _PROBE) // 2)]
    padded = torch.stack([whole, torch.cat([part, torch.zeros_like(whole)[len(part) :]])])
    attention_mask = torch.arange(len(whole)) < torch.tensor([[len(whole)], [len(part)]])
    try:
        alone = model(input_ids=part[None], attention_mask=torch.ones_like(part)[None])
        together = model(input_ids=padded, attention_mask=attention_mask.long())
        expected, found = alone.last_hidden_state[0], together.last_hidden_state[1, : len(part)]
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        why = textwrap.shorten(f"{type(error).__name__}: {error}", 160, placeholder=" ...")
        raise InputError(f"{thing}: cannot read a text ({why}); {_TEXT_FIX}") from error
    if not (expected.isfinite().all() and found.isfinite().all()):
        raise InputError(f"{thing}: its hidden states are not finite; {_TEXT_FIX}")
    difference = float((expected - found).abs().max() / expected.abs().max().clamp(min=1e-12))
    if difference > _TOLERANCE:
        raise InputError(
            f"{thing}: a text has other hidden states beside a longer one than alone (by "
            f"{difference:.0%} of their size); {_TEXT_FIX}"
        )


def read_config(folder: Path) -> PreTrainedConfig:
    """Read the configuration of a language model whose architecture transformers itself knows.

    A folder's own code is never run.

    Raises
    ------
    InputError
        If there is no configuration, a broken one, or one that only the folder's own code reads.
    """
    thing = f"language model {folder}"
    with reading(thing, FIX):
        raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        known = raw.get("model_type") in CONFIG_MAPPING
        brings_code = "auto_map" in raw
    if brings_code and not known:
        raise InputError(
            f"{thing}: its architecture {raw.get('model_type')!r} is code of its own, which is not "
            "run; give a model of an architecture that transformers knows, such as Llama or Qwen"
        )
    with quiet_transformers(), reading(thing, FIX):
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
