"""What a training run is made of, so that no other run resumes from its checkpoints.

Digests are of what is read from files, which is the same on every machine. What is computed may
differ in its last bits from one machine to the next, so it is compared by a few numbers and with a
tolerance: a run may resume elsewhere.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fmri_vqtok.digest import digest

_FROZEN_VALUES = 4096
"""Values of each frozen weight that enter the digest of a model, at most."""

_BATCH_VALUES = 32
"""Values of each tensor of a batch that are kept, at most."""

_ROUNDING = 1e-3
"""Difference between two machines that is none, relative to the largest value."""

_NAMED = 3
"""Differences that a message names."""


def model_digest(model: nn.Module) -> str:
    """Digest of a model's shapes, and of the frozen weights that it was given."""

    def parts() -> Iterator[Any]:
        for name, value in model.named_parameters():
            yield [name, list(value.shape), str(value.dtype)]
            if not value.requires_grad:
                yield _some(value, _FROZEN_VALUES).contiguous().view(torch.uint8).numpy()

    return digest(parts())


def batch_sample(batch: Any) -> list[Any]:
    """Shapes and a few numbers of the tensors of a batch, as plain values."""
    if isinstance(batch, Tensor):
        values = _some(batch, _BATCH_VALUES).double().tolist()
        return [
            str(list(batch.shape)),
            [value if math.isfinite(value) else 0.0 for value in values],
        ]
    if isinstance(batch, Mapping):
        return [[str(key), batch_sample(value)] for key, value in batch.items()]
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        return [batch_sample(value) for value in batch]
    return [str(batch)] if isinstance(batch, str | int | float | bool) else []


def same_sample(one: Any, other: Any) -> bool:
    """Whether two samples are those of the same batch, to rounding."""
    if not (isinstance(one, list) and isinstance(other, list)):
        return one == other
    if len(one) != len(other):
        return False
    if all(isinstance(value, float) for value in [*one, *other]):
        scale = max(map(abs, one), default=0.0)
        return all(abs(a - b) <= _ROUNDING * scale for a, b in zip(one, other, strict=True))
    return all(map(same_sample, one, other))


def differences(written: Mapping[str, Any], present: Mapping[str, Any]) -> str:
    """Name what of a run differs, with both values, a few at most; empty if nothing does."""
    before, now = dict(_leaves(written)), dict(_leaves(present))
    named = [
        f"{name} {before.get(name, 'nothing')} (here {now.get(name, 'nothing')})"
        for name in [*before, *(name for name in now if name not in before)]
        if before.get(name) != now.get(name)
    ]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more


def _leaves(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _some(tensor: Tensor, most: int) -> Tensor:
    """At most so many values of a tensor, evenly spaced, on the CPU; shape (n,)."""
    flat = tensor.detach().reshape(-1)
    return flat[:: -(-len(flat) // most) or 1].cpu()
