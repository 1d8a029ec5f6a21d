"""Tables beside a recording with one line a frame: their length must be the recording's."""

import csv
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.readers.selection.bids_names import BidsName, parse_name
from fmri_descriptors.readers.selection.content import check_content

_ENDINGS = {".tsv", ".csv"}
_SUFFIXES = {
    *("outliers", "motion", "confounds", "regressors", "design"),
    *("tmask", "censoring", "framewisedisplacement"),
}


def frame_tables(path: Path) -> tuple[Path, ...]:
    """Return the tables of frames that lie beside a recording's file.

    These are ``.tsv`` and ``.csv`` files of the same recording called ``_outliers``, ``_motion``,
    ``_confounds``, ``_regressors``, ``_design``, ``_tmask``, ``_censoring`` or
    ``_framewisedisplacement``, or ``_desc-<what>_timeseries`` without a parcellation.

    Parameters
    ----------
    path : Path
        The recording's file.
    """
    parts = parse_name(path.name)
    if parts is None or "sub" not in parts.entities:
        return ()
    try:
        version = path.parent.stat().st_mtime_ns
    except OSError:
        return ()
    beside = _tables_of(path.parent, version).get(parts.key(), ())
    return tuple(table for table in beside if table != path)


@lru_cache(maxsize=8)
def _tables_of(folder: Path, _version: int) -> dict[str, tuple[Path, ...]]:
    """Tables of frames of a folder by recording; a folder is listed once for all its scans."""
    tables: dict[str, tuple[Path, ...]] = {}
    for table in sorted(folder.iterdir()):
        parts = parse_name(table.name) if table.suffix in _ENDINGS else None
        if parts is not None and _counts_frames(parts):
            tables[parts.key()] = (*tables.get(parts.key(), ()), table)
    return tables


def _counts_frames(parts: BidsName) -> bool:
    if parts.suffix == "timeseries":
        return "desc" in parts.entities and not {"atlas", "seg"} & set(parts.entities)
    return parts.suffix in _SUFFIXES


def check_frames(path: Path, n_frames: int) -> None:
    """Raise unless every table of frames beside a recording has one line a frame.

    Parameters
    ----------
    path : Path
        The recording's file.
    n_frames : int
        How many frames it has.

    Raises
    ------
    InputError
        If a table has more or fewer lines, or cannot be read.
    """
    for table in frame_tables(path):
        header, lines = _lines(table)
        if n_frames != lines and not (n_frames == lines + 1 and all(map(_is_number, header))):
            raise InputError(
                f"{table.name}: {lines} lines, but {path.name} has {n_frames} frames; frames were "
                "cut out of one of them, so give both with all frames, or remove the table"
            )


def _lines(table: Path) -> tuple[list[str], int]:
    """First line, which some tools leave without names, and number of lines after it."""
    check_content(table)
    separator = "," if table.suffix == ".csv" else "\t"
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            filled = (cells for cells in csv.reader(file, delimiter=separator) if cells)
            return next(filled, []), sum(1 for _ in filled)
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(f"{table.name}: cannot be read as a table ({error}); export it") from error


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def read_checked(
    path: Path,
    parcellation: Parcellation,
    read: Callable[[Path, Parcellation], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Return the series of a file, (T, N), if the tables of frames beside it have T lines.

    Parameters
    ----------
    path : Path
        The recording's file.
    parcellation : Parcellation
        The N regions.
    read : callable
        Takes the path and the parcellation, returns the series.

    Raises
    ------
    InputError
        If the series cannot be read, or a table has another number of lines.
    """
    series = read(path, parcellation)
    check_frames(path, len(series))
    return series
