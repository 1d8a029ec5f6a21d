"""One array of one file: .npy, .npz, .mat, .tsv and .csv."""

import csv
import warnings
import zipfile
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.readers.errors import reading
from fmri_descriptors.readers.limits import MAX_VALUES, check_declared, check_size
from fmri_descriptors.readers.selection.content import check_content

if TYPE_CHECKING:
    from pandas import DataFrame, Series

EMPTY_CELLS = frozenset({"", "n/a", "na", "nan", "none"})
"""What stands for a missing entry of a table, in lower case."""

_BYTES_A_VALUE = 2  # of a table of text: a digit and what follows it

SUFFIXES = (".csv", ".mat", ".npy", ".npz", ".tsv")


def read_array(path: Path, parcellation: Parcellation, key: str | None = None) -> NDArray[Any]:
    """Return the series of one file, (T, N).

    Parameters
    ----------
    path : Path
        A ``.npy`` or ``.npz`` array; a ``.mat`` file; or a ``.tsv`` / ``.csv`` table whose header
        holds the region labels in the parcellation's order.
    parcellation : Parcellation
        The regions that a header must name.
    key : str, optional
        Variable of a ``.mat`` or ``.npz`` file; without it, its only 2-D numeric array.

    Raises
    ------
    InputError
        If the file is missing, unreadable, of another kind, or its header disagrees.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        *others, last = SUFFIXES
        raise InputError(
            f"{path}: files of kind {suffix!r} are not read; give {', '.join(others)} or {last}"
        )
    check_content(path)
    if suffix == ".npy":
        return _read_npy(path, parcellation)
    if suffix == ".npz":
        return _read_npz(path, key, parcellation)
    if suffix == ".mat":
        return read_mat(path, key, parcellation)
    return _read_text(path, parcellation, "\t" if suffix == ".tsv" else ",")


def _read_npy(path: Path, parcellation: Parcellation) -> NDArray[Any]:
    # `np.load` would also open archives and, by their looks, pickles.
    with reading(path, "a .npy array"), path.open("rb") as file:
        shape, dtype = _npy_header(file)
        if not dtype.hasobject:  # objects are refused by numpy
            check_declared(path, shape, parcellation)
        file.seek(0)
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type that a .npy file declares."""
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0
    shape, _, dtype = (header if version == (1, 0) else np.lib.format.read_array_header_2_0)(file)
    return shape, dtype


def _read_npz(path: Path, key: str | None, parcellation: Parcellation) -> NDArray[Any]:
    with reading(path, "a .npz archive"), zipfile.ZipFile(path) as archive:
        declared = {}
        for name in archive.namelist():
            if name.endswith(".npy"):
                with archive.open(name) as file:
                    declared[name.removesuffix(".npy")] = _npy_header(file)
        series = [name for name, head in declared.items() if _is_series(*head)]
        if not series and any(dtype.hasobject for _, dtype in declared.values()):
            raise ValueError("holds objects, which are not read: allow_pickle=False")
        chosen = _chosen(path, series, key)
        check_declared(path, declared[chosen][0], parcellation)
        with archive.open(f"{chosen}.npy") as file:
            values = np.lib.format.read_array(file, allow_pickle=False)
            file.read()  # to the end, where the checksum is compared
        return np.asarray(values)


def read_mat(
    path: Path, key: str | None = None, parcellation: Parcellation | None = None
) -> NDArray[Any]:
    """Return one variable of a MATLAB file, (rows, columns) as MATLAB shows it.

    Parameters
    ----------
    path : Path
        The file, of any version.
    key : str, optional
        Name of the variable; without it, the only 2-D numeric array of the file.
    parcellation : Parcellation, optional
        The regions that its columns must be; compared before the variable is read.

    Raises
    ------
    InputError
        If the file is unreadable or the variable is not there, too large, or of other regions.
    """
    from scipy.io.matlab import matfile_version

    check_content(path)
    with reading(path, "a MATLAB file"):
        major, _ = matfile_version(path)
        shapes = _shapes_v73(path) if major == 2 else _shapes_older(path)
        chosen = _chosen(path, list(shapes), key)
        if parcellation is None:
            check_size(path, shapes[chosen])
        else:
            check_declared(path, shapes[chosen], parcellation)
        return _load_v73(path, chosen) if major == 2 else _load_older(path, chosen)


