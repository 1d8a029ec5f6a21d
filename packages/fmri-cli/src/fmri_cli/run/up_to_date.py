"""Whether a stage is up to date: its directory holds the complete answer to just this request."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fmri_cli.run.integrity import first_damage
from fmri_cli.run.records import RECORD, Request, read_record

FIRST_RUN = "first run"
_ABSENT = object()
_DIGEST = re.compile("[0-9a-f]{64}|[0-9a-f]{16}")
_SHOWN = 3  # names of changed files that still make a readable line


def is_up_to_date(directory: Path, request: Request) -> bool:
    """Whether nothing has to be run: equal request, and every output as its record says."""
    return not reasons_to_run(directory, request)


def reasons_to_run(final: Path, request: Request) -> list[str]:
    """Why a stage has to be made, in words; empty if its directory is up to date."""
    if is_absent(final):
        return [FIRST_RUN]
    record = read_record(final)
    if record is None:
        return [f"{RECORD} cannot be read"]
    changed = list(differences(record, request))
    if changed:
        return changed
    damage = first_damage(final, record)
    return [] if damage is None else [f"output file {damage.name} {damage.what}"]


def is_absent(final: Path) -> bool:
    """Whether there is nothing yet under a stage's name (or an empty folder)."""
    return not os.path.lexists(final) or (final.is_dir() and not any(final.iterdir()))


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


def _word(value: Any) -> str:
    return "nothing" if value is _ABSENT else json.dumps(value, ensure_ascii=False)
