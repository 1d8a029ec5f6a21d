"""Broken files, and files of another kind, as one line for the user."""

import contextlib
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from fmri_vqtok.errors import InputError

if TYPE_CHECKING:
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
    """Turn what libraries raise on a broken file inside this context into one line.

    Parameters
    ----------
    thing : object
        What is read, for the message: a path, usually.
    fix : str
        What to do if it cannot be read.

    Raises
    ------
    InputError
        In place of what a library raises; an InputError is raised as it is.
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
