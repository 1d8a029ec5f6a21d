"""NIfTI images: their header, checked, and their frames in blocks."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.errors import reading
from fmri_descriptors.readers.limits import check_size
from fmri_descriptors.readers.selection.content import check_content

EXTENSIONS = (".nii", ".nii.gz")

_BLOCK_VALUES = 8_000_000  # values read at a time: 64 MB in double precision
_MOST_COMPRESSED = 1100  # deflate shrinks at most 1032 times
_SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}


@dataclass(frozen=True, eq=False)
class Volumes:
    """What the header of a 4-D image says.

    Parameters
    ----------
    shape : tuple of int
        (x, y, z, frames).
    affine : ndarray, (4, 4)
        Voxel indices to mm.
    tr : float or None
        Repetition time in s, None where the header does not tell it.
    tr_missing : str
        Why it does not.
    """

    shape: tuple[int, ...]
    affine: NDArray[np.float64]
    tr: float | None
    tr_missing: str


def read_header(path: Path) -> Volumes:
    """Return what the header of a 4-D image says, without reading its frames.

    Parameters
    ----------
    path : Path
        A ``.nii`` or ``.nii.gz`` file.

    Raises
    ------
    InputError
        If the file is unreadable, not 4-D, shorter than its header says, or not placed in space.
    """
    with reading(path.name, "a NIfTI image"), opened(path) as (image, _):
        check_4d(path, image)
        check_placed(path, image)
        tr, missing = _header_tr(image.header)
        return Volumes(image.shape, np.asarray(image.affine, np.float64), tr, missing)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, BufferedIOBase]]:
    """Image and the open file under it, so that blocks are decompressed once, in order."""
    import nibabel as nib

    check_content(path)
    kind = type(nib.load(path))
    if kind not in {nib.Nifti1Image, nib.Nifti2Image}:
        raise InputError(f"{path.name}: is a {kind.__name__}, not a NIfTI volume; give 4-D volumes")
    with _stream(path) as file:
        holder = nib.FileHolder(fileobj=file)
        image = kind.from_file_map({"image": holder}, mmap=False)
        _check_size(path, image)
        yield image, file


def _stream(path: Path) -> BufferedIOBase:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")
    return path.open("rb")


def _check_size(path: Path, image: Any) -> None:
    if min(image.shape, default=0) < 1:
        raise InputError(f"{path.name}: its header has shape {image.shape}; export it again")
    check_size(path.name, image.shape[:3])  # a frame is held at a time, and an atlas whole
    promised = _end_of_data(image)
    found = path.stat().st_size
    compressed = path.suffix.lower() == ".gz"
    if promised > found * _MOST_COMPRESSED or not (compressed or promised == found):
        raise InputError(
            f"{path.name}: its header promises {promised} bytes (shape {image.shape}), but the "
            f"file has {found}; copy or export it again"
        )


def _end_of_data(image: Any) -> int:
    voxels = 1
    for length in image.shape:
        voxels *= int(length)
    return int(image.dataobj.offset) + voxels * image.header.get_data_dtype().itemsize


def check_4d(path: Path, image: Any) -> None:
    """Raise unless an image has frames of real numbers.

    Parameters
    ----------
    path : Path
        File, for the message.
    image : nibabel image
        What was read from it.
    """
    if len(image.shape) != 4 or image.shape[3] < 2:
        raise InputError(
            f"{path.name}: an image of shape {image.shape}; a recording is 4-D, frames last"
        )
    if image.get_data_dtype().kind not in "fiu":
        raise InputError(
            f"{path.name}: voxels of type {image.get_data_dtype()}; real numbers are needed"
        )


def check_placed(path: Path, image: Any) -> None:
    """Raise unless an image says where its voxels are.

    Parameters
    ----------
    path : Path
        File, for the message.
    image : nibabel image
        What was read from it.
    """
    header = image.header
    if int(header["sform_code"]) == 0 and int(header["qform_code"]) == 0:
        raise InputError(
            f"{path.name}: its header does not say where the voxels are (sform and qform codes are "
            "0); export it with an affine"
        )
    affine = np.asarray(image.affine, np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InputError(
            f"{path.name}: its affine cannot be inverted; export it with a valid affine"
        )


def _header_tr(header: Any) -> tuple[float | None, str]:
    units = int(header["xyzt_units"]) & 0b111000
    name = {8: "sec", 16: "msec", 24: "usec"}.get(units)
    step = float(header["pixdim"][4])
    if not 0 < step < float("inf"):
        return None, f"its header has a frame step of {step:g} and there is no RepetitionTime"
    if name is None:
        return None, (
            f"its header has a frame step of {step:g} without a unit of time and there is no "
            "RepetitionTime"
        )
    return round(step * _SECONDS[name], 6), ""


def blocks(image: Any) -> Iterator[NDArray[np.float64]]:
    """Frames of a 4-D image in order, (x, y, z, frames of this block) each.

    Parameters
    ----------
    image : nibabel image
        As `opened` gives it.
    """
    per_frame = int(np.prod(image.shape[:3]))
    length = max(1, _BLOCK_VALUES // per_frame)
    for start in range(0, image.shape[3], length):
        yield np.array(image.dataobj[..., start : start + length], dtype=np.float64)


def check_end(path: Path, file: BufferedIOBase) -> None:
    """Raise if bytes follow the last value: then the header's shape is not the file's.

    Reading to the end also has gzip compare its checksum.

    Parameters
    ----------
    path : Path
        File, for the message.
    file : binary file
        Placed behind the last value.
    """
    if file.read(1):
        raise InputError(
            f"{path.name}: holds more data than its header's shape; copy or export it again"
        )
