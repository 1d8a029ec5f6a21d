"""A folder of 4-D NIfTI images, or one of them, and an atlas."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.readers.base import ReadOptions, Recording, Source
from fmri_descriptors.readers.images.regions import read_labels, region_means
from fmri_descriptors.readers.images.volumes import EXTENSIONS, read_header
from fmri_descriptors.readers.repetition_time import agreed_tr
from fmri_descriptors.readers.selection.candidates import Account, named_recording
from fmri_descriptors.readers.selection.companions import frame_tables, read_checked
from fmri_descriptors.readers.selection.content import files_below
from fmri_descriptors.readers.selection.recordings import Layout, choose_files
from fmri_descriptors.readers.selection.sidecars import Sidecars

_FOUND = (*EXTENSIONS, ".nii.bz2", ".nii.zst", ".img", ".mgz", ".func.gii")


def nifti_source(path: Path, options: ReadOptions) -> Source:
    """Return the 4-D NIfTI images below a folder, read as means over an atlas.

    Parameters
    ----------
    path : Path
        A ``.nii`` or ``.nii.gz`` image, or a folder that is searched with its subfolders.
    options : ReadOptions
        ``atlas`` is needed. ``tr`` (s) is needed where neither sidecar nor header states it, and
        must agree with them where they do.

    Returns
    -------
    Source
        Every image is a recording, in ``rejected`` (unreadable, not 4-D, without a repetition
        time) or in ``left_out``; which are one recording, `choose_files` says.

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
    files, unlisted = files_below(path) if path.is_dir() else ([path], [])
    found = [file for file in files if file.name.lower().endswith(_FOUND)]
    images = [image for image in found if not (image.exists() and image.samefile(atlas))]
    if not images:
        raise InputError(f"{path}: no .nii or .nii.gz image was found; correct the path")
    account = Account(root, rejected=list(unlisted))
    chosen = choose_files(
        images, Layout(endings=EXTENSIONS, by_name=False, regions=False), options, account
    )
    sidecars = Sidecars(root)
    read = partial(read_checked, read=partial(region_means, atlas=atlas))
    recordings = account.recordings(
        chosen, lambda image, name: volume_recording(image, name, sidecars, options, read)
    )
    depends = (
        file
        for each in chosen
        for file in (each.path, *sidecars.files(each.path), *frame_tables(each.path))
    )
    return account.source(path.resolve().name, recordings, (*depends, atlas))


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
        f"{image.name} (sidecar)": sidecars.tr(image),
        f"{image.name} (header)": header.tr,
        "--tr": options.tr,
    }
    tr = agreed_tr(stated, f"{image.name}: {header.tr_missing}; give it with --tr")
    return named_recording(image, name, tr, read)
