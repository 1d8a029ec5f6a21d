"""Reading files of other libraries' kinds: their faults as one line, their warnings in the log."""

import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.parsers.expat import ExpatError

from fmri_descriptors.errors import InputError

_LOGGER = logging.getLogger("fmri_descriptors.readers")


def first_line(error: BaseException) -> str:
    """Return the first line of another library's message, or the name of its error."""
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


@contextmanager
def warnings_logged(name: str) -> Iterator[None]:
    """Turn warnings inside the block into warnings of the logger ``fmri_descriptors.readers``.

    Parameters
    ----------
    name : str
        File that is being read, for the record.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        _LOGGER.warning("%s: %s", name, warning.message)


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever nibabel, gzip and XML raise on a broken file into one line.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        What it should be, for the message.
    """
    from nibabel.cifti2 import Cifti2HeaderError
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError, ImageDataError

    try:
        with warnings_logged(path.name):
            yield
    except InputError:
        raise
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        EOFError,
        MemoryError,
        OverflowError,
        struct.error,
        zlib.error,
        ExpatError,
        Cifti2HeaderError,
        ImageFileError,
        HeaderDataError,
        ImageDataError,
    ) as error:
        reason = first_line(error).replace(f"{path.parent}/", "")
        raise InputError(
            f"{path.name}: cannot be read as {kind} ({reason}); copy or export it again"
        ) from error
