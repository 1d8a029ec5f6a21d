"""A scans table: one line a recording, with what is known of it."""

import os
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.base import Phenotype, ReadOptions, Recording, Rejected, Source
from fmri_descriptors.readers.layouts.arrays import read_array
from fmri_descriptors.readers.repetition_time import agreed_tr
from fmri_descriptors.readers.selection.companions import frame_tables, read_checked
from fmri_descriptors.readers.selection.content import check_fetched
from fmri_descriptors.readers.tables.columns import Column, text_column
from fmri_descriptors.readers.tables.delimited import read_rows
from fmri_descriptors.utils.cells import number, present_cell

REQUIRED = ("path", "scan_id", "subject", "tr")
OPTIONAL = ("session", "site", "key")
# Columns of the cohort that a phenotype must not overwrite.
RESERVED = {"sub", "ses", "start", "end", "n_frames", "bold", "mean", "std", "split"}


def table_source(path: Path, options: ReadOptions) -> Source:
    """Return the recordings that a tab-separated table lists.

    Parameters
    ----------
    path : Path
        A ``.tsv`` with the columns ``path`` (relative to the table, or absolute), ``scan_id``,
        ``subject`` and, unless it is given, ``tr`` (s); optionally ``site``, ``session`` and
        ``key`` (variable of a ``.mat`` or ``.npz`` file). Every other column is a phenotype, see
        `text_column`.
    options : ReadOptions
        ``tr`` stands in for an absent column.

    Raises
    ------
    InputError
        If the table is missing or lacks a column. A line that lacks an entry, has a repetition
        time that is none, or names a file that is not there is rejected.
    """
    rows = _read_rows(path, options)
    columns = phenotype_columns(list(rows.values()), REQUIRED + OPTIONAL)
    written = [row["site"] for row in rows.values() if "site" in row]
    described = [*([text_column("site", written, {})] if written else []), *columns.values()]
    recordings, rejected = [], []
    for i, (line, row) in enumerate(rows.items()):
        values = {name: column.values[i] for name, column in columns.items()}
        try:
            recordings.append(_recording(path, row, values, options))
        except InputError as error:
            name, scan_id = (present_cell(row[key]) for key in ("path", "scan_id"))
            where = f"{path.name}, line {line}" if name is None else _name(path, name)
            rejected.append(Rejected(where, f"{path.name}: line {line} {error}", scan_id))
    files = (path, *(file for r in recordings for file in (r.path, *frame_tables(r.path))))
    return Source(
        path.name,
        tuple(recordings),
        files,
        rejected=tuple(rejected),
        unit="lines",
        columns=columns,
        notes=tuple(note for column in described for note in column.notes),
    )


def _read_rows(path: Path, options: ReadOptions) -> dict[int, dict[str, str]]:
    header, rows = read_rows(path)
    _check_columns(path, header, options)
    if not rows:
        raise InputError(f"{path}: the table lists no scan; add one line a recording")
    return rows


def _check_columns(path: Path, header: list[str], options: ReadOptions) -> None:
    needed = [name for name in REQUIRED if name != "tr" or options.tr is None]
    missing = [name for name in needed if name not in header]
    if missing:
        raise InputError(
            f"{path}: no column {missing[0]!r}; a scans table needs {', '.join(REQUIRED)}"
        )
    taken = sorted(RESERVED.intersection(header))
    if taken:
        raise InputError(f"{path}: column {taken[0]!r} is a name of the cohort's own; rename it")


def phenotype_columns(
    rows: Sequence[Mapping[str, str]],
    others: Collection[str],
    levels: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Column]:
    """Return the columns that are not among the others, each numeric or text throughout."""
    return {
        name: text_column(name, [row[name] for row in rows], (levels or {}).get(name))
        for name in rows[0]
        if name not in others
    }


def _recording(
    table: Path,
    row: Mapping[str, str],
    phenotypes: Mapping[str, Phenotype],
    options: ReadOptions,
) -> Recording:
    cells = {name: present_cell(row.get(name)) for name in REQUIRED + OPTIONAL}
    cells["path"] = row["path"].strip() or None  # "." and "-" are names that files can have
    values = {}
    for name in ("path", "scan_id", "subject"):
        if cells[name] is None:
            raise InputError(f"has no {name}; fill the cell")
        values[name] = str(cells[name])
    path = table.parent / values["path"]
    # Unlike `Path.is_file`, this is False and no error for a name that no file can have.
    if not os.path.isfile(path):  # noqa: PTH113
        raise InputError(f"names {values['path']}, which {_absent(path, values['path'])}")
    return Recording(
        path=path,
        name=_name(table, values["path"]),
        scan_id=values["scan_id"],
        subject=values["subject"],
        session=cells["session"],
        site=cells["site"],
        tr=_seconds(cells["tr"], options),
        read=partial(read_checked, read=partial(read_array, key=cells["key"])),
        phenotypes=phenotypes,
    )


def _absent(path: Path, name: str) -> str:
    """Say why a path leads to no file."""
    try:
        check_fetched(path, name)
    except InputError as error:
        return str(error).removeprefix(f"{path.name}: ")
    return "is not a file; correct it"


def _name(table: Path, path: str) -> str:
    return path if not Path(path).is_absolute() else (table.parent / path).name


def _seconds(cell: str | None, options: ReadOptions) -> float:
    if cell is None and options.tr is None:
        raise InputError("has no tr; fill the cell, or give --tr")
    if cell is not None and number(cell) is None:
        raise InputError(f"has tr {cell!r}; give seconds, above 0")
    try:
        stated = None if cell is None else number(cell)
        return agreed_tr({"the column tr": stated, "--tr": options.tr})
    except InputError as error:
        raise InputError(f"has tr {cell!r}: {error}") from error
