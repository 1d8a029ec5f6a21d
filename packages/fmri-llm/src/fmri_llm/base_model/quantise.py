"""A base language model in fewer bits, through bitsandbytes."""

from __future__ import annotations

import importlib.util
from typing import Any

from fmri_vqtok.errors import InputError

__all__ = ["check_device", "loading_options"]


def check_device(quantise: str, device: str) -> None:
    """Refuse to train on quantised weights without a GPU.

    Parameters
    ----------
    quantise : {"none", "int8", "nf4"}
    device : str
        "cpu" or "cuda".

    Raises
    ------
    InputError
    """
    if quantise != "none" and device == "cpu":
        raise InputError(
            f"quantise: '{quantise}' needs a GPU, and this runs on the CPU; give 'none'"
        )


def loading_options(quantise: str) -> dict[str, Any]:
    """Options of ``from_pretrained`` that load a base in 8 bits or in 4.

    Parameters
    ----------
    quantise : {"none", "int8", "nf4"}
        "int8" is LLM.int8; "nf4" has doubly quantised 4-bit weights, as QLoRA.

    Returns
    -------
    dict
        Empty for "none".

    Raises
    ------
    InputError
        If bitsandbytes is not installed.

    References
    ----------
    Dettmers et al. (2022), LLM.int8, NeurIPS. Dettmers et al. (2023), QLoRA, NeurIPS.
    """
    if quantise == "none":
        return {}
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(
            f"quantise: '{quantise}' needs bitsandbytes; pip install 'fmri-llm[quantise]', or give "
            "'none'"
        )
    import torch
    from transformers import BitsAndBytesConfig

    if quantise == "int8":
        return {"quantization_config": BitsAndBytesConfig(load_in_8bit=True)}
    on_gpu = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if on_gpu else torch.float32,
    )
    return {"quantization_config": config}
