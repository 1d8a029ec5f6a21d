"""Scans in Arrow or Parquet files with the columns of the brainmarks suite."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.readers.base import ReadOptions, Recording, Rejected, Source
from fmri_descriptors.readers.errors import reading
from fmri_descriptors.readers.participants.subjects import SESSION, canonical_label
from fmri_descriptors.readers.repetition_time import agreed_tr
from fmri_descriptors.readers.selection.content import check_content, files_below
from fmri_descriptors.readers.tables.arrow_columns import (
    Cell,
    dropped_columns,
    label,
    plain_columns,
)
from fmri_descriptors.readers.tables.columns import Column, typed_column
from fmri_descriptors.utils.arrow_arrays import matrices
from fmri_descriptors.utils.files import read_json

if TYPE_CHECKING:
    from pyarrow import Schema, Table
    from pyarrow.parquet import ParquetFile

NEEDED = ("sub", "bold", "mean", "std")
_KNOWN = {*NEEDED, "scan_id", "ses", "site", "path", "start", "end", "n_frames", "tr", "split"}


def arrow_source(path: Path, options: ReadOptions) -> Source:
    """Return the recordings of a dataset directory, or of Arrow and Parquet files.

    Parameters
    ----------
    path : Path
        A folder that `datasets` saved, a folder of ``.arrow`` or ``.parquet`` files, or one such
        file, with the columns ``sub``, ``bold`` (T, N), ``mean`` and ``std`` (N values each), and
        where they are known ``scan_id``, ``ses``, ``site`` and ``tr`` (s). Raw values are
        ``bold * std + mean``. Every other column of numbers or texts is a phenotype.
    options : ReadOptions
        ``tr`` is that of every scan.

    Returns
    -------
    Source
        A file that is damaged, not there or without a needed column is in ``rejected``, and so is
        a row without a subject or repetition time.

    Raises
    ------
    InputError
        If there is no such file, or files have different columns.
    """
    files = data_files(path)
    if not files:
        raise InputError(f"{path}: no .arrow or .parquet file; give another folder")
    parcellation, order_hash = _region_order(path)
    recordings: list[Recording] = []
    rejected: list[Rejected] = []
    dropped: dict[str, str] = {}
    for file in files:
        name = file.relative_to(path if path.is_dir() else path.parent).as_posix()
        try:
            check_content(file, name)
            rows, without = _rows_without_series(file)
        except InputError as error:
            rejected.append(Rejected(name, str(error)))
            continue
        dropped |= without
        for row, cells in enumerate(rows):
            try:
                recordings.append(_recording(file, name, row, cells, options, order_hash))
            except InputError as error:
                rejected.append(Rejected(f"{name}#{row}", str(error), label(cells, "scan_id")))
    _check_columns(path, recordings)
    columns = _columns(recordings, note_numbers=parcellation is None)
    return Source(
        path.name,
        tuple(
            replace(recording, phenotypes={name: c.values[i] for name, c in columns.items()})
            for i, recording in enumerate(recordings)
        ),
        tuple(files),
        rejected=tuple(rejected),
        unit="rows",
        parcellation=parcellation,
        columns=columns,
        dropped_columns=dropped,
        notes=(
            *(f"column {name!r} left out: {reason}" for name, reason in dropped.items()),
            *(note for column in columns.values() for note in column.notes),
        ),
    )


def _columns(recordings: list[Recording], *, note_numbers: bool) -> dict[str, Column]:
    names = recordings[0].phenotypes if recordings else {}
    values = {name: [r.phenotypes[name] for r in recordings] for name in names}
    return {name: typed_column(name, v, note_numbers=note_numbers) for name, v in values.items()}


def _check_columns(path: Path, recordings: list[Recording]) -> None:
    for recording in recordings:
        odd = set(recording.phenotypes) ^ set(recordings[0].phenotypes)
        if odd:
            raise InputError(
                f"{path}: column {min(odd)!r} is in some of its files only; give all the same"
            )


def data_files(path: Path) -> list[Path]:
    """Return the files of a dataset directory that hold rows, in a fixed order.

    Raises
    ------
    InputError
        If the directory's own list of its files is damaged, or names one outside of it.
    """
    if path.is_file():
        return [path]
    if (path / "dataset_dict.json").is_file():
        splits = read_json(path / "dataset_dict.json").get("splits")
        if not isinstance(splits, list):
            raise InputError(f"{path / 'dataset_dict.json'}: lists no splits; save it again")
        return [file for split in splits for file in data_files(_inside(path, str(split)))]
    if (path / "state.json").is_file():
        return list(_saved_files(path))
    found, _ = files_below(path)
    return [file for file in found if file.suffix.lower() in {".arrow", ".parquet"}]


def _inside(folder: Path, name: str) -> Path:
    if name in {".", ".."} or Path(name).name != name:
        raise InputError(f"{folder}: its list names {name!r}, outside of it; save it again")
    return folder / name


def _saved_files(folder: Path) -> Iterator[Path]:
    listed = read_json(folder / "state.json").get("_data_files")
    if not isinstance(listed, list):
        raise InputError(f"{folder / 'state.json'}: lists no data files; save the dataset again")
    for entry in listed:
        yield _inside(folder, str(entry.get("filename") if isinstance(entry, dict) else entry))


def _region_order(path: Path) -> tuple[str | None, str | None]:
    """Name and hash of the regions' order, if the folder is a cohort of this project."""
    if not (path / "cohort.json").is_file():
        return None, None
    document = read_json(path / "cohort.json")
    return str(document.get("parcellation")), str(document.get("order_hash"))


