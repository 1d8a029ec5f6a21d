"""`record.json`: what made a stage, from what, with what, and what came out."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from fmri_cli.fingerprints import file_digest, files_below, json_digest
from fmri_cli.run.workspace import write_file

RECORD = "record.json"
CHECKPOINTS = "checkpoints"
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Request:
    """All that decides what a stage writes; equal requests give equal artefacts.

    Parameters
    ----------
    command
        Name of the stage's command.
    settings
        The resolved settings, as JSON.
    seed
        Seed of the run.
    packages
        Versions of our packages whose code the stage runs, by name.
    inputs
        Fingerprints by the input's name.
    """

    command: str
    settings: dict[str, Any]
    seed: int
    packages: dict[str, str]
    inputs: dict[str, Any]

    @property
    def key(self) -> str:
        """Digest of the request: the name under which an unfinished stage is found again."""
        return json_digest(self.as_json())

    def as_json(self) -> dict[str, Any]:
        """Return the part of `record.json` that the request fills."""
        return {
            "command": self.command,
            "settings": self.settings,
            "seed": self.seed,
            "packages": self.packages,
            "inputs": self.inputs,
        }


def outputs_of(directory: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file that a stage wrote, by relative name.

    The record itself and the checkpoints of training are no output.
    """
    found = {}
    for path in files_below(directory):
        name = path.relative_to(directory)
        if name.parts[0] not in {RECORD, f"{RECORD}.part", CHECKPOINTS}:
            found[name.as_posix()] = {"size": path.stat().st_size, "sha256": file_digest(path)}
    return found


def write_record(directory: Path, request: Request, facts: Mapping[str, Any]) -> None:
    """Write `record.json` as the last file of a stage; from then on the stage is whole.

    Parameters
    ----------
    directory
        The stage's directory with all its outputs.
    request
        What was asked for.
    facts
        What else is worth keeping: versions, platform, notes, wall time.
    """
    outputs = outputs_of(directory)
    record = {
        "schema": SCHEMA,
        **request.as_json(),
        **facts,
        "outputs": outputs,
        "digest": json_digest(outputs),
    }
    text = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False)
    write_file(directory / RECORD, text + "\n")


def read_record(directory: Path) -> dict[str, Any] | None:
    """Record of a stage's directory, or None if it has none or an unreadable one.

    Raises
    ------
    click.ClickException
        If the record was written by a later version of this package.
    """
    path = directory / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("schema"), int):
        return None
    if record["schema"] > SCHEMA:
        msg = (
            f"{path}: schema {record['schema']}, but this fmri-cli knows {SCHEMA}; "
            "upgrade it or choose another --out"
        )
        raise click.ClickException(msg)
    return record if _is_complete(record) else None


def _is_complete(record: Mapping[str, Any]) -> bool:
    """Whether a record has all keys, with values of the kind that readers rely on."""
    kinds = {"outputs": dict, "digest": str, "settings": dict, "inputs": dict, "packages": dict}
    if not all(isinstance(record.get(key), kind) for key, kind in kinds.items()):
        return False
    if not isinstance(record.get("command"), str) or "seed" not in record:
        return False
    return all(
        isinstance(output, dict)
        and isinstance(output.get("size"), int)
        and isinstance(output.get("sha256"), str)
        for output in record["outputs"].values()
    )


def requests_of(directories: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Return what each whole stage was asked for: settings, seeds and packages, by command.

    For whatever shows settings, which may change where outputs do not.
    """
    found = [read_record(directory) for directory in directories]
    records = {record["command"]: record for record in found if record is not None}
    return {
        name: {command: record[key] for command, record in records.items()}
        for name, key in (("settings", "settings"), ("seeds", "seed"), ("packages", "packages"))
    }
