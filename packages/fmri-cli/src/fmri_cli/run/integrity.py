"""Whether what is about to be read is still what another stage wrote."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fmri_cli.errors import InputError
from fmri_cli.run import base_model
from fmri_cli.run.records import RECORD, first_damage, is_inside, read_record

_SPLITS, _STATE = "dataset_dict.json", "state.json"
_AGAIN = "or `fmri run-all` again"


def refuse_changed(path: Path) -> None:
    """Raise InputError if an input is not, or no longer, what its record says.

    Every file of a stage's directory is compared with the digest in its record, and the base
    language model of a model's folder with the one that it was trained on. A folder without a
    record is anybody's: only names in it that lead out of it are refused.

    Parameters
    ----------
    path
        File or folder that a command reads.

    Raises
    ------
    InputError
        If a file was changed, removed or leads elsewhere, or the record cannot be read.
    """
    if not path.is_dir():
        return
    record = read_record(path)
    if record is None and os.path.lexists(path / RECORD):
        raise InputError(f"{path / RECORD}: cannot be read; make {path.name} again")
    if record is not None:
        _refuse_damaged(path, record)
    for name, file in _named_files(path):
        if not is_inside(name):
            raise InputError(f"{file}: leads to {name!r}, out of its folder; make it again")
    if record is not None:
        base_model.refuse_changed(path, record)


def _refuse_damaged(directory: Path, record: dict[str, Any]) -> None:
    found = first_damage(directory, record)
    if found is not None:
        command = record["command"]
        raise InputError(
            f"{directory / found.name}: {found.what} since `fmri {command}` wrote it; "
            f"run `fmri {command}` {_AGAIN}"
        )


def _named_files(directory: Path) -> Iterator[tuple[str, Path]]:
    """Names by which the parts of a saved dataset find each other, with the file that says so."""
    for split in _listed(directory / _SPLITS, "splits"):
        yield split, directory / _SPLITS
    for state in (directory / _STATE, *sorted(directory.glob(f"*/{_STATE}"))):
        for part in _listed(state, "_data_files"):
            yield str(part.get("filename") if isinstance(part, dict) else part), state


def _listed(file: Path, key: str) -> list[Any]:
    """List in a JSON file; empty where there is none, which its reader will tell."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return []
    found = content.get(key) if isinstance(content, dict) else None
    return found if isinstance(found, list) else []
