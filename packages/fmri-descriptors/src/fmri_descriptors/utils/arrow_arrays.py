"""Arrays inside Arrow columns of nested lists: numpy to Arrow, and back, without Python lists."""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pyarrow import Array, ChunkedArray, DataType


def matrices(column: "ChunkedArray") -> Iterator[NDArray[Any]]:
    """Yield every cell of a column of lists of equal lists as a read-only (T, N) view.

    Parameters
    ----------
    column : ChunkedArray
        Lists of lists of numbers, of fixed or varying size, with or without the extension type
        that `datasets` gives them.

    Raises
    ------
    ValueError
        If a cell is missing, holds a missing number, or its lists differ in length.
    """
    for chunk in column.chunks:
        yield from _matrices_of(chunk)


def _matrices_of(chunk: "Array") -> Iterator[NDArray[Any]]:
    outer = getattr(chunk, "storage", chunk)
    inner = outer.values
    if not hasattr(inner, "values"):
        raise ValueError("an array of one dimension instead of two")
    if outer.null_count or inner.null_count or inner.values.null_count:
        raise ValueError("a missing value among the arrays")
    values = inner.values.to_numpy(zero_copy_only=True)
    rows, cells = _offsets(outer), _offsets(inner)
    for first, last in pairwise(rows):
        bounds = cells[first : last + 1]
        widths = np.diff(bounds)
        if len(widths) and (widths != widths[0]).any():
            raise ValueError("an array whose rows differ in length")
        width = int(widths[0]) if len(widths) else 0
        yield values[bounds[0] : bounds[-1]].reshape(last - first, width)


def _offsets(lists: "Array") -> NDArray[np.int64]:
    """Where each list begins and the last one ends, among all values of the array."""
    import pyarrow as pa

    if pa.types.is_fixed_size_list(lists.type):
        return (np.arange(len(lists) + 1) + lists.offset) * lists.type.list_size
    return np.asarray(lists.offsets, dtype=np.int64)


def cell(value: Any, kind: "DataType") -> "Array":
    """Return a column of one cell.

    Parameters
    ----------
    value : Any
        A (T, N) array where the type is an extension of lists of lists, else a plain value.
    kind : DataType
        Type of the column.
    """
    import pyarrow as pa

    if not isinstance(kind, pa.ExtensionType):
        return pa.array([value], kind)
    n_rows, width = value.shape
    numbers = pa.array(np.ascontiguousarray(value).ravel())
    bounds = pa.array(np.arange(n_rows + 1, dtype=np.int32) * width, pa.int32())
    lists = pa.ListArray.from_arrays(bounds, numbers, type=kind.storage_type.value_type)
    ends = pa.array([0, n_rows], pa.int32())
    return pa.ExtensionArray.from_storage(
        kind, pa.ListArray.from_arrays(ends, lists, type=kind.storage_type)
    )
