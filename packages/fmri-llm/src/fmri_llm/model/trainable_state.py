"""State of a model without what is frozen, which lies with the base and the brain tokenizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

__all__ = ["expect_trainable", "keep_trainable"]

_FROZEN = ("language_model.", "brain_tokenizer.")
"""Parts of a model of which the state has what trains alone; of all others it has everything."""


def keep_trainable(
    module: nn.Module, state: dict[str, Tensor], prefix: str, _metadata: dict[str, Any]
) -> None:
    """Leave frozen weights out of a state (a hook of ``state_dict``)."""
    names = [name for name in state if name.startswith(prefix)]
    kept = _kept(module, (name.removeprefix(prefix) for name in names))
    for name in names:
        if name.removeprefix(prefix) not in kept:
            del state[name]


def expect_trainable(module: nn.Module, keys: Any) -> None:
    """Miss no frozen weights in a state that was saved without them (``load_state_dict``)."""
    keys.missing_keys[:] = _kept(module, list(keys.missing_keys))


def _kept(module: nn.Module, names: Iterable[str]) -> list[str]:
    """Names of a state, those left out that are of frozen parts and do not train."""
    trains = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    return [name for name in names if name in trains or not name.startswith(_FROZEN)]
