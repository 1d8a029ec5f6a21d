"""Language models and their tokenizers from a local folder, whole or not at all."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from fmri_vqtok.errors import InputError
from fmri_vqtok.quiet import quiet_transformers
from fmri_vqtok.reading import reading

FIX = "give a whole transformers folder"


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
        If the folder holds no such model or a broken one, or its weights are not all there
        (transformers would draw the others at random).
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
