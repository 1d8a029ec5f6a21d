"""`record.json`: what made a stage, from what, with what, and what came out."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fmri_cli.errors import InputError
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
    InputError
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
        raise InputError(msg)
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


def damage(directory: Path, record: Mapping[str, Any]) -> str | None:
    """First output that is not what the record says, in words, or None if all are."""
    found = first_damage(directory, record)
    return None if found is None else f"output file {found.name} {found.what}"


def is_inside(name: str) -> bool:
    """Whether a relative name stays in the folder that it starts from."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and bool(path.parts)


def differences(record: Mapping[str, Any], request: Request) -> Iterator[str]:
    """Yield, in words, every way in which a request differs from what a record answered."""
    old_settings, new_settings = _flat(record.get("settings", {})), _flat(request.settings)
    for name, old, new in _changes(old_settings, new_settings):
        yield f"setting `{name}` changed from {old} to {new}"
    if record.get("seed") != request.seed:
        yield f"seed changed from {record.get('seed')} to {request.seed}"
    yield from _input_differences(record, request.inputs)
    for name, old, new in _changes(record.get("packages", {}), request.packages):
        old_version, new_version = old.strip('"'), new.strip('"')
        yield f"package {name} changed from {old_version} to {new_version}"
    if record.get("command") != request.command:
        yield f"it was written by `fmri {record.get('command')}`"


def _input_differences(record: Mapping[str, Any], inputs: Mapping[str, Any]) -> Iterator[str]:
    before = record.get("inputs", {})
    for name in sorted({*before, *inputs}):
        old, new = before.get(name), inputs.get(name)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            for key, was, now in _changes(_flat(old), _flat(new)):
                yield f"input `{name}`: `{key}` changed from {was} to {now}"
        elif isinstance(old, list) and isinstance(new, list):
            yield f"input `{name}` changed{_which(old, new, record.get('read', {}).get(name))}"
        elif _DIGEST.fullmatch(str(old)) or _DIGEST.fullmatch(str(new)) or name not in before:
            yield f"input `{name}` changed"
        else:
            yield f"input `{name}` changed from {_word(old)} to {_word(new)}"


def _which(old: list[Any], new: list[Any], names: list[str] | None) -> str:
    """Say which members of a list of files differ, as far as the record knows their names."""
    if len(old) != len(new):
        return f" from {len(old)} files to {len(new)}"
    rows = zip(names or [], old, new, strict=False)
    changed = list(dict.fromkeys(name for name, was, now in rows if was != now))
    more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    return f": {', '.join(changed[:_SHOWN])}{more}" if changed else ""


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name in sorted({*old, *new}):
        before, after = old.get(name, _ABSENT), new.get(name, _ABSENT)
        if before != after:
            yield name, _word(before), _word(after)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


_ABSENT = object()
_DIGEST = re.compile("[0-9a-f]{64}|[0-9a-f]{16}")
_SHOWN = 3  # names of changed files that still make a readable line


def _word(value: Any) -> str:
    return "nothing" if value is _ABSENT else json.dumps(value, ensure_ascii=False)
