"""Reading files with other libraries: their errors as one line, their warnings in the log."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fmri_descriptors.errors import InputError

_LOGGER = logging.getLogger("fmri_descriptors.readers")
_FOLDERS = re.compile(r"(?:/[^/\s'\"]+)+/")  # of this machine, which no rejected.tsv should name


def first_line(error: BaseException) -> str:
    """Return the first line of another library's message, or the name of its error."""
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


@contextmanager
def reading(name: Path | str, kind: str, fix: str = "copy or export it again") -> Iterator[None]:
    """Turn whatever a library raises on a broken file into one line, and its warnings into a log.

    Parameters
    ----------
    name : Path or str
        The file as the message names it.
    kind : str
        What it should be, for the message.
    fix : str
        What the user can do.

    Raises
    ------
    InputError
        For every exception inside the block; one that is an `InputError` passes as it is.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        except InputError:
            raise
        # numpy, scipy, pandas, h5py, pyarrow, nibabel, gzip and expat raise what they like here.
        except Exception as error:
            reason = _FOLDERS.sub("", first_line(error))
            raise InputError(f"{name}: cannot be read as {kind} ({reason}); {fix}") from error
    for warning in caught:
        _LOGGER.warning("%s: %s", name, warning.message)
