"""Tensors that are slow to compute, kept in the user's cache."""

import functools
import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fmri_vqtok.formats.atomic import whole_file
from fmri_vqtok.text.cache_folder import cache_folder

LAYOUT = 1
"""Part of every key: raised when the same input gives another result."""

_MODEL_SUFFIXES = {".bin", ".jinja", ".json", ".model", ".safetensors", ".txt"}

_log = logging.getLogger(__name__)


def cached_tensor(
    about: dict[str, Any], compute: Callable[[], Tensor], folder: Path | None = None
) -> Tensor:
    """Tensor from the cache, or computed and stored there.

    Parameters
    ----------
    about : dict
        All that determines the tensor, as JSON; "kind" names it.
    compute : callable
        Called if the cache has no such tensor or a broken one.
    folder : Path, optional
        In place of the folder "text" in `cache_folder`. One that cannot be written to is a
        warning in the log.
    """
    path = (folder or cache_folder() / "text") / f"{entry_name(about)}.safetensors"
    tensor = _read(path)
    if tensor is None:
        tensor = compute().cpu().contiguous()
        _write(path, tensor)
    return tensor


def entry_name(about: dict[str, Any]) -> str:
    """Name of the entry that all of this determines; its "kind" is in front."""
    text = json.dumps({"layout": LAYOUT, **about}, sort_keys=True)
    return f"{about['kind']}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def model_fingerprint(folder: Path) -> str:
    """SHA-256 over the names and bytes of a language model's configuration, weights and tokens."""
    files = (file for file in folder.glob("*") if file.suffix in _MODEL_SUFFIXES)
    digest = hashlib.sha256()
    for file in sorted(file for file in files if file.is_file()):
        status = file.stat()
        digest.update(f"{file.name}\0".encode())
        digest.update(_file_digest(file, status.st_size, status.st_mtime_ns))
    return digest.hexdigest()


@functools.lru_cache(maxsize=256)
def _file_digest(file: Path, size: int, changed: int) -> bytes:  # noqa: ARG001 - part of the key
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").digest()


def _read(path: Path) -> Tensor | None:
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            tensor = file.get_tensor("tensor")
            is_intact = (file.metadata() or {}).get("sha256") == _tensor_digest(tensor)
    except (OSError, SafetensorError) as error:
        _log.warning("%s: cannot be read (%s); computed anew", path, error)
        return None
    if not is_intact:
        _log.warning("%s: another digest than was written; computed anew", path)
        return None
    return tensor


def _write(path: Path, tensor: Tensor) -> None:
    content = save({"tensor": tensor}, {"sha256": _tensor_digest(tensor)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(content)
    except OSError as error:
        _log.warning("%s: cannot be written (%s); computed anew next time", path, error)


def _tensor_digest(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()
