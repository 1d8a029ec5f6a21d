"""The settings, seeds and versions that every stage recorded."""

from pathlib import PurePath
from typing import Any

from fmri_cli.report.artefacts import COMMANDS, Run
from fmri_cli.report.sections.base import Section
from fmri_cli.report.settings import ReportSettings


def build(run: Run, settings: ReportSettings) -> Section:  # noqa: ARG001
    """One table a stage; what differs between two equal runs (times, hosts, paths) stays out."""
    records = {stage: run.json(stage, "record.json") for stage in COMMANDS}
    return Section(
        anchor="provenance",
        title="Settings and versions",
        look_for=(
            "The same settings, seed and versions on the same kind of machine give the same bytes. "
            "Anything that you change in a recipe shows up here."
        ),
        values={
            "stages": [_stage(name, record) for name, record in records.items()],
            "versions": _versions(records),
        },
    )


def _stage(name: str, record: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "command": COMMANDS[name],
        "seed": record["seed"],
        "settings": flatten(record["settings"]),
        # How fast it went differs between equal runs, whose reports are equal; it is in the record.
        "notes": flatten({k: v for k, v in record["code_path"].items() if k != "speed"}),
    }


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as `section.key: value`, an absolute path by its last name only."""
    flat: dict[str, str] = {}
    for key, value in sorted(values.items()):
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = _shown(value)
    return flat


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, list | tuple):
        return ", ".join(_shown(item) for item in value)
    if isinstance(value, str) and PurePath(value).is_absolute():
        return PurePath(value).name
    return str(value)


def _versions(records: dict[str, dict[str, Any]]) -> dict[str, str]:
    merged: dict[str, set[str]] = {}
    for record in records.values():
        for name, version in {**record["versions"], **record["packages"]}.items():
            merged.setdefault(name, set()).add(str(version))
    return {name: " and ".join(sorted(found)) for name, found in sorted(merged.items())}