def _rows_without_series(path: Path) -> tuple[list[dict[str, Cell]], dict[str, str]]:
    """Cells of every row, and the columns that can be no phenotype with the reason."""
    with reading(path, "an Arrow or Parquet table"):
        stat = path.stat()
        parquet = _is_parquet(path)
        table = None if parquet else _open_table(path, stat.st_size, stat.st_mtime_ns)
        schema = _parquet(path).schema_arrow if table is None else table.schema
        turns = _checked_columns(path, schema)
        rows = _parquet(path).read(columns=list(turns)) if table is None else table.select(turns)
        plain = [{name: turns[name](row[name]) for name in turns} for row in rows.to_pylist()]
        dropped = dropped_columns(schema)
        return plain, {name: dropped[name] for name in dropped if name not in _KNOWN}


def _checked_columns(path: Path, schema: "Schema") -> dict[str, Callable[[Any], Cell]]:
    missing = [name for name in NEEDED if name not in schema.names]
    if missing:
        raise InputError(f"{path}: no column {missing[0]!r}; a scan needs {', '.join(NEEDED)}")
    plain = plain_columns(schema)
    if "sub" not in plain or plain.keys() & NEEDED[1:]:
        raise InputError(f"{path}: 'sub' must be text, and bold, mean and std arrays; correct it")
    return plain


def _recording(
    path: Path,
    name: str,
    row: int,
    cells: Mapping[str, Cell],
    options: ReadOptions,
    order_hash: str | None,
) -> Recording:
    subject, session = label(cells, "sub"), label(cells, "ses")
    if subject is None:
        raise InputError(f"row {row} has no sub; fill the column")
    return Recording(
        path=path,
        name=f"{name}#{row}",
        scan_id=label(cells, "scan_id") or _scan_id(subject, session, cells),
        subject=subject,
        session=session,
        site=label(cells, "site"),
        tr=agreed_tr({"the column tr": cells.get("tr"), "--tr": options.tr}),
        read=partial(read_row, row=row, order_hash=order_hash),
        phenotypes={key: cells[key] for key in cells if key not in _KNOWN},
    )


def _scan_id(subject: str, session: str | None, cells: Mapping[str, Cell]) -> str:
    parts = [f"sub-{canonical_label(subject)}"]
    if session is not None:
        parts.append(f"ses-{canonical_label(session, SESSION)}")
    if cells.get("path"):
        parts.append(str(cells["path"]).rpartition("/")[2].partition(".")[0])
    if cells.get("start"):
        parts.append(f"from-{label(cells, 'start')}")
    return "_".join(parts)


def read_row(
    path: Path, parcellation: Parcellation, row: int, order_hash: str | None = None
) -> NDArray[np.float64]:
    """Return the series of one row in raw units, (T, N); a region with ``std`` 0 is NaN.

    Raises
    ------
    InputError
        If the file is damaged, the row's arrays do not fit together, or the file was written in
        another region order than the parcellation's.
    """
    if order_hash is not None and order_hash != parcellation.order_hash:
        raise InputError(
            f"{path}: regions in the order {order_hash}, but '{parcellation.name}' has "
            f"{parcellation.order_hash}; name the parcellation of the series"
        )
    with reading(path, f"rows of scans (row {row})"):
        bold, mean, std = (_cell(path, name, row) for name in ("bold", "mean", "std"))
    if not mean.shape == std.shape == (1, bold.shape[1]):
        raise InputError(
            f"{path}: row {row} has bold {bold.shape}, mean {mean.shape} and std {std.shape}; "
            "give (T, N), (1, N) and (1, N)"
        )
    if not (std >= 0).all():
        raise InputError(f"{path}: row {row} has a std that is negative or missing; correct it")
    return np.where(std == 0, np.nan, bold * std + mean)


def _cell(path: Path, name: str, row: int) -> NDArray[np.float64]:
    stat = path.stat()
    version = (path, stat.st_size, stat.st_mtime_ns)
    if _is_parquet(path):
        group, row = _group_of(_parquet(path), row)
        column = _open_group(*version, group).column(name)
    else:
        column = _open_table(*version).column(name)
    return next(matrices(column.slice(row, 1))).astype(np.float64)


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _parquet(path: Path) -> "ParquetFile":
    import pyarrow.parquet as pq

    return pq.ParquetFile(path, memory_map=True)


def _group_of(file: "ParquetFile", row: int) -> tuple[int, int]:
    """Row group of a row, and the row's number in it."""
    for group in range(file.num_row_groups):
        n_rows = file.metadata.row_group(group).num_rows
        if row < n_rows:
            return group, row
        row -= n_rows
    raise IndexError(f"no row {row}")


# Rows are asked for one after another, so what holds the last one is kept.
@lru_cache(maxsize=1)
def _open_group(path: Path, _size: int, _mtime_ns: int, group: int) -> "Table":
    return _parquet(path).read_row_group(group, columns=["bold", "mean", "std"])


@lru_cache(maxsize=2)
def _open_table(path: Path, _size: int, _mtime_ns: int) -> "Table":
    import pyarrow as pa

    mapped = pa.memory_map(str(path))
    if mapped.read(6) == b"ARROW1":
        return pa.ipc.open_file(mapped).read_all()
    mapped.seek(0)
    return pa.ipc.open_stream(mapped).read_all()
