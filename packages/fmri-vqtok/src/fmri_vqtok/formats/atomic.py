"""Files and folders that have their name only when they are whole."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside its final name and rename it when the context ends without an error.

    A reader sees the old file or the whole new one, also where several processes write it.

    Parameters
    ----------
    path : Path
        In an existing folder; replaced if it exists.

    Yields
    ------
    BinaryIO
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Fill a folder beside its final name and rename it when the context ends without an error.

    One process at a time: what a killed one left is removed first.

    Parameters
    ----------
    path : Path
        Replaced if it exists.

    Yields
    ------
    Path
        The folder to fill; it is not there yet.
    """
    part, replaced = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.replaced")
    for leftover in (part, replaced):
        shutil.rmtree(leftover, ignore_errors=True)
    yield part
    if path.exists():
        path.rename(replaced)
    part.rename(path)
    shutil.rmtree(replaced, ignore_errors=True)
