"""Confounds of an fMRIPrep run: the table beside its image, and the series without them."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.errors import reading
from fmri_descriptors.readers.selection.bids_names import parse_name
from fmri_descriptors.readers.selection.companions import frame_tables
from fmri_descriptors.readers.selection.content import check_content

_KINDS = {"timeseries", "regressors"}  # since fMRIPrep 20.2, and before
_UNSTEADY = "non_steady_state"


def confounds_table(image: Path) -> Path:
    """Return the confounds table of an image's run, which lies beside it.

    Parameters
    ----------
    image : Path
        Image of fMRIPrep.

    Raises
    ------
    InputError
        If there is not exactly one, or its content is not on this machine.
    """
    tables = [table for table in frame_tables(image) if _is_confounds(table.name)]
    if len(tables) != 1:
        parts = parse_name(image.name)
        recording = image.name if parts is None else parts.recording
        raise InputError(
            f"{image.name}: {len(tables)} confounds tables beside it, one is needed; keep "
            f"{recording}_desc-confounds_timeseries.tsv, or ask for confounds none"
        )
    check_content(tables[0])
    return tables[0]


def _is_confounds(name: str) -> bool:
    parts = parse_name(name)
    return parts is not None and parts.suffix in _KINDS and parts.description == "confounds"


def clean_series(image: Path, series: NDArray[np.float64], strategy: str) -> NDArray[np.float64]:
    """Return the steady frames of a run without its confounds, each region with its mean.

    Parameters
    ----------
    image : Path
        Image of fMRIPrep.
    series : ndarray, (T, N)
        Its regions' means.
    strategy : str
        Of `nilearn.interfaces.fmriprep.load_confounds_strategy`.

    Returns
    -------
    ndarray, (steady frames, N)

    Raises
    ------
    InputError
        If the confounds cannot be read, are not of this run, or leave nothing.
    """
    table = confounds_table(image)
    confounds, kept = _load(table, image, strategy, len(series))
    return _without(series[kept], confounds[kept], image)


def _load(
    table: Path, image: Path, strategy: str, n_frames: int
) -> tuple[NDArray[np.float64], slice]:
    """Confounds (T, C), and the frames after those before the steady state."""
    _check_steady(table, n_frames)
    with reading(table.name, f"confounds for strategy {strategy!r}"):
        confounds, kept = _by_nilearn(table, strategy)
        values = confounds.to_numpy(dtype=np.float64)
    if len(values) != n_frames:
        raise InputError(
            f"{table.name}: {len(values)} lines, but {image.name} has {n_frames} frames; both must "
            "be of one run of fMRIPrep"
        )
    wrong = ~np.isfinite(values).all(axis=0)
    if wrong.any():
        raise InputError(
            f"{table.name}: column {confounds.columns[int(wrong.argmax())]} has entries that are "
            "not numbers; make the confounds again"
        )
    return values, _steady(table, kept, n_frames)


def _by_nilearn(table: Path, strategy: str) -> tuple[Any, Any]:
    """Confounds and frames to keep, of a copy whose name nilearn knows whatever the run's is."""
    from nilearn.interfaces.fmriprep import load_confounds_strategy

    desc = "smoothAROMAnonaggr" if strategy == "ica_aroma" else "preproc"
    with TemporaryDirectory(prefix="confounds-") as folder:
        copy = Path(folder) / "sub-1_desc-confounds_timeseries.tsv"
        shutil.copyfile(table, copy)
        if table.with_suffix(".json").exists():
            shutil.copyfile(table.with_suffix(".json"), copy.with_suffix(".json"))
        image = str(Path(folder) / f"sub-1_desc-{desc}_bold.nii.gz")
        return load_confounds_strategy(image, denoise_strategy=strategy)


def _check_steady(table: Path, n_frames: int) -> None:
    import pandas as pd

    with reading(table.name, "a table of confounds"):
        names = list(pd.read_csv(table, sep="\t", nrows=0).columns)
        unsteady = [name for name in names if _UNSTEADY in name]
        columns = pd.read_csv(table, sep="\t", usecols=unsteady) if unsteady else pd.DataFrame()
        marked = int((columns.to_numpy(dtype=np.float64) > 0).any(axis=1).sum())
    if marked and marked >= n_frames:
        raise InputError(
            f"{table.name}: all {n_frames} frames are marked as before the steady state; make the "
            "confounds again, or ask for confounds none"
        )
    if {"FramewiseDisplacement", "WhiteMatter"} & set(names):
        raise InputError(
            f"{table.name}: has the columns of fMRIPrep before 1.2, which nilearn does not know; "
            "run a newer fMRIPrep, or ask for confounds none"
        )


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
    with reading(path.name, "series to clean"):
        cleaned[:, there] = clean(
            series[:, there], detrend=False, standardize=None, confounds=confounds
        )
    return cleaned
