"""A folder of 4-D NIfTI images, or one of them, and an atlas."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation import Parcellation
from fmri_descriptors.readers.bids import Sidecars, agreed_tr, identify
from fmri_descriptors.readers.regions import read_labels, region_means
from fmri_descriptors.readers.sources import ReadOptions, Recording, Rejected, Source
from fmri_descriptors.readers.volumes import read_header

_CIFTI = (".dscalar", ".dlabel", ".dtseries", ".ptseries", ".pscalar", ".dconn", ".pconn")


def nifti_source(path: Path, options: ReadOptions) -> Source:
    """Return the 4-D NIfTI images below a folder, read as means over an atlas.

    Parameters
    ----------
    path : Path
        A ``.nii`` or ``.nii.gz`` image, or a folder that is searched with its subfolders.
    options : ReadOptions
        ``atlas`` is needed. ``tr`` (s) is needed where neither sidecar nor header tells it, and
        must agree with them where they do.

    Returns
    -------
    Source
        Images that are unreadable, not 4-D or without a repetition time are in ``rejected``.

    Raises
    ------
    InputError
        If there is no image or no usable atlas, or confounds are asked for.
    """
    if options.confounds not in {None, "none"}:
        raise InputError(
            f"{path}: confounds {options.confounds!r} are only known for an fMRIPrep folder; clean "
            "the images first, or leave the option out"
        )
    atlas = require_atlas(path, options)
    root = path if path.is_dir() else path.parent
    images = [image for image in _found(path) if image.resolve() != atlas.resolve()]
    if not images:
        raise InputError(f"{path}: no .nii or .nii.gz image was found; correct the path")
    sidecars = Sidecars(root)
    read = partial(region_means, atlas=atlas)
    recordings, rejected = sort_out(
        images, root, lambda image, name: volume_recording(image, name, sidecars, options, read)
    )
    files = [file for image in images for file in (image, *sidecars.files(image))]
    return Source(path.resolve().name, recordings, (*files, atlas), rejected=rejected)


def require_atlas(path: Path, options: ReadOptions) -> Path:
    """Return the atlas that the user gave, checked to be a label image.

    Parameters
    ----------
    path : Path
        Input that needs it, for the message.
    options : ReadOptions
        What the user gave.

    Raises
    ------
    InputError
        If there is none, or it is no label image.
    """
    if options.atlas is None:
        raise InputError(
            f"{path}: 4-D images need an atlas; give a label image in the images' space by --atlas"
        )
    read_labels(options.atlas)
    return options.atlas


def _found(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    images = [*path.rglob("*.nii"), *path.rglob("*.nii.gz")]
    return sorted(image for image in images if not image.name.startswith(".") and _plain(image))


def _plain(image: Path) -> bool:
    return Path(image.name.removesuffix(".gz")).with_suffix("").suffix not in _CIFTI


def sort_out(
    images: Iterable[Path],
    root: Path,
    make: Callable[[Path, str], Recording],
    scan_id: Callable[[str], str] = lambda name: identify(name).scan_id,
) -> tuple[tuple[Recording, ...], tuple[Rejected, ...]]:
    """Return what can become a recording and what cannot.

    Parameters
    ----------
    images : iterable of Path
        Files below `root`, in order.
    root : Path
        Folder that names are relative to.
    make : callable
        Takes a file and its name; an `InputError` rejects the file, and so does a scan id that
        an earlier file has.
    scan_id : callable
        Takes a file's name; returns that of its scan, for a file that cannot be a recording.
    """
    recordings: dict[str, Recording] = {}
    rejected = []
    for image in images:
        name = image.relative_to(root).as_posix()
        try:
            recording = make(image, name)
        except InputError as error:
            rejected.append(Rejected(name, str(error), scan_id(name)))
            continue
        first = recordings.setdefault(recording.scan_id, recording)
        if first is not recording:
            rejected.append(
                Rejected(
                    name,
                    f"{image.name}: scan_id {recording.scan_id!r} is that of {first.name}; "
                    "rename one",
                    recording.scan_id,
                )
            )
    return tuple(recordings.values()), tuple(rejected)


def volume_recording(
    image: Path,
    name: str,
    sidecars: Sidecars,
    options: ReadOptions,
    read: Callable[[Path, Parcellation], NDArray[np.float64]],
) -> Recording:
    """Return one image as a recording, by its name, sidecars and header.

    Parameters
    ----------
    image : Path
        The file.
    name : str
        Path relative to the source.
    sidecars : Sidecars
        Where its sidecars are.
    options : ReadOptions
        What the user gave.
    read : callable
        Takes the path and the parcellation, returns the (T, N) series.

    Raises
    ------
    InputError
        If the image cannot be used, or its repetition time is unknown or contradictory.
    """
    header = read_header(image)
    stated = {
        "its sidecar": sidecars.tr(image),
        "its header": header.tr,
        "the option tr": options.tr,
    }
    tr = agreed_tr(image.name, stated, header.tr_missing)
    return named_recording(image, name, tr, read)


def named_recording(
    path: Path, name: str, tr: float, read: Callable[[Path, Parcellation], NDArray[np.float64]]
) -> Recording:
    """Return a file as a recording of whom its name tells.

    Parameters
    ----------
    path, name, tr, read
        As in `Recording`.
    """
    who = identify(name)
    return Recording(path, name, who.scan_id, who.subject, who.session, None, tr, read)
