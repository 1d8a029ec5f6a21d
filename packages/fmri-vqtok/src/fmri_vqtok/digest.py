"""Digests of data that decide whether two runs are the same."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from torch import Tensor


def plain(value: Any) -> Any:
    """Value after a round trip through JSON, comparable with one that was written and read."""
    return json.loads(json.dumps(value, sort_keys=True, default=str))


def digest(parts: Iterable[Any]) -> str:
    """Start of the SHA-256 of tensors, arrays and plain values: 16 hex digits."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor | np.ndarray):
            array = np.ascontiguousarray(part)
            found.update(f"{array.dtype}{array.shape}".encode())
            found.update(array.reshape(-1).view(np.uint8).data)
        else:
            found.update(json.dumps(plain(part), sort_keys=True).encode())
    return found.hexdigest()[:16]
