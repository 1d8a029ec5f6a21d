"""The tags of a MATLAB 5 file, checked first: scipy takes them at their word, and can crash.

The numbers are those of "MAT-File Format" (The MathWorks), chapter "Version 5 MAT-File Format".
"""

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_HEADER = 128  # bytes before the first variable
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED, _UTF8 = 1, 5, 6, 14, 15, 16
_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}  # a value, by storage type
# By class of a numeric array, its own storage type; whole numbers may be stored in fewer bytes.
_OWN_TYPE = {6: 9, 7: 7, 8: 1, 9: 2, 10: 3, 11: 4, 12: 5, 13: 6, 14: 12, 15: 13}
_OPAQUE = 17  # a class that has neither shape nor name
_COMPLEX = 0x800
_OPENING = 4096  # bytes that hold class, shape and name of a variable; names have 63 letters
_MOST_COMPRESSED = 1032  # times; deflate cannot do better


@dataclass(frozen=True)
class _Element:
    """Storage type and place of some values, in bytes from where the variable begins."""

    kind: int
    start: int
    size: int
    next: int


def real_variables(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a file's real numeric arrays, safe to be read by `scipy.io.loadmat`.

    What is inside of other variables (texts, cells, structures) is not looked at, so that they
    must not be read.

    Parameters
    ----------
    path : Path
        A file whose `scipy.io.matlab.matfile_version` is 1.

    Raises
    ------
    ValueError
        If a tag is of no known kind, or a size contradicts the file or the array's shape.
    """
    with path.open("rb") as file:
        file.seek(_HEADER - 2)
        order = "<" if file.read(2) == b"IM" else ">"
        named = [_variable(*parts, order) for parts in _matrices(file, path.stat().st_size, order)]
    names = [name for name, _ in named]
    real = {name: shape for name, shape in named if shape is not None}
    repeated = [name for name in real if names.count(name) > 1]
    if repeated:
        raise ValueError(f"variable {repeated[0]} occurs twice")
    return real


def _matrices(file: BinaryIO, file_size: int, order: str) -> Iterator[tuple[bytes, int]]:
    """Yield the opening of every variable, and its size in bytes."""
    place = _HEADER
    while place < file_size:
        file.seek(place)
        kind, size = _tag(file.read(8), order)
        place += 8 + size
        if place > file_size:
            raise ValueError(f"a variable of {size} bytes reaches beyond the end of the file")
        opening = file.read(min(size, _OPENING))
        if kind == _COMPRESSED:
            opening = zlib.decompressobj().decompress(opening, _OPENING)
            most = size * _MOST_COMPRESSED
            kind, size = _tag(opening[:8], order)
            opening = opening[8:]
            if size > most:
                raise ValueError(f"a variable of {size} bytes is compressed beyond belief")
        if kind != _MATRIX:
            raise ValueError(f"a variable of kind {kind}; each must be an array")
        yield opening, size


def _tag(content: bytes, order: str) -> tuple[int, int]:
    if len(content) < 8:
        raise ValueError("a tag is cut short")
    kind, size = struct.unpack(f"{order}II", content)
    return kind, size


def _variable(opening: bytes, size: int, order: str) -> tuple[str, tuple[int, ...] | None]:
    """Name of a variable, and its shape if it is a real numeric array."""
    flags = _element(opening, 0, order)
    if (flags.kind, flags.size) != (_UINT32, 8):
        raise ValueError("a variable does not begin with its class")
    (word,) = struct.unpack_from(f"{order}I", opening, flags.start)
    of_class = word & 0xFF
    if of_class == _OPAQUE:
        return "None", None  # as scipy calls it
    shape = _element(opening, flags.next, order)
    lengths = _shape(opening, shape, order)
    label = _element(opening, shape.next, order)
    if label.kind not in {_INT8, _UTF8} or label.start + label.size > len(opening):
        raise ValueError("a variable's name cannot be read")
    name = opening[label.start : label.start + label.size].decode("latin1")
    if not name.isprintable():
        raise ValueError(f"a variable is called {name!r}")
    if not name or word & _COMPLEX or of_class not in _OWN_TYPE:
        return name, None
    _check_values(name, _element(opening, label.next, order), size, of_class, math.prod(lengths))
    return name, lengths


def _element(opening: bytes, place: int, order: str) -> _Element:
    kind, size = _tag(opening[place : place + 8], order)
    if not kind >> 16:
        return _Element(kind, place + 8, size, place + 8 + (size + 7) // 8 * 8)
    kind, size = kind & 0xFFFF, kind >> 16  # up to four bytes lie inside of the tag
    if size > 4:
        raise ValueError(f"a tag holds {size} bytes, more than the four it can")
    return _Element(kind, place + 4, size, place + 8)


def _shape(opening: bytes, shape: _Element, order: str) -> tuple[int, ...]:
    whole = shape.size % 4 == 0 and shape.start + shape.size <= len(opening)
    if shape.kind != _INT32 or shape.size < 8 or not whole:
        raise ValueError("a variable's shape cannot be read")
    lengths = struct.unpack_from(f"{order}{shape.size // 4}i", opening, shape.start)
    if min(lengths) < 0:
        raise ValueError(f"a variable has the shape {lengths}")
    return lengths


def _check_values(name: str, values: _Element, size: int, of_class: int, n_values: int) -> None:
    own = _OWN_TYPE[of_class]
    if values.kind != own and _BYTES.get(values.kind, 8) >= _BYTES[own]:
        raise ValueError(f"variable {name} of class {of_class} has values of type {values.kind}")
    if values.size != n_values * _BYTES[values.kind] or values.start + values.size > size:
        raise ValueError(
            f"variable {name} has {n_values} values, but {values.size} bytes of type {values.kind}"
        )
