"""Reading what may be broken: files of other stages, of other versions, or of another kind."""

import contextlib
import json
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from fmri_vqtok.errors import InputError

if TYPE_CHECKING:
    from datasets import DatasetDict
    from torch import Tensor

_FAULTS = (
    OSError,
    ValueError,  # JSON, text encoding, Arrow
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,  # weights of another shape
    SafetensorError,
    UserWarning,  # where a reader has made a warning an error
)
"""What the libraries that we read with raise on a file that is cut off or of another kind."""


@contextlib.contextmanager
def reading(thing: object, fix: str) -> Iterator[None]:
    """Tell in one line what could not be read inside this context.

    Parameters
    ----------
    thing : object
        What is read, for the message: a path, usually.
    fix : str
        What to do if it cannot be read.

    Raises
    ------
    InputError
        In place of what a library raises on a broken file; an InputError goes on as it is.
    """
    try:
        yield
    except InputError:
        raise
    except _FAULTS as error:
        why = textwrap.shorten(str(error), 160, placeholder=" ...")
        raise InputError(
            f"{thing}: cannot be read ({type(error).__name__}: {why}); {fix}"
        ) from error


def read_description(
    path: Path, newest: int, fix: str, *, keys: Sequence[str] = (), package: str = "fmri-vqtok"
) -> dict[str, Any]:
    """Read the JSON file that says what an artefact is, if this version of the package can.

    Parameters
    ----------
    path : Path
        The JSON file; its key "schema" is the version of the layout.
    newest : int
        Newest layout that can be read.
    fix : str
        What to do if there is no such file, or it describes something else.
    keys : sequence of str, optional
        What else has to be in it.
    package : str, default="fmri-vqtok"
        What to upgrade if the layout is newer.

    Raises
    ------
    InputError
        If the file is missing, broken, of a newer layout, or lacks a key.
    """
    if not path.is_file():
        raise InputError(f"{path.parent}: no {path.name}; {fix}")
    with reading(path, fix):
        description = json.loads(path.read_text(encoding="utf-8"))
    check_keys(description, ["schema"], path, fix)
    found = description["schema"]
    if not isinstance(found, int) or found > newest:
        raise InputError(
            f"{path}: schema {found}, but this version reads up to {newest}; upgrade {package}"
        )
    check_keys(description, keys, path, fix)
    return description


def read_rows(path: Path, fix: str, *, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of a file with one JSON mapping a line.

    Parameters
    ----------
    path : Path
    fix : str
        What to do if it cannot be read.
    keys : sequence of str
        What each row has to have.

    Raises
    ------
    InputError
        If the file is missing or broken, or a row lacks a key.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; {fix}")
    rows = []
    with reading(path, fix):
        # Not splitlines: a rewritten text may hold U+2028, which JSON leaves as it is.
        lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, start=1):
        if line:
            with reading(f"{path}, line {number}", fix):
                row = json.loads(line)
            check_keys(row, keys, f"{path}, line {number}", fix)
            rows.append(row)
    return rows


def read_weights(path: Path, fix: str) -> "dict[str, Tensor]":
    """Tensors of a safetensors file by name.

    Raises
    ------
    InputError
        If the file is missing or broken.
    """
    from safetensors.torch import load_file

    if not path.is_file():
        raise InputError(f"{path.parent}: no {path.name}; {fix}")
    with reading(path, fix):
        return load_file(path)


def read_splits(directory: Path, columns: Sequence[str], fix: str) -> "DatasetDict":
    """Open a dataset directory with one table a split.

    Parameters
    ----------
    directory : Path
    columns : sequence of str
        The columns that are kept; each split has to have them.
    fix : str
        What to do if it cannot be read.

    Raises
    ------
    InputError
        If there is no such directory, it is broken, or it has other columns or no splits.
    """
    from datasets import DatasetDict, load_from_disk

    with reading(directory, fix):
        tables = load_from_disk(str(directory))
        if not isinstance(tables, DatasetDict) or not tables:
            raise InputError(f"{directory}: a dataset without splits; {fix}")
        return tables.select_columns(list(columns))


def check_keys(found: object, keys: Sequence[str], thing: object, fix: str) -> None:
    """Refuse what is no mapping, or one that lacks a key.

    Raises
    ------
    InputError
    """
    if not isinstance(found, dict):
        raise InputError(f"{thing}: a {type(found).__name__} instead of a mapping; {fix}")
    for key in keys:
        if key not in found:
            raise InputError(f"{thing}: no '{key}' in it; {fix}")
