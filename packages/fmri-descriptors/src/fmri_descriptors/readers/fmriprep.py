"""A folder of fMRIPrep derivatives: images in MNI space, confounds and an atlas."""

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation import Parcellation
from fmri_descriptors.readers.bids import BidsName, Sidecars, parse_name
from fmri_descriptors.readers.nifti import require_atlas, sort_out, volume_recording
from fmri_descriptors.readers.reading import reading
from fmri_descriptors.readers.regions import region_means
from fmri_descriptors.readers.sources import ReadOptions, Recording, Rejected, Source

DEFAULT_CONFOUNDS = "simple"
"""Strategy that is used where the user names none; nilearn's own default."""

STRATEGIES = ("compcor", "ica_aroma", "none", "simple")
"""Strategies that keep the frames evenly spaced; ``none`` takes the images as they are."""

_SCRUBBING = "scrubbing"
_SPACES = ("MNI152NLin2009cAsym", "MNI152NLin6Asym")  # first choice first
_CONFOUNDS = ("timeseries", "regressors")  # since fMRIPrep 20.2, and before


def fmriprep_source(path: Path, options: ReadOptions) -> Source:
    """Return the resting-state scans of an fMRIPrep folder, denoised, as means over an atlas.

    One space is read throughout: the one with most scans; among equals MNI152NLin2009cAsym, then
    MNI152NLin6Asym, then by name. The source's name tells it, with the confounds.

    Parameters
    ----------
    path : Path
        Folder with ``sub-*/[ses-*/]func/*_space-MNI*_desc-preproc_bold.nii.gz``. If there are
        several tasks, those named ``rest…`` are read.
    options : ReadOptions
        ``atlas`` is needed, in the same space. ``confounds`` is one of `STRATEGIES`, by default
        `DEFAULT_CONFOUNDS`. ``tr`` as for `nifti_source`.

    Returns
    -------
    Source
        Scans without confounds or without a repetition time, in another space only, or with an
        unreadable image are in ``rejected``.

    Raises
    ------
    InputError
        If no such image is found, no task is rest, the strategy is unknown or drops frames, or
        there is no usable atlas.
    """
    strategy = _checked_strategy(options.confounds)
    images = _images(path, "smoothAROMAnonaggr" if strategy == "ica_aroma" else "preproc")
    images = _resting(path, images)
    atlas = require_atlas(path, options)
    space = _chosen_space(images)
    chosen = sorted(image for image, name in images.items() if _space(name) == space)
    sidecars = Sidecars(path)
    read = partial(_read, atlas=atlas, strategy=strategy)
    recordings, rejected = sort_out(
        chosen,
        path,
        partial(_recording, sidecars=sidecars, options=options, read=read),
        lambda name: _recording_name(Path(name)),
    )
    elsewhere = _in_other_spaces(path, images, space)
    files = [file for image in chosen for file in _files(image, sidecars, strategy)]
    return Source(
        f"{path.resolve().name}: fMRIPrep, space-{space}, confounds {strategy}",
        recordings,
        (*files, atlas),
        rejected=(*rejected, *elsewhere),
    )


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


def _images(path: Path, desc: str) -> dict[Path, BidsName]:
    pattern = f"func/*_desc-{desc}_bold.nii.gz"
    found = {*path.glob(f"sub-*/{pattern}"), *path.glob(f"sub-*/ses-*/{pattern}")}
    named = {image: parse_name(image.name) for image in sorted(found)}
    images = {
        image: name
        for image, name in named.items()
        if name is not None and name.entities.get("space", "").startswith("MNI")
    }
    if not images:
        other = f"; {len(found)} in other spaces were" if found else ""
        raise InputError(
            f"{path}: no sub-*/[ses-*/]func/*_space-MNI*_desc-{desc}_bold.nii.gz was found{other}"
        )
    return images


def _resting(path: Path, images: dict[Path, BidsName]) -> dict[Path, BidsName]:
    tasks = sorted({name.entities.get("task", "") for name in images.values()})
    if len(tasks) == 1:
        return images
    rest = {task for task in tasks if task.lower().startswith("rest")}
    if not rest:
        raise InputError(
            f"{path}: the tasks are {', '.join(tasks)}, none of them rest; give a folder with "
            "resting-state scans"
        )
    return {image: name for image, name in images.items() if name.entities.get("task") in rest}


def _space(name: BidsName) -> str:
    """Grid of an image: space, cohort of a template, and resolution."""
    parts = [name.entities["space"]]
    parts += [f"{key}-{name.entities[key]}" for key in ("cohort", "res") if key in name.entities]
    return "_".join(parts)


