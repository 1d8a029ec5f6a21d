"""A base language model: its input embeddings, and what of it trains."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import torch

from fmri_vqtok.errors import InputError

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from fmri_llm.settings import LoraSettings

__all__ = [
    "input_embeddings",
    "logits_at",
    "new_adapter",
    "prepared_to_train",
    "without_peft_notice",
]

_PROJECTIONS = (
    ("q_proj", "v_proj"),
    ("query_key_value",),
    ("qkv_proj",),
    ("c_attn",),
    ("Wqkv",),
)
"""Known names of attention projections, most usual first."""


def input_embeddings(model: PreTrainedModel | PeftModel) -> nn.Embedding:
    """Input embeddings of a language model's text tokens."""
    return cast("nn.Embedding", model.get_input_embeddings())


@contextlib.contextmanager
def logits_at(model: PreTrainedModel | PeftModel, rows: Tensor, columns: Tensor) -> Iterator[None]:
    """Let a model compute vocabulary logits at n places of a batch only; they come as (1, n, V).

    Logits are the most expensive part of a short sequence, and few columns predict something. What
    a model does with its logits afterwards, such as capping, it does with these.

    Parameters
    ----------
    model : PreTrainedModel or PeftModel
    rows, columns : Tensor of int64, shape (n,)
    """
    output_layer = cast("nn.Module", model.get_output_embeddings())
    handle = output_layer.register_forward_pre_hook(
        lambda _layer, given: (given[0][rows, columns][None],)
    )
    try:
        yield
    finally:
        handle.remove()


def prepared_to_train(
    base: PreTrainedModel, base_training: str, lora: LoraSettings, seed: int
) -> PreTrainedModel | PeftModel:
    """Set which weights of a base train: low-rank adapters, all of them, or none.

    Parameters
    ----------
    base : PreTrainedModel
        Changed in place.
    base_training : {"adapters", "full", "frozen"}
    lora : LoraSettings
        Of the adapters.
    seed : int
        Of the adapters' initial values.

    Raises
    ------
    InputError
        If no layer has one of the target names of the adapters.
    """
    if base_training == "adapters":
        return new_adapter(base, lora, seed)
    return base.requires_grad_(base_training == "full")


def new_adapter(base: PreTrainedModel, settings: LoraSettings, seed: int) -> PeftModel:
    """Add low-rank adapters to a base; before training they change nothing.

    Raises
    ------
    InputError
        If no layer has one of the target names.
    """
    with torch.random.fork_rng(), without_peft_notice():
        torch.manual_seed(seed)
        # Without names peft has defaults for most architectures.
        for names in (settings.targets,) if settings.targets else (None, _projections(base)):
            with contextlib.suppress(ValueError):
                return _adapted(base, settings, names)
    msg = (
        f"lora.targets: {settings.targets} fit no layer of this {base.config.model_type} "
        "model; name its attention projections"
    )
    raise InputError(msg)


def _adapted(
    base: PreTrainedModel, settings: LoraSettings, names: Sequence[str] | None
) -> PeftModel:
    from peft import LoraConfig, get_peft_model
    from transformers.pytorch_utils import Conv1D

    config = LoraConfig(
        r=settings.rank,
        lora_alpha=cast("int", settings.alpha),
        lora_dropout=settings.dropout,
        target_modules=list(names) if names else None,
        # GPT-2 stores its weights transposed.
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in base.modules()),
        task_type="CAUSAL_LM",
    )
    return cast("PeftModel", get_peft_model(base, config))


def _projections(base: PreTrainedModel) -> Sequence[str] | None:
    """Names of the attention projections of a base; None if it has none of the known names."""
    layers = {name.rpartition(".")[2] for name, _ in base.named_modules()}
    return next((names for names in _PROJECTIONS if layers.issuperset(names)), None)


@contextlib.contextmanager
def without_peft_notice() -> Iterator[None]:
    """Silence a deprecation warning of transformers that peft causes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield
