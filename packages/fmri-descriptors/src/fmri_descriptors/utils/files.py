"""The few things that every file of this package has in common."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fmri_descriptors.errors import InputError

_CHUNK = 1 << 20  # bytes


def write_json(document: Any, path: Path) -> None:
    """Write JSON with sorted keys, the same bytes for the same content."""
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object of a JSON file.

    Raises
    ------
    InputError
        If the file is missing, is not JSON, or holds no object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}); make it again") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: holds no JSON object; make it again")
    return document


def file_digest(path: Path) -> str:
    """Return the first 16 hex digits of a file's SHA-256, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()[:16]


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Hand out a name to write under; the file gets its own name when the block ends well."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    yield unfinished
    unfinished.replace(path)


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """Keep `datasets` from drawing its own progress bars meanwhile."""
    from datasets.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()
