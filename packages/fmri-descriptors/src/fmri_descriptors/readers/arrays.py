"""One array of one file: .npy, .npz, .mat, .tsv and .csv."""

import csv
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation import Parcellation
from fmri_descriptors.readers.mat_tags import real_variables

if TYPE_CHECKING:
    from pandas import DataFrame, Series

# What numpy, scipy, h5py and pandas raise on files that are cut short or of another kind.
UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    MemoryError,
    OverflowError,
    RuntimeError,
    UnicodeError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)

EMPTY_CELLS = frozenset({"", "n/a", "na", "nan", "none"})
"""What stands for a missing entry of a table, in lower case."""

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
        raise InputError(f"{path}: files of kind {suffix!r} are not read; give {_listed(SUFFIXES)}")
    if not path.is_file():
        raise InputError(f"{path}: no such file; correct the path")
    if suffix == ".npy":
        return _read_npy(path)
    if suffix == ".npz":
        return _only(path, _read_npz(path), key)
    if suffix == ".mat":
        return read_mat(path, key)
    return _read_text(path, parcellation, "\t" if suffix == ".tsv" else ",")


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def unreadable(path: Path, kind: str, error: Exception) -> InputError:
    """Return the error that says, in one line, of what kind a file is not."""
    reason = (str(error).splitlines() or [""])[0] or type(error).__name__
    return InputError(f"{path}: cannot be read as {kind} ({reason}); export it again")


def _read_npy(path: Path) -> NDArray[Any]:
    # `np.load` would also open archives and, by their looks, pickles.
    try:
        with path.open("rb") as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    except UNREADABLE as error:
        raise unreadable(path, "a .npy array", error) from error


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"{damaged} is damaged")
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except UNREADABLE as error:
        raise unreadable(path, "a .npz archive", error) from error


def read_mat(path: Path, key: str | None = None) -> NDArray[Any]:
    """Return one variable of a MATLAB file, (rows, columns) as MATLAB shows it.

    Parameters
    ----------
    path : Path
        The file, of any version.
    key : str, optional
        Name of the variable; without it, the only 2-D numeric array of the file.

    Raises
    ------
    InputError
        If the file is unreadable or the variable is not there.
    """
    from scipy.io.matlab import MatReadError, matfile_version

    try:
        major, _ = matfile_version(path)
        content = _read_mat_v73(path) if major == 2 else _read_mat_older(path, major)
    except (*UNREADABLE, MatReadError, UserWarning) as error:
        raise unreadable(path, "a MATLAB file", error) from error
    return _only(path, content, key)


def _read_mat_older(path: Path, major: int) -> dict[str, Any]:
    from scipy.io import loadmat

    names = real_variables(path) if major == 1 else None
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # scipy's doubts whether it reads rightly
        return dict(loadmat(path, variable_names=names))


def _read_mat_v73(path: Path) -> dict[str, Any]:
    import h5py

    texts = (b"char", b"logical", b"cell")
    with h5py.File(path) as file:
        # HDF5 counts dimensions from the other end than MATLAB does.
        return {
            name: item[()].T
            for name, item in file.items()
            if isinstance(item, h5py.Dataset)
            and item.attrs.get("MATLAB_class") not in texts
            and "MATLAB_empty" not in item.attrs
        }


def _only(path: Path, content: Mapping[str, Any], key: str | None) -> NDArray[Any]:
    arrays = {
        name: value
        for name, value in content.items()
        if not name.startswith("__") and _is_series(value)
    }
    if key is not None:
        if key not in arrays:
            found = ", ".join(sorted(arrays)) or "none"
            raise InputError(f"{path}: no 2-D numeric array named {key!r}; found: {found}")
        return arrays[key]
    if len(arrays) != 1:
        found = ", ".join(sorted(arrays)) or "none"
        raise InputError(f"{path}: one 2-D numeric array is needed, found: {found}; name it by key")
    return next(iter(arrays.values()))


def _is_series(value: Any) -> bool:
    numeric = isinstance(value, np.ndarray) and value.dtype.kind in "fiu"
    return numeric and value.ndim == 2 and min(value.shape) > 1


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
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise unreadable(path, f"a {path.suffix} table", error) from error


def _lines(path: Path, text: str, separator: str) -> list[tuple[int, list[str]]]:
    """Return line number and cells of every line that is not blank, the header's first."""
    reader = csv.reader(StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        lines = [(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as error:
        raise unreadable(path, f"a {path.suffix} table", error) from error
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