def _shapes_older(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the 2-D numeric arrays by name, with nothing read but their headers."""
    from scipy.io import whosmat

    found = [
        (name, shape)
        for name, shape, kind in whosmat(path)
        if _is_matrix(shape) and (kind in {"double", "single"} or "int" in kind)
    ]
    shapes = dict(found)
    if len(shapes) < len(found):
        raise ValueError("a variable occurs twice")
    return shapes


def _load_older(path: Path, name: str) -> NDArray[Any]:
    from scipy.io import loadmat

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # scipy's doubts whether it reads rightly
        return np.asarray(loadmat(path, variable_names=[name])[name])


def _shapes_v73(path: Path) -> dict[str, tuple[int, ...]]:
    import h5py

    texts = (b"char", b"logical", b"cell")
    with h5py.File(path) as file:
        # HDF5 counts dimensions from the other end than MATLAB does.
        return {
            name: item.shape[::-1]
            for name, item in file.items()
            if isinstance(item, h5py.Dataset)
            and item.attrs.get("MATLAB_class") not in texts
            and "MATLAB_empty" not in item.attrs
            and _is_series(item.shape, item.dtype)
        }


def _load_v73(path: Path, name: str) -> NDArray[Any]:
    import h5py

    with h5py.File(path) as file:
        return np.asarray(file[name][()]).T


def _chosen(path: Path, series: Sequence[str], key: str | None) -> str:
    """Name of the array that is read, of those that could be series."""
    found = ", ".join(sorted(series)) or "none"
    if key is not None and key not in series:
        raise InputError(f"{path}: no 2-D numeric array named {key!r}; found: {found}")
    if key is None and len(series) != 1:
        raise InputError(
            f"{path}: one 2-D numeric array is needed, found: {found}; keep one, "
            "or name it by the column key of a scans table"
        )
    return key or series[0]


def _is_series(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "fiu" and _is_matrix(shape)


def _is_matrix(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and min(shape) > 1


def _read_text(path: Path, parcellation: Parcellation, separator: str) -> NDArray[np.float64]:
    table = read_text_table(path, separator)
    _check_header(path, [str(name) for name in table.columns], parcellation)
    return numeric_columns(path, table, parcellation.labels)


def read_text_table(path: Path, separator: str) -> "DataFrame":
    """Return a table of text, indexed by line number, every cell still a string.

    The first line is the header.

    Raises
    ------
    InputError
        If the file is no such table, a line is shorter or longer than the header, or the last one
        was cut off.
    """
    import pandas as pd

    text = _text_of(path)
    (_, header), *rows = _lines(path, text, separator)
    for line, cells in rows:
        if len(cells) != len(header):
            raise InputError(
                f"{path}: line {line} has {len(cells)} cells, but the header has {len(header)}; "
                "the file may be cut short, so export it again"
            )
    if not text.endswith(("\n", "\r")):
        # A number that lost its last digits is a number still.
        raise InputError(f"{path}: no line end after the last line; it may be cut short")
    lines = [line for line, _ in rows]
    return pd.DataFrame([cells for _, cells in rows], index=lines, columns=header, dtype=str)


def _text_of(path: Path) -> str:
    size = path.stat().st_size
    if size > MAX_VALUES * _BYTES_A_VALUE:
        raise InputError(
            f"{path}: a table of {size:,} bytes; at most {MAX_VALUES * _BYTES_A_VALUE:,} are read, "
            "so export it as .npy"
        )
    with reading(path, f"a {path.suffix} table"):
        return path.read_text(encoding="utf-8-sig")


def _lines(path: Path, text: str, separator: str) -> list[tuple[int, list[str]]]:
    """Return line number and cells of every line that is not blank, the header's first."""
    reader = csv.reader(StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    with reading(path, f"a {path.suffix} table"):
        lines = [(reader.line_num, cells) for cells in reader if cells]
    if not lines:
        raise InputError(f"{path}: the table is empty; export it again")
    return lines


def numeric_columns(path: Path, table: "DataFrame", names: Sequence[str]) -> NDArray[np.float64]:
    """Return columns of a table of text as numbers, (lines, names); empty cells are NaN.

    Raises
    ------
    InputError
        If a cell is neither a number nor empty.
    """
    return np.stack([_numbers(path, name, table[name]) for name in names], axis=1)


def _check_header(path: Path, header: list[str], parcellation: Parcellation) -> None:
    labels = list(parcellation.labels)
    if header == labels:
        return
    if len(header) != len(labels):
        raise InputError(
            f"{path}: {len(header)} columns, but parcellation '{parcellation.name}' has "
            f"{len(labels)} regions; the first line must name each region once"
        )
    if sorted(header) == sorted(labels):
        raise InputError(
            f"{path}: its columns are the regions of '{parcellation.name}' in another order; "
            "write them in the parcellation's order"
        )
    column = next(i for i, name in enumerate(header) if name != labels[i])
    raise InputError(
        f"{path}: column {column + 1} is headed {header[column]!r}, but region {column + 1} of "
        f"'{parcellation.name}' is {labels[column]!r}; head the columns with the region labels"
    )


def _numbers(path: Path, label: str, cells: "Series[str]") -> NDArray[np.float64]:
    import pandas as pd

    present = ~cells.str.strip().str.lower().isin(EMPTY_CELLS).to_numpy()
    numbers = pd.to_numeric(cells.where(present), errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.isnan(numbers) & present
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"{path}: line {cells.index[row]}, column {label}: {cells.iloc[row]!r} is not a "
            "number; correct the cell, or leave it empty if the value is missing"
        )
    return numbers
