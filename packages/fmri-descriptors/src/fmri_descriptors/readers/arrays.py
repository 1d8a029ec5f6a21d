"""One array of one file: .npy, .mat, .tsv and .csv."""

import csv
import struct
import tokenize
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation import Parcellation

if TYPE_CHECKING:
    import pandas as pd

# What numpy, scipy and pandas raise on files that are cut short or of another kind.
_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    MemoryError,
    OverflowError,
    NotImplementedError,
    UnicodeError,
    struct.error,
    tokenize.TokenError,
    zlib.error,
)

EMPTY_CELLS = frozenset({"", "n/a", "na", "nan", "none"})
"""What stands for a missing entry of a table, in lower case."""

SUFFIXES = (".csv", ".mat", ".npy", ".tsv")


def read_array(path: Path, parcellation: Parcellation, key: str | None = None) -> NDArray[Any]:
    """Return the series of one file, (T, N).

    Parameters
    ----------
    path : Path
        A ``.npy`` array; a ``.mat`` file (before v7.3); or a ``.tsv`` / ``.csv`` table whose
        header holds the region labels in the parcellation's order.
    parcellation : Parcellation
        The regions that a header must name.
    key : str, optional
        Variable of a ``.mat`` file; without it, its only 2-D numeric array.

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
    if suffix == ".mat":
        return read_mat(path, key)
    return _read_text(path, parcellation, "\t" if suffix == ".tsv" else ",")


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _unreadable(path: Path, kind: str, error: Exception) -> InputError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return InputError(f"{path}: cannot be read as {kind} ({reason}); export it again")


def _read_npy(path: Path) -> NDArray[Any]:
    # `np.load` would also open archives and, by their looks, pickles.
    try:
        with path.open("rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except _UNREADABLE as error:
        raise _unreadable(path, "a .npy array", error) from error


def read_mat(path: Path, key: str | None = None) -> NDArray[Any]:
    """Return one variable of a MATLAB file (before v7.3), as it is stored.

    Parameters
    ----------
    path : Path
        The file.
    key : str, optional
        Name of the variable; without it, the only 2-D numeric array of the file.

    Raises
    ------
    InputError
        If the file is unreadable or the variable is not there.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(path)
    except (*_UNREADABLE, MatReadError) as error:
        raise _unreadable(path, "a MATLAB file before v7.3", error) from error
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
    import pandas as pd

    (_, header), *rows = _lines(path, separator)
    _check_header(path, header, parcellation)
    _check_lengths(path, len(header), rows)
    table = pd.DataFrame([cells for _, cells in rows], columns=header, dtype=str)
    lines = [line for line, _ in rows]
    columns = [_numbers(path, label, table[label], lines) for label in parcellation.labels]
    return np.stack(columns, axis=1)


def _lines(path: Path, separator: str) -> list[tuple[int, list[str]]]:
    """Return line number and cells of every line that is not blank, the header's first."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True)
            lines = [(reader.line_num, cells) for cells in reader if cells]
    except (*_UNREADABLE, csv.Error) as error:
        raise _unreadable(path, f"a {path.suffix} table", error) from error
    if not lines:
        raise InputError(f"{path}: the table is empty; export it again")
    return lines


def _check_lengths(path: Path, n_columns: int, rows: list[tuple[int, list[str]]]) -> None:
    for line, cells in rows:
        if len(cells) != n_columns:
            raise InputError(
                f"{path}: line {line} has {len(cells)} cells, but the header has {n_columns}; "
                "give every frame one cell a region"
            )


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


def _numbers(path: Path, label: str, cells: "pd.Series[str]", lines: list[int]) -> Any:
    import pandas as pd

    present = ~cells.str.strip().str.lower().isin(EMPTY_CELLS)
    numbers = pd.to_numeric(cells.where(present), errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.isnan(numbers) & present.to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"{path}: line {lines[row]}, column {label}: {cells.iloc[row]!r} is not a number; "
            "correct the cell, or empty it if the value is missing"
        )
    return numbers
