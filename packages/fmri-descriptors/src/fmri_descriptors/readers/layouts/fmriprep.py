"""A folder of fMRIPrep derivatives: images in MNI space, confounds and an atlas."""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.readers.base import ReadOptions, Recording, Source
from fmri_descriptors.readers.images.confounds import clean_series, confounds_table
from fmri_descriptors.readers.images.regions import region_means
from fmri_descriptors.readers.images.volumes import EXTENSIONS
from fmri_descriptors.readers.layouts.nifti import require_atlas, volume_recording
from fmri_descriptors.readers.selection.bids_names import parse_name, split_extension
from fmri_descriptors.readers.selection.candidates import Account
from fmri_descriptors.readers.selection.companions import check_frames, frame_tables
from fmri_descriptors.readers.selection.content import files_below
from fmri_descriptors.readers.selection.recordings import Layout, choose_files
from fmri_descriptors.readers.selection.sidecars import Sidecars

DEFAULT_CONFOUNDS = "simple"
"""Strategy that is used where the user names none; nilearn's own default."""

STRATEGIES = ("compcor", "ica_aroma", "none", "simple")
"""Strategies that keep the frames evenly spaced; ``none`` takes the images as they are."""

_SCRUBBING = "scrubbing"
_AROMA = "smoothAROMAnonaggr"
# What fMRIPrep calls series; those that are not images are left out.
_ENDINGS = (*EXTENSIONS, ".dtseries.nii", ".ptseries.nii", ".func.gii")


def fmriprep_source(path: Path, options: ReadOptions) -> Source:
    """Return the resting-state scans of an fMRIPrep folder, denoised, as means over an atlas.

    One space is read throughout: the one that is asked for, else the MNI space of most scans;
    among equals MNI152NLin2009cAsym, then MNI152NLin6Asym, then by name. The source's name
    states it, with the confounds. Which files are one recording, `choose_files` says.

    Parameters
    ----------
    path : Path
        Folder with ``*_space-<space>_desc-preproc_bold.nii[.gz]`` images at any depth, or with the
        names that fMRIPrep gave before 1.2.
    options : ReadOptions
        ``atlas`` is needed, in the same space. ``confounds`` is one of `STRATEGIES`, by default
        `DEFAULT_CONFOUNDS`. ``tr`` as for `nifti_source`.

    Returns
    -------
    Source
        Every file called ``_bold`` is a recording, in ``rejected`` or in ``left_out``.

    Raises
    ------
    InputError
        If no such image is found, none of several tasks is rest, the strategy is unknown or drops
        frames, or there is no usable atlas.
    """
    strategy = _checked_strategy(options.confounds)
    files, unlisted = files_below(path)
    found = [file for file in files if is_bold(file.name)]
    if not found:
        raise InputError(f"{path}: no *_desc-preproc_bold.nii.gz was found; correct the path")
    account = Account(path, rejected=list(unlisted))
    descriptions = (_AROMA,) if strategy == "ica_aroma" else ("preproc", "")
    layout = Layout(endings=EXTENSIONS, descriptions=descriptions, space="MNI", regions=False)
    chosen = choose_files(found, layout, options, account)
    atlas = require_atlas(path, options)
    sidecars = Sidecars(path)
    read = partial(_read, atlas=atlas, strategy=strategy)
    recordings = account.recordings(
        chosen, partial(_recording, sidecars=sidecars, options=options, read=read)
    )
    depends = (file for each in chosen for file in _files(each.path, sidecars))
    space = f"space-{chosen[0].space}, " if chosen and chosen[0].space else ""
    return account.source(
        f"{path.resolve().name}: fMRIPrep, {space}confounds {strategy}",
        recordings,
        (*depends, atlas),
    )


def is_bold(name: str) -> bool:
    """Whether a file name is that of BOLD series, as fMRIPrep or a scanner's export calls them."""
    stem, ending = split_extension(name)
    if ending.lower() not in _ENDINGS:
        return False
    parts = parse_name(name)
    if parts is not None:
        return parts.suffix == "bold"
    return stem.lower().endswith(("_bold", "_preproc"))


def _checked_strategy(given: str | None) -> str:
    strategy = DEFAULT_CONFOUNDS if given is None else given
    if strategy == _SCRUBBING:
        raise InputError(
            "confounds: 'scrubbing' drops frames inside a scan, and spectra need evenly spaced "
            f"frames; give one of {', '.join(STRATEGIES)}"
        )
    if strategy not in STRATEGIES:
        raise InputError(
            f"confounds: {strategy!r} is not known; give one of {', '.join(STRATEGIES)}"
        )
    return strategy


def _recording(
    image: Path,
    name: str,
    sidecars: Sidecars,
    options: ReadOptions,
    read: "partial[NDArray[np.float64]]",
) -> Recording:
    if read.keywords["strategy"] != "none":
        confounds_table(image)
    return volume_recording(image, name, sidecars, options, read)


def _files(image: Path, sidecars: Sidecars) -> list[Path]:
    tables = frame_tables(image)
    beside = [file for table in tables for file in (table, table.with_suffix(".json"))]
    return [image, *sidecars.files(image), *(file for file in beside if file.exists())]


def _read(
    path: Path, parcellation: Parcellation, atlas: Path, strategy: str
) -> NDArray[np.float64]:
    series = region_means(path, parcellation, atlas)
    check_frames(path, len(series))
    return series if strategy == "none" else clean_series(path, series, strategy)
