"""Whether what is about to be read is still what another stage wrote."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import click

from fmri_cli.fingerprints import file_digest, json_digest
from fmri_cli.run import base_model
from fmri_cli.run.records import RECORD, read_record

_SPLITS, _STATE = "dataset_dict.json", "state.json"


@dataclass(frozen=True)
class Damage:
    """An output that is not what its record says: its relative name, and what became of it."""

    name: str
    what: str


def first_damage(directory: Path, record: Mapping[str, Any]) -> Damage | None:
    """First output that is not what the record says, or None if all are.

    Files that the record does not know are left out of account.
    """
    outputs = record["outputs"]
    if record["digest"] != json_digest(outputs):
        return Damage(RECORD, "was changed")
    for name, expected in outputs.items():
        path = directory / name
        if not is_inside(name):
            return Damage(RECORD, "was changed")
        if not path.is_file():
            return Damage(name, "is missing")
        same_size = path.stat().st_size == expected["size"]
        if not same_size or file_digest(path) != expected["sha256"]:
            return Damage(name, "was changed")
    return None


def is_inside(name: str) -> bool:
    """Whether a relative name stays in the folder that it starts from."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and bool(path.parts)


def refuse_changed(path: Path) -> None:
    """Raise a ClickException if an input is not, or no longer, what its record says.

    Every file of a stage's directory is compared with the digest in its record, and the base
    language model of a model's folder with the one that it was trained on. Of a
    folder without a record, only names that lead out of it are refused.

    Parameters
    ----------
    path
        File or folder that a command reads.

    Raises
    ------
    click.ClickException
        If a file was changed, removed or leads elsewhere, or the record cannot be read.
    """
    if not path.is_dir():
        return
    record = read_record(path)
    if record is None and os.path.lexists(path / RECORD):
        raise click.ClickException(f"{path / RECORD}: cannot be read; make {path.name} again")
    damage = None if record is None else first_damage(path, record)
    if record is not None and damage is not None:
        command = record["command"]
        raise click.ClickException(
            f"{path / damage.name}: {damage.what} since `fmri {command}` wrote it; "
            f"run `fmri {command}` or `fmri run-all` again"
        )
    for name, file in _named_files(path):
        if not is_inside(name):
            raise click.ClickException(
                f"{file}: leads to {name!r}, out of its folder; make it again"
            )
    if record is not None:
        base_model.refuse_changed(path, record)


def _named_files(directory: Path) -> Iterator[tuple[str, Path]]:
    """Yield the names by which parts of a saved dataset find each other, and the file with each."""
    for split in _listed(directory / _SPLITS, "splits"):
        yield split, directory / _SPLITS
    for state in (directory / _STATE, *sorted(directory.glob(f"*/{_STATE}"))):
        for part in _listed(state, "_data_files"):
            yield str(part.get("filename") if isinstance(part, dict) else part), state


def _listed(file: Path, key: str) -> list[Any]:
    """List in a JSON file; empty where there is none, which the file's reader reports."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return []
    found = content.get(key) if isinstance(content, dict) else None
    return found if isinstance(found, list) else []