def _chosen_space(images: dict[Path, BidsName]) -> str:
    counts = Counter(_space(name) for name in images.values())

    def rank(space: str) -> tuple[int, int, str]:
        template = space.partition("_")[0]
        place = _SPACES.index(template) if template in _SPACES else len(_SPACES)
        return (-counts[space], place, space)

    return min(counts, key=rank)


def _in_other_spaces(path: Path, images: dict[Path, BidsName], space: str) -> list[Rejected]:
    read = {name.recording for name in images.values() if _space(name) == space}
    return [
        Rejected(
            image.relative_to(path).as_posix(),
            f"{image.name}: is not there in space-{space}, which the folder is read in; make it "
            "with fMRIPrep's --output-spaces",
            name.recording,
        )
        for image, name in images.items()
        if name.recording not in read
    ]


def _recording(
    image: Path,
    name: str,
    sidecars: Sidecars,
    options: ReadOptions,
    read: "partial[NDArray[np.float64]]",
) -> Recording:
    if read.keywords["strategy"] != "none":
        _confounds_file(image)
    recording = volume_recording(image, name, sidecars, options, read)
    return replace(recording, scan_id=_recording_name(image))


def _recording_name(image: Path) -> str:
    parts = parse_name(image.name)
    return image.name if parts is None else parts.recording


def _files(image: Path, sidecars: Sidecars, strategy: str) -> list[Path]:
    files = [image, *sidecars.files(image)]
    if strategy != "none":
        tables = _confounds_files(image, _recording_name(image))
        files += [f for t in tables for f in (t, t.with_suffix(".json")) if f.is_file()]
    return files


def _confounds_files(image: Path, recording: str) -> list[Path]:
    names = [f"{recording}_desc-confounds_{kind}.tsv" for kind in _CONFOUNDS]
    return [table for name in names if (table := image.with_name(name)).is_file()]


def _confounds_file(image: Path) -> Path:
    recording = _recording_name(image)
    tables = _confounds_files(image, recording)
    if len(tables) != 1:
        raise InputError(
            f"{image.name}: {len(tables)} confounds tables beside it, one is needed; keep "
            f"{recording}_desc-confounds_timeseries.tsv, or ask for confounds none"
        )
    return tables[0]


def _read(
    path: Path, parcellation: Parcellation, atlas: Path, strategy: str
) -> NDArray[np.float64]:
    series = region_means(path, parcellation, atlas)
    if strategy == "none":
        return series
    confounds, kept = _load_confounds(path, strategy, len(series))
    return _without(series[kept], confounds[kept], path)


def _load_confounds(path: Path, strategy: str, n_frames: int) -> tuple[NDArray[np.float64], slice]:
    """Confounds (T, C), and the frames after those before the steady state."""
    from nilearn.interfaces.fmriprep import load_confounds_strategy

    table = _confounds_file(path)
    with reading(table, f"confounds for strategy {strategy!r}"):
        confounds, kept = load_confounds_strategy(str(path), denoise_strategy=strategy)
        values = confounds.to_numpy(dtype=np.float64)
    if len(values) != n_frames:
        raise InputError(
            f"{table.name}: {len(values)} lines, but {path.name} has {n_frames} frames; both must "
            "be of one run of fMRIPrep"
        )
    wrong = ~np.isfinite(values).all(axis=0)
    if wrong.any():
        raise InputError(
            f"{table.name}: column {confounds.columns[int(wrong.argmax())]} has entries that are "
            "not numbers; make the confounds again"
        )
    return values, _steady(table, kept, n_frames)


def _steady(table: Path, kept: Any, n_frames: int) -> slice:
    if kept is None:
        return slice(0, n_frames)
    first, last = int(kept[0]), int(kept[-1])
    if last - first + 1 != len(kept):
        raise InputError(
            f"{table.name}: marks {n_frames - len(kept)} frames as not steady, some inside the "
            "scan; spectra need evenly spaced frames, so leave the scan out"
        )
    return slice(first, last + 1)


def _without(
    series: NDArray[np.float64], confounds: NDArray[np.float64], path: Path
) -> NDArray[np.float64]:
    """Residuals of a regression on the confounds, with the mean of each region kept."""
    from nilearn.signal import clean

    if confounds.shape[1] == 0:
        return series
    if confounds.shape[1] >= len(series) - 1:
        raise InputError(
            f"{path.name}: {confounds.shape[1]} confounds for {len(series)} frames leave nothing; "
            "choose a strategy with fewer"
        )
    cleaned = np.full_like(series, np.nan)
    there = ~np.isnan(series).all(axis=0)
    with reading(path, "series to clean"):
        cleaned[:, there] = clean(
            series[:, there], detrend=False, standardize=None, confounds=confounds
        )
    return cleaned
