"""Lines of a ``captions.jsonl``, each checked as it is read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fmri_descriptors.errors import InputError

_TEXTS = ("scan_id", "domain", "text")


def read_caption_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Captions of a file in its order, one in memory at a time; blank lines are passed over.

    Parameters
    ----------
    path : Path
        A ``captions.jsonl``.

    Yields
    ------
    dict
        A line as it is; ``scan_id``, ``domain`` and ``text`` are strings.

    Raises
    ------
    InputError
        If the file cannot be opened, or a line is no caption.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); give the captions of a described cohort"
        ) from error
    with file:
        for number, line in enumerate(file, start=1):
            if not line.isspace():
                yield _caption(line, f"{path}: line {number}")


def _caption(line: bytes, where: str) -> dict[str, Any]:
    try:
        caption: dict[str, Any] = json.loads(line)
        whole = all(isinstance(caption[key], str) for key in _TEXTS)
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise InputError(f"{where} is no caption; describe the cohort again")
    return caption
