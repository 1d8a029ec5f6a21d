"""A scans table: one line a recording, with what is known of it."""

import csv
import os
import re
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.arrays import EMPTY_CELLS, read_array
from fmri_descriptors.readers.sources import (
    Phenotype,
    ReadOptions,
    Recording,
    Rejected,
    Source,
    agreed_tr,
)

REQUIRED = ("path", "scan_id", "subject", "tr")
OPTIONAL = ("session", "site", "key")
# What Python takes for a number without its underscores, infinities and foreign digits.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# Columns of the cohort that a phenotype must not overwrite.
RESERVED = {"sub", "ses", "start", "end", "n_frames", "bold", "mean", "std", "split"}


def table_source(path: Path, options: ReadOptions) -> Source:
    """Return the recordings that a tab-separated table lists.

    Parameters
    ----------
    path : Path
        A ``.tsv`` with the columns ``path`` (relative to the table, or absolute), ``scan_id``,
        ``subject`` and, unless it is given, ``tr`` (s); optionally ``site``, ``session`` and
        ``key`` (variable of a ``.mat`` or ``.npz`` file). Every other column is a phenotype:
        numeric where all its cells are numbers, else text; empty cells and ``n/a`` are missing.
    options : ReadOptions
        ``tr`` stands in for an absent column.

    Raises
    ------
    InputError
        If the table is missing, lacks a column, or a line lacks an entry. A line whose file is
        not there is rejected.
    """
    rows = _read_rows(path, options)
    phenotypes = phenotype_columns(list(rows.values()), REQUIRED + OPTIONAL)
    recordings, rejected = [], []
    for i, (line, row) in enumerate(rows.items()):
        values = {name: column[i] for name, column in phenotypes.items()}
        recording = _recording(path, line, row, values, options)
        # Unlike `Path.is_file`, this is False and no error for a name that no file can have.
        if os.path.isfile(recording.path):  # noqa: PTH113
            recordings.append(recording)
        else:
            reason = f"line {line} names {row['path'].strip()}, which is not a file; correct it"
            rejected.append(Rejected(recording.name, reason, recording.scan_id))
    files = (path, *(recording.path for recording in recordings))
    return Source(path.name, tuple(recordings), files, rejected=tuple(rejected), unit="lines")


def _read_rows(path: Path, options: ReadOptions) -> dict[int, dict[str, str]]:
    header, rows = read_rows(path)
    _check_columns(path, header, options)
    if not rows:
        raise InputError(f"{path}: the table lists no scan; add one line a recording")
    return rows


def read_rows(path: Path) -> tuple[list[str], dict[int, dict[str, str]]]:
    """Return the header of a tab-separated table, and its lines that are not blank by number.

    Raises
    ------
    InputError
        If it is no UTF-8 table, a column occurs twice, or a line is longer or shorter than the
        header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", strict=True)
            header = list(reader.fieldnames or [])
            numbered = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(f"{path}: not a UTF-8 tab-separated table ({error}); export it") from error
    repeated = [name for name in header if header.count(name) > 1]
    if repeated:
        raise InputError(f"{path}: column {repeated[0]!r} occurs twice; keep one")
    for line, row in numbered:
        if None in row or None in row.values():
            raise InputError(
                f"{path}: line {line} has not {len(header)} cells like the header; give every "
                "column one cell"
            )
    return header, dict(numbered)


def _check_columns(path: Path, header: list[str], options: ReadOptions) -> None:
    needed = [name for name in REQUIRED if name != "tr" or options.tr is None]
    missing = [name for name in needed if name not in header]
    if missing:
        raise InputError(
            f"{path}: no column {missing[0]!r}; a scans table needs {', '.join(REQUIRED)}"
        )
    if "" in header:
        raise InputError(f"{path}: column {header.index('') + 1} has no name; name or remove it")
    taken = sorted(RESERVED.intersection(header))
    if taken:
        raise InputError(f"{path}: column {taken[0]!r} is a name of the cohort's own; rename it")


def phenotype_columns(
    rows: list[dict[str, str]], others: Collection[str]
) -> dict[str, list[Phenotype]]:
    """Return the columns that are not among the others, each numeric or text throughout."""
    names = [name for name in rows[0] if name not in others]
    return {name: _typed([row[name].strip() for row in rows]) for name in names}


def _typed(cells: list[str]) -> list[Phenotype]:
    present = [present_cell(cell) for cell in cells]
    if all(cell is None or _NUMBER.fullmatch(cell) for cell in present):
        return [None if cell is None else float(cell) for cell in present]
    return list(present)


def present_cell(cell: str | None) -> str | None:
    """Return a cell without the space around it, or None where it says that it is missing."""
    text = (cell or "").strip()
    return None if text.lower() in EMPTY_CELLS else text


def _recording(
    table: Path,
    line: int,
    row: Mapping[str, str],
    phenotypes: Mapping[str, Phenotype],
    options: ReadOptions,
) -> Recording:
    cells = {name: present_cell(row.get(name)) for name in REQUIRED + OPTIONAL}
    values = {}
    for name in ("path", "scan_id", "subject"):
        if cells[name] is None:
            raise InputError(f"{table}: line {line} has no {name}; fill the cell")
        values[name] = str(cells[name])
    path = table.parent / values["path"]
    return Recording(
        path=path,
        name=values["path"] if not Path(values["path"]).is_absolute() else path.name,
        scan_id=values["scan_id"],
        subject=values["subject"],
        session=cells["session"],
        site=cells["site"],
        tr=_seconds(table, line, cells["tr"], options),
        read=partial(read_array, key=cells["key"]),
        phenotypes=phenotypes,
    )


def _seconds(table: Path, line: int, cell: str | None, options: ReadOptions) -> float:
    if cell is None and options.tr is None:
        raise InputError(f"{table}: line {line} has no tr; fill the cell, or give --tr")
    if cell is not None and not _NUMBER.fullmatch(cell):
        raise InputError(f"{table}: line {line} has tr {cell!r}; give seconds, above 0")
    try:
        return agreed_tr(None if cell is None else float(cell), options.tr)
    except InputError as error:
        raise InputError(f"{table}: line {line} has tr {cell!r}: {error}") from error
