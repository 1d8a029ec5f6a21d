"""One recording to one row of a cohort, in any process."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.readers.base import Recording
from fmri_descriptors.scan import Scan
from fmri_descriptors.settings import MIN_FRAMES

if TYPE_CHECKING:
    from datasets import Features

_ROUNDING = 1e-6  # frames
_SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Crop:
    """How much of a scan is kept, from its start.

    Parameters
    ----------
    frames : int, optional
        Number of frames.
    seconds : float, optional
        Length in seconds, of which as many whole frames are kept as fit.
    """

    frames: int | None = None
    seconds: float | None = None

    def __call__(self, scan: Scan) -> Scan:
        """Return the first frames of a scan, or all where nothing is cropped.

        Raises
        ------
        InputError
            If the scan is shorter than what is to be kept, or that has too few frames.
        """
        wanted = self.frames
        if self.seconds is not None:
            # A length of a whole number of frames is often no exact multiple in floating point.
            wanted = int(self.seconds / scan.tr + _ROUNDING)
        if wanted is None:
            return scan
        key = "crop_frames" if self.seconds is None else "crop_seconds"
        if wanted < MIN_FRAMES:
            raise InputError(
                f"{scan.scan_id}: {key} keeps {wanted} frames of {scan.tr:g} s, but at least "
                f"{MIN_FRAMES} are needed; raise it"
            )
        if scan.n_frames < wanted:
            raise InputError(
                f"{scan.scan_id}: {scan.n_frames} frames of {scan.tr:g} s, but {key} keeps "
                f"{wanted}; lower it, or leave the scan out"
            )
        return replace(scan, timeseries=scan.timeseries[:wanted])


@dataclass(frozen=True)
class Converter:
    """Turns recordings into rows; picklable, so that other processes can do it.

    Parameters
    ----------
    parcellation : Parcellation
        The regions of every scan.
    max_masked_regions : int
        A scan with more masked regions than this cannot be used.
    crop : Crop
        How much of each scan is kept.
    """

    parcellation: Parcellation
    max_masked_regions: int
    crop: Crop = Crop()

    def __call__(self, recording: Recording) -> dict[str, Any] | str:
        """Return the row of a recording, or why it cannot be used."""
        try:
            # Sums of several threads come out differently on another number of cores.
            with threadpool_limits(limits=1):
                return self._row(recording)
        except InputError as error:
            return _with_path(recording.path, str(error))

    def _row(self, recording: Recording) -> dict[str, Any]:
        scan = self.crop(recording.scan(self.parcellation))
        check_masked(scan, recording.path, self.max_masked_regions)
        mean = np.where(scan.mask, scan.timeseries.mean(axis=0), 0.0)
        std = np.where(scan.mask, scan.timeseries.std(axis=0), 0.0)
        _check_spread(scan, std)
        bold = np.zeros_like(scan.timeseries)
        np.divide(scan.timeseries - mean, std, out=bold, where=scan.mask)
        return {
            "scan_id": scan.scan_id,
            "sub": scan.subject,
            "ses": scan.session,
            "site": scan.site,
            "path": recording.name,
            "start": 0,
            "end": scan.n_frames,
            "n_frames": scan.n_frames,
            "tr": scan.tr,
            "bold": bold.astype(np.float32),
            "mean": mean[None].astype(np.float32),
            "std": std[None].astype(np.float32),
            **recording.phenotypes,
        }


def _with_path(path: Path, reason: str) -> str:
    """Name the whole path before a reason that has it not, or only its last part."""
    return reason if str(path) in reason else f"{path}: {reason.removeprefix(f'{path.name}: ')}"


def check_masked(scan: Scan, path: Path, allowed: int) -> None:
    """Raise InputError if more regions of a scan are masked than are allowed."""
    masked = scan.masked_labels
    if len(masked) > allowed:
        shown = ", ".join(masked[:3]) + (f" and {len(masked) - 3} more" if len(masked) > 3 else "")
        raise InputError(
            f"{path}: {len(masked)} of {len(scan.mask)} regions are constant or all NaN "
            f"({shown}); repair the recording, or keep them masked with "
            f"max_masked_regions: {len(masked)}"
        )


def _check_spread(scan: Scan, std: np.ndarray) -> None:
    tiny = scan.mask & (std < _SMALLEST)
    if tiny.any():
        label = scan.parcellation.labels[int(tiny.argmax())]
        raise InputError(
            f"{scan.scan_id}: region {label} has a spread of {std[tiny][0]:.1e}, too small for "
            "single precision; multiply the series by a constant"
        )


def row_features(n_regions: int, kinds: dict[str, str]) -> "Features":
    """Return the columns of a cohort and their types.

    Parameters
    ----------
    n_regions : int
        N.
    kinds : dict of str to str
        By phenotype: ``number`` or ``category``.
    """
    from datasets import Array2D, Features, Value

    names = ("scan_id", "sub", "ses", "site", "path")
    return Features(
        {name: Value("string") for name in names}
        | {name: Value("int32") for name in ("start", "end", "n_frames")}
        | {
            "tr": Value("float32"),
            "bold": Array2D(shape=(None, n_regions), dtype="float32"),
            "mean": Array2D(shape=(1, n_regions), dtype="float32"),
            "std": Array2D(shape=(1, n_regions), dtype="float32"),
        }
        | {name: Value("float64" if kind == "number" else "string") for name, kind in kinds.items()}
    )
