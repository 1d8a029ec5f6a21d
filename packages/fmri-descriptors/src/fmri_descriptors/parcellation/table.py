"""A table of regions: one line a region, tab-separated, in the order of a scan's columns."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fmri_descriptors.errors import InputError
from fmri_descriptors.utils.cells import present_cell

REQUIRED = ("label", "network")
SYNONYMS = {
    "label": ("name", "region", "roi", "region_name", "roi_name", "label_name"),
    "network": ("network_name", "network_label", "net"),
    "hemisphere": ("hemi",),
}
"""By column, the heads that stand for it where it is not there itself."""
_NAMELESS = ("?", "n/a")
COORDINATES = ("x", "y", "z")
HEMISPHERES = ("L", "R", "B")


class RegionTable(NamedTuple):
    """Columns of a region table, each of length N."""

    labels: tuple[str, ...]
    networks: tuple[str, ...]
    hemispheres: tuple[str, ...]
    centroids: tuple[tuple[float, float, float], ...] | None


def read_region_table(path: Path) -> RegionTable:
    """Return the regions of a tab-separated table.

    Parameters
    ----------
    path : Path
        A UTF-8 file with the columns ``label`` and ``network`` (or a synonym of `SYNONYMS`);
        optionally ``hemisphere`` (``L``, ``R`` or ``B``; ``B`` for all where there is no such
        column) and ``x``, ``y`` and ``z`` (mm, MNI). Other columns are ignored.

    Raises
    ------
    InputError
        If the file cannot be read, a column is missing or occurs twice, or a line lacks an entry
        or has one that is no name, hemisphere or number; ``?`` and ``n/a`` name nothing.
    """
    rows = _rows(path)
    labels = _names(path, rows, "label")
    _check_unique(path, labels)
    return RegionTable(
        labels, _names(path, rows, "network"), _hemispheres(path, rows), _centroids(path, rows)
    )


def _rows(path: Path) -> list[dict[str, str]]:
    lines = _text(path).rstrip("\r\n").split("\n")
    header, *cells = ([cell.strip() for cell in line.rstrip("\r").split("\t")] for line in lines)
    header = _known_names(header)
    _check_header(path, header)
    for number, line in enumerate(cells, start=2):
        if len(line) != len(header):
            raise InputError(
                f"{path}: line {number} has {len(line)} cells and the header {len(header)}; "
                "separate them by one tab each"
            )
    if not cells:
        raise InputError(f"{path}: no region under the header; add one line a region")
    return [dict(zip(header, line, strict=True)) for line in cells]


def _known_names(header: Sequence[str]) -> list[str]:
    """Heads with each synonym replaced, and known ones in small letters."""
    names = list(header)
    for column, synonyms in SYNONYMS.items():
        stand_ins = [name for name in header if name.lower() in (column, *synonyms)]
        first = min(stand_ins, key=lambda name: name.lower() != column, default=None)
        if column not in names and first is not None:
            names[names.index(first)] = column
    return names


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a .tsv file") from error
    except UnicodeError as error:
        raise InputError(f"{path}: not UTF-8 text; save the table as UTF-8") from error
    if not text.strip():
        raise InputError(f"{path}: empty; give a header line and one line a region")
    return text


def _check_header(path: Path, header: Sequence[str]) -> None:
    # A table with one coordinate must have the others.
    needed = REQUIRED + COORDINATES * any(name in header for name in COORDINATES)
    missing = [name for name in needed if name not in header]
    if missing:
        raise InputError(
            f"{path}: no column {missing[0]!r} among {', '.join(header)}; a parcellation needs "
            "label (or name, region, roi) and network, and x, y and z together or not at all"
        )
    repeated = [name for name in header if header.count(name) > 1]
    if repeated:
        raise InputError(f"{path}: column {repeated[0]!r} occurs twice; keep one")


def _names(path: Path, rows: Sequence[dict[str, str]], column: str) -> tuple[str, ...]:
    for number, row in enumerate(rows, start=2):
        cell = row[column]
        if not cell:
            raise InputError(f"{path}: line {number} has no {column}; every region needs one")
        if cell in _NAMELESS or (column == "network" and present_cell(cell) is None):
            raise InputError(
                f"{path}: line {number} has the {column} {cell!r}, which names none; write one "
                "name for all such, such as Other"
            )
    return tuple(row[column] for row in rows)


def _check_unique(path: Path, labels: Sequence[str]) -> None:
    lines: dict[str, int] = {}
    for number, label in enumerate(labels, start=2):
        first = lines.setdefault(label, number)
        if first != number:
            raise InputError(
                f"{path}: lines {first} and {number} are both {label!r}; region names must differ"
            )


def _hemispheres(path: Path, rows: Sequence[dict[str, str]]) -> tuple[str, ...]:
    if "hemisphere" not in rows[0]:
        return ("B",) * len(rows)
    for number, row in enumerate(rows, start=2):
        if row["hemisphere"] not in HEMISPHERES:
            raise InputError(
                f"{path}: line {number} has hemisphere {row['hemisphere']!r}; give L, R or B"
            )
    return tuple(row["hemisphere"] for row in rows)


def _centroids(
    path: Path, rows: Sequence[dict[str, str]]
) -> tuple[tuple[float, float, float], ...] | None:
    if "x" not in rows[0]:
        return None
    points = []
    for number, row in enumerate(rows, start=2):
        x, y, z = (_millimetres(path, number, name, row[name]) for name in COORDINATES)
        points.append((x, y, z))
    return tuple(points)


def _millimetres(path: Path, number: int, column: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{path}: line {number} has {column} {cell!r}; give a number of mm")
    return value
