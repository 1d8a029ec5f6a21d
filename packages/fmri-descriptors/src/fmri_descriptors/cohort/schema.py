"""What `cohort.json` and `rejected.tsv` say of a cohort."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fmri_descriptors.cohort.splits import SPLITS
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.readers.base import LeftOut, Recording, Rejected, Source
from fmri_descriptors.readers.tables.columns import kind_of, typed_column

SCHEMA = 1
"""Version of the cohort directory that this package writes and the newest it reads."""

REJECTED = "rejected.tsv"
REJECTED_COLUMNS = ("path", "scan_id", "reason", "status", "rule")


def cohort_document(
    source: Source, used: Sequence[Recording], parcellation: Parcellation, splits: Mapping[str, str]
) -> dict[str, Any]:
    """Return the content of `cohort.json`.

    Parameters
    ----------
    source : Source
        Where the recordings come from.
    used : sequence of Recording
        Those that are in the cohort, in order.
    parcellation : Parcellation
        Their regions.
    splits : mapping of str to str
        Subject to split.
    """
    return {
        "schema": SCHEMA,
        **parcellation.to_dict(),
        "source": source.name,
        "tr": _repetition_times(source, used),
        "splits": {
            split: [r.scan_id for r in used if splits[r.subject] == split] for split in SPLITS
        },
        "n_scans": len(used),
        "accounting": accounting(source, len(used)),
        "choices": list(source.choices),
        "phenotypes": _phenotypes(source, used),
        "dropped_columns": dict(source.dropped_columns),
        "notes": list(source.notes),
    }


def accounting(source: Source, n_used: int) -> dict[str, Any]:
    """Return how many were found, used, rejected and left out, and what is counted.

    Parameters
    ----------
    source : Source
        Where the recordings come from.
    n_used : int
        Number of those that are in the cohort.
    """
    return {
        "unit": source.unit,
        "found": source.n_found,
        "used": n_used,
        "rejected": source.n_found - n_used - len(source.left_out),
        "left_out": len(source.left_out),
    }


def phenotype_kinds(recordings: Sequence[Recording]) -> dict[str, str]:
    """Return ``number`` or ``category`` for each phenotype."""
    return {
        name: kind_of(recording.phenotypes[name] for recording in recordings)
        for name in recordings[0].phenotypes
    }


def write_rejected(rejected: Iterable[Rejected], left_out: Iterable[LeftOut], path: Path) -> None:
    """Write what was found and is not in the cohort: path, scan_id, reason, status, rule."""
    rows: list[tuple[Rejected | LeftOut, str, str]]
    rows = [(each, "rejected", "n/a") for each in rejected]
    rows += [(each, "left out", each.rule) for each in left_out]
    lines = ["\t".join(REJECTED_COLUMNS)]
    for each, status, rule in rows:
        cells = (each.path, each.scan_id or "n/a", each.reason, status, rule)
        lines.append("\t".join(" ".join(cell.split()) for cell in cells))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _repetition_times(source: Source, used: Sequence[Recording]) -> dict[str, Any]:
    times: dict[str, dict[str, Any]] = {}
    for recording in used:
        site = recording.site or "unnamed"
        entry = times.setdefault(site, {"value": recording.tr, "documented": True})
        if recording.tr not in entry.get("values", [entry["value"]]):
            entry["values"] = sorted({recording.tr, *entry.get("values", [entry["value"]])})
            entry["value"] = None
        if site in source.assumed_tr:
            entry.update(documented=False, note=source.assumed_tr[site])
    return times


def _phenotypes(source: Source, used: Sequence[Recording]) -> dict[str, Any]:
    # The kind is that of the column, whichever of its scans could be used.
    kinds = phenotype_kinds(source.recordings)
    return {name: _phenotype(name, kind, source, used) for name, kind in kinds.items()}


def _phenotype(name: str, kind: str, source: Source, used: Sequence[Recording]) -> dict[str, Any]:
    values = [recording.phenotypes[name] for recording in used]
    entry: dict[str, Any] = {"kind": kind, "missing": values.count(None)}
    if kind == "category":
        entry["values"] = sorted({value for value in values if value is not None}, key=str)
    column = source.columns.get(name)
    if column is None:
        every = [recording.phenotypes[name] for recording in source.recordings]
        column = typed_column(name, every, note_numbers=False)
    entry |= column.record()
    if name in source.levels:
        entry["levels"] = dict(source.levels[name])
    return entry
