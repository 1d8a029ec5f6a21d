"""State of a model without its frozen weights, which lie with the base and the brain tokenizer."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

__all__ = ["expect_trainable", "keep_trainable"]


def keep_trainable(
    module: nn.Module, state: dict[str, Tensor], prefix: str, _metadata: dict[str, Any]
) -> None:
    """Leave frozen weights out of a state (a hook of ``state_dict``)."""
    kept = {prefix + name for name in _trainable(module)}
    for name in [name for name in state if name.startswith(prefix) and name not in kept]:
        del state[name]


def expect_trainable(module: nn.Module, keys: Any) -> None:
    """Miss no frozen weights in a state that was saved without them (``load_state_dict``)."""
    kept = _trainable(module)
    keys.missing_keys[:] = [name for name in keys.missing_keys if name in kept]


def _trainable(module: nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}
