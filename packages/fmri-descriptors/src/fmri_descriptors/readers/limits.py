"""What a scan may hold at most, compared with what its file declares before it is read."""

import math
from pathlib import Path

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.scan import check_shape

MAX_VALUES = 2**26
"""Most values of one array: 512 MiB in double precision, 149,000 frames of 450 regions."""


def check_size(path: Path | str, shape: tuple[int, ...]) -> None:
    """Raise if an array has more values than are read.

    Parameters
    ----------
    path : Path or str
        File, or its name, for the message.
    shape : tuple of int
        What the file declares.

    Raises
    ------
    InputError
        If it is larger than `MAX_VALUES`.
    """
    values = math.prod(int(length) for length in shape)
    if values > MAX_VALUES:
        raise InputError(
            f"{path}: declares an array of shape {tuple(map(int, shape))}, {values:,} values; at "
            f"most {MAX_VALUES:,} are read, so cut the scan or export it again"
        )


def check_declared(path: Path | str, shape: tuple[int, ...], parcellation: Parcellation) -> None:
    """Raise unless a declared (T, N) array fits the regions and is small enough to be read.

    Parameters
    ----------
    path : Path or str
        File, or its name, for the message.
    shape : tuple of int
        What the file declares, frames first.
    parcellation : Parcellation
        The N regions.

    Raises
    ------
    InputError
        If it has another number of regions, too few frames, or more values than `MAX_VALUES`.
    """
    check_size(path, shape)
    if len(shape) == 2:
        check_shape(shape, parcellation, str(path))
