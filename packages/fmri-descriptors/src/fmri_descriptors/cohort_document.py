"""What `cohort.json` and `rejected.tsv` say of a cohort."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fmri_descriptors.parcellation import Parcellation
from fmri_descriptors.readers.sources import Recording, Rejected, Source
from fmri_descriptors.splits import SPLITS

SCHEMA = 1
"""Version of the cohort directory that this package writes and the newest it reads."""

REJECTED = "rejected.tsv"


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
        "phenotypes": _phenotypes(source, used),
    }


def phenotype_kinds(recordings: Sequence[Recording]) -> dict[str, str]:
    """Return ``number`` or ``category`` for each phenotype."""
    return {
        name: "number"
        if any(isinstance(r.phenotypes[name], float) for r in recordings)
        else "category"
        for name in recordings[0].phenotypes
    }


def write_rejected(rejected: Iterable[Rejected], path: Path) -> None:
    """Write the scans that could not be used: path, scan_id, reason."""
    lines = ["path\tscan_id\treason"]
    for each in rejected:
        cells = (each.path, each.scan_id or "n/a", each.reason)
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
    if name in source.levels:
        entry["levels"] = dict(source.levels[name])
    return entry
