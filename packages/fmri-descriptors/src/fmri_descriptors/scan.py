"""One recording, checked once so that nothing after it needs to."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.region_signal import has_signal
from fmri_descriptors.settings import MIN_FRAMES

MIN_TR, MAX_TR = 0.01, 60.0
"""Repetition times in seconds from the one to below the other; 720 was given in milliseconds."""

_LARGEST = float(np.finfo(np.float32).max)  # cohorts store means and deviations as float32


@dataclass(frozen=True, eq=False)
class Scan:
    """One recording on the regions of a parcellation.

    A region that is missing (all NaN) or without signal (`has_signal`) keeps its column and is
    masked, so that columns never shift.

    Parameters
    ----------
    timeseries : array_like, (T, N)
        Frames, then regions, in the units of the recording.
    tr : float
        Repetition time, in seconds.
    parcellation : Parcellation
        The N regions, in the order of the columns.
    scan_id : str
        Name of the scan, unique in its cohort.
    subject : str
        Who was scanned; splits are made by subject.
    session, site : str, optional
        Visit and scanner site.

    Attributes
    ----------
    mask : ndarray of bool, (N,)
        True where a region can be used.

    Raises
    ------
    InputError
        If the series are not numeric or not (T, N), T is below `MIN_FRAMES`, a value is infinite or
        beyond single precision, a region is NaN in some frames only, no region is left, or the TR
        is not from `MIN_TR` to below `MAX_TR`.
    """

    timeseries: NDArray[np.float64]
    tr: float
    parcellation: Parcellation
    scan_id: str
    subject: str
    session: str | None = None
    site: str | None = None
    mask: NDArray[np.bool_] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tr", _checked_tr(self.tr, self.scan_id))
        series = _checked_series(self.timeseries, self.parcellation, self.scan_id)
        series.flags.writeable = False
        object.__setattr__(self, "timeseries", series)
        object.__setattr__(self, "mask", _usable_regions(series, self.parcellation, self.scan_id))

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return self.timeseries.shape[0]

    @property
    def masked_labels(self) -> tuple[str, ...]:
        """Names of the regions that cannot be used."""
        pairs = zip(self.parcellation.labels, self.mask, strict=True)
        return tuple(label for label, usable in pairs if not usable)


def is_repetition_time(seconds: float) -> bool:
    """Whether a number can be a repetition time in seconds; NaN cannot."""
    return MIN_TR <= seconds < MAX_TR


def _checked_tr(tr: Any, scan_id: str) -> float:
    try:
        seconds = float(tr)
    except (TypeError, ValueError):
        seconds = float("nan")
    if not is_repetition_time(seconds):
        raise InputError(
            f"{scan_id}: tr {tr!r}; give the repetition time in seconds, from {MIN_TR:g} to "
            f"below {MAX_TR:g}"
        )
    return seconds


def _checked_series(values: Any, parcellation: Parcellation, scan_id: str) -> NDArray[np.float64]:
    try:
        given = np.asarray(values)
    except ValueError as error:
        raise InputError(f"{scan_id}: the rows differ in length; give a (T, N) array") from error
    if given.dtype.kind not in "fiub":  # float, signed and unsigned integer, boolean
        raise InputError(f"{scan_id}: values of type {given.dtype}; give real numbers, (T, N)")
    series = np.array(given, dtype=np.float64)
    if series.ndim != 2:
        raise InputError(f"{scan_id}: an array of shape {series.shape}; give (frames, regions)")
    check_shape(series.shape, parcellation, scan_id)
    too_large = np.abs(series) > _LARGEST
    if too_large.any():
        label = parcellation.labels[int(too_large.any(axis=0).argmax())]
        raise InputError(
            f"{scan_id}: region {label} has infinite values, or some above {_LARGEST:.1e}; repair "
            "the recording"
        )
    return series


def check_shape(shape: tuple[int, ...], parcellation: Parcellation, scan_id: str) -> None:
    """Raise unless a shape is that of at least `MIN_FRAMES` frames of a parcellation's regions.

    Parameters
    ----------
    shape : tuple of int
        (T, N).
    parcellation : Parcellation
        The N regions.
    scan_id : str
        What the series are of, for the message.
    """
    n_frames, n_regions = shape
    if n_regions != parcellation.n_regions:
        turned = n_frames == parcellation.n_regions
        fix = (
            "The array looks transposed: give (frames, regions)."
            if turned
            else "Pass the parcellation the series were extracted with."
        )
        raise InputError(
            f"{scan_id}: {n_regions} regions, but parcellation '{parcellation.name}' has "
            f"{parcellation.n_regions}. {fix}"
        )
    if n_frames < MIN_FRAMES:
        raise InputError(f"{scan_id}: {n_frames} frames; at least {MIN_FRAMES} are needed")


def _usable_regions(
    series: NDArray[np.float64], parcellation: Parcellation, scan_id: str
) -> NDArray[np.bool_]:
    missing = np.isnan(series)
    partly = missing.any(axis=0) & ~missing.all(axis=0)
    if partly.any():
        region = int(partly.argmax())
        raise InputError(
            f"{scan_id}: region {parcellation.labels[region]} is NaN in "
            f"{int(missing[:, region].sum())} of {len(series)} frames; interpolate or drop those "
            "frames, or make the whole region NaN to mask it"
        )
    usable = has_signal(series)
    if not usable.any():
        raise InputError(
            f"{scan_id}: every region is constant or NaN, in half of its frames or in all; check "
            "the recording"
        )
    return usable
