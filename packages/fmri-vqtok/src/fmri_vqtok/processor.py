"""Scans as normalised windows of equal length and repetition time.

T frames, N regions. The steps follow section 4.1 of the fMRI-LM paper: resample to the target
repetition time, scale each region robustly over time, scale each site, cut into windows.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from fmri_vqtok.errors import InputError, check_choice
from fmri_vqtok.region_scaling import Normalised, Scaling, present_regions, robust_z
from fmri_vqtok.resampling import (
    resample,
    resampled_length,
    resampling_ratio,
    undo_upsampling,
    upsample,
)
from fmri_vqtok.scan_scale import (
    ScanScale,
    log_power_shares,
    log_spread,
    mean_of_known,
    nan_to_none,
    none_to_nan,
)

WINDOWS = ("cover", "all", "clip")


class TimeSeriesProcessor:
    """Scans of any length and repetition time as windows of T frames.

    Parameters
    ----------
    n_frames : int, default=160
        T, frames of a window.
    target_tr : float, default=2.0
        Repetition time of the windows, in seconds.
    clip : float, default=8.0
        Normalised values are clipped to plus and minus this.
    windows : {"cover", "all", "clip"}, default="all"
        Windows of a scan: "all" that do not overlap, from the first frame on; "cover", these and a
        last one that ends with the scan, so that no frame is left out; or "clip", the first T
        frames only.

    Attributes
    ----------
    site_scale_ : dict of str to float
        After `fit`: root of the mean variance (about the median, of values clipped as above) of
        the training scans of each site.
    pooled_scale_ : float
        After `fit`: the same over all training scans; used for a site that `fit` did not see.
    site_log_amplitude_ : dict of str to ndarray, shape (N,)
        After `fit`: mean logarithm of each region's spread (IQR / 1.349, in the units of the
        recordings) over the training scans of each site that have the region; NaN without any.
    pooled_log_amplitude_ : ndarray, shape (N,), or None
        After `fit`: the same over all training scans. None before, and for a processor that was
        saved before amplitudes were kept.
    n_scans_ : int
        After `fit`: number of training scans with a present region.

    Examples
    --------
    >>> import numpy as np
    >>> processor = TimeSeriesProcessor(n_frames=40, target_tr=2.0)
    >>> windows, mask = processor(np.random.default_rng(0).normal(size=(250, 3)), tr=0.72)
    >>> tuple(windows.shape), mask.tolist()
    ((2, 40, 3), [True, True, True])
    """

    def __init__(
        self,
        n_frames: int = 160,
        target_tr: float = 2.0,
        clip: float = 8.0,
        windows: str = "all",
    ) -> None:
        check_choice("windows", windows, WINDOWS)
        self.n_frames = n_frames
        self.target_tr = target_tr
        self.clip = clip
        self.windows = windows
        self.site_scale_: dict[str, float] = {}
        self.pooled_scale_ = 1.0
        self.site_log_amplitude_: dict[str, NDArray[np.float64]] = {}
        self.pooled_log_amplitude_: NDArray[np.float64] | None = None
        self.n_scans_ = 0

    def fit(
        self,
        timeseries: Sequence[ArrayLike],
        trs: Sequence[float],
        sites: Sequence[str | None] | None = None,
        units: Sequence[ArrayLike | None] | None = None,
    ) -> Self:
        """Learn the scale and the mean amplitude of each site from training scans.

        Parameters
        ----------
        timeseries : sequence of array_like, shape (T_i, N)
        trs : sequence of float
            Repetition times in seconds.
        sites : sequence of str or None, optional
            Scans without a site enter the pooled values only, and scans without a present region
            none.
        units : sequence of array_like, shape (N,), or None, optional
            What 1 of each region is in the units of the recording, for series that were
            standardised before; 1 by default.

        Returns
        -------
        TimeSeriesProcessor
            Itself.

        Raises
        ------
        InputError
            If no scan has a present region, or two scans have different numbers of regions.
        """
        names = sites if sites is not None else [None] * len(timeseries)
        given = units if units is not None else [None] * len(timeseries)
        found: dict[str | None, list[_TrainingScan]] = {}
        for series, tr, site, unit in zip(timeseries, trs, names, given, strict=True):
            values, mask, scaling = self._standardise(series, tr)
            if mask.any():
                # Clipped, so that a spike in one frame does not determine the scale of its site.
                clipped = np.clip(values[:, mask], -self.clip, self.clip)
                scan = _TrainingScan(float(np.mean(clipped**2)), log_spread(scaling.spread, unit))
                found.setdefault(site, []).append(scan)
        everything = [scan for group in found.values() for scan in group]
        _check_training_scans(everything, len(timeseries))
        self.n_scans_ = len(everything)
        self.pooled_scale_, self.pooled_log_amplitude_ = _averages(everything)
        by_site = {str(site): _averages(found[site]) for site in found if site is not None}
        self.site_scale_ = {site: by_site[site][0] for site in sorted(by_site)}
        self.site_log_amplitude_ = {site: by_site[site][1] for site in sorted(by_site)}
        return self

    def __call__(
        self, timeseries: ArrayLike, tr: float, site: str | None = None
    ) -> tuple[Tensor, Tensor]:
        """Windows of a scan in order, and the mask of its regions.

        Parameters
        ----------
        timeseries : array_like, shape (T_i, N)
        tr : float
            Repetition time in seconds.
        site : str, optional

        Returns
        -------
        windows : Tensor of float32, shape (n_windows, T, N)
            See `cut`. A scan shorter than T frames is upsampled linearly to T (see `is_upsampled`).
            Missing regions are 0.
        mask : Tensor of bool, shape (N,)
            False for regions without signal (`has_signal`) or with a value that is not finite.
        """
        series, mask = self.normalise(timeseries, tr, site)
        return self.cut(series), mask

    def normalise(
        self, timeseries: ArrayLike, tr: float, site: str | None = None
    ) -> tuple[Tensor, Tensor]:
        """Whole scan at the target repetition time, scaled by region and site, and clipped.

        Returns
        -------
        series : Tensor of float32, shape (T', N)
            T' is at least `n_frames`.
        mask : Tensor of bool, shape (N,)
        """
        series, mask, _ = self.normalise_with_scaling(timeseries, tr, site)
        return series, mask

    def normalise_with_scaling(
        self, timeseries: ArrayLike, tr: float, site: str | None = None
    ) -> Normalised:
        """Normalise as `normalise` does, and return the scaling for the inverse too.

        Examples
        --------
        >>> import numpy as np
        >>> processor = TimeSeriesProcessor(n_frames=40)
        >>> scan = np.random.default_rng(0).normal(1000, 20, size=(100, 3))
        >>> series, mask, scaling = processor.normalise_with_scaling(scan, tr=2.0)
        >>> windows = processor.cut(series)
        >>> np.allclose(scaling.undo(windows)[1], scan[40:80])
        True
        """
        values, mask, scaling = self._standardise(timeseries, tr)
        scale = self._site_scale(site)
        clipped = np.clip(values / scale, -self.clip, self.clip).astype(np.float32)
        return Normalised(
            torch.from_numpy(clipped),
            torch.from_numpy(mask),
            replace(scaling, spread=scaling.spread * scale),
        )

    def scale(
        self,
        timeseries: ArrayLike,
        tr: float,
        site: str | None = None,
        unit: ArrayLike | None = None,
    ) -> ScanScale | None:
        """Measure what normalisation takes out of a scan.

        Parameters
        ----------
        timeseries : array_like, shape (T_i, N)
        tr : float
            Repetition time in seconds.
        site : str, optional
            Amplitudes are relative to the training scans of the site; to all of them without a
            site, and for one that `fit` did not see.
        unit : array_like, shape (N,), optional
            As in `fit`.

        Returns
        -------
        ScanScale or None
            None for a processor without mean amplitudes, see `pooled_log_amplitude_`.
        """
        return self.scale_of(self.normalise_with_scaling(timeseries, tr, site), tr, site, unit)

    def scale_of(
        self,
        normalised: Normalised,
        tr: float,
        site: str | None = None,
        unit: ArrayLike | None = None,
    ) -> ScanScale | None:
        """Measure what `scale` does, in what `normalise_with_scaling` made of the scan."""
        if self.pooled_log_amplitude_ is None:
            return None
        series, _, scaling = normalised
        reference = self.site_log_amplitude_.get(site or "", self.pooled_log_amplitude_)
        # A region that no training scan of the site has is compared with those of all sites.
        reference = np.where(np.isnan(reference), self.pooled_log_amplitude_, reference)
        relative = log_spread(scaling.spread / self._site_scale(site), unit) - reference
        return ScanScale(
            np.nan_to_num(relative).astype(np.float32),
            log_power_shares(self._before_upsampling(series, scaling)),  # missing regions are 0
            scaling.n_frames * tr,
            tr,
        )

    def inverse(self, series: Tensor | ArrayLike, scaling: Scaling) -> NDArray[np.float64]:
        """Scan of a whole normalised series, in its own units and frames.

        Exact for values that were not clipped. The upsampling of a short scan is undone exactly,
        since linear interpolation to more frames loses nothing.

        Parameters
        ----------
        series : array_like, shape (T', N)
            Not cut into windows.
        scaling : Scaling
            From `normalise_with_scaling` of this scan.

        Returns
        -------
        ndarray of float64, shape (T_i, N)

        Raises
        ------
        InputError
            If the scan was resampled to another repetition time, or the series has another
            number of frames.
        """
        values = scaling.undo(series)
        if scaling.ratio != 1:
            raise InputError(
                f"scaling: the scan was resampled by {scaling.ratio}, which has no exact "
                "inverse; call scaling.undo for its units at the target repetition time"
            )
        expected = max(scaling.n_frames, self.n_frames)
        if len(values) != expected:
            raise InputError(f"series: {len(values)} frames; give all {expected} of the scan")
        is_upsampled = expected > scaling.n_frames
        return undo_upsampling(values, scaling.n_frames) if is_upsampled else values

    def cut(self, series: Tensor) -> Tensor:
        """Windows of a series in order, by the option `windows`; shape (n_windows, T, N)."""
        return torch.stack([series[s : s + self.n_frames] for s in self.starts(len(series))])

    def starts(self, n_frames: int) -> list[int]:
        """First frame of each window of a series of ``n_frames`` frames.

        Examples
        --------
        >>> TimeSeriesProcessor(n_frames=40).starts(100)
        [0, 40]
        >>> TimeSeriesProcessor(n_frames=40, windows="cover").starts(100)
        [0, 40, 60]
        """
        last = n_frames - self.n_frames
        if self.windows == "clip":
            return [0]
        starts = list(range(0, last + 1, self.n_frames))
        if self.windows == "cover" and starts[-1] < last:
            starts.append(last)
        return starts

    def random_window(self, series: Tensor, rng: np.random.Generator) -> Tensor:
        """One window of T frames at a start drawn from ``rng``; shape (T, N).

        For training: whatever `windows` is, it may start anywhere in the scan.
        """
        start = int(rng.integers(len(series) - self.n_frames + 1))
        return series[start : start + self.n_frames]

    def is_upsampled(self, n_frames: int, tr: float) -> bool:
        """Whether a scan of ``n_frames`` frames is upsampled to the length of a window."""
        ratio = resampling_ratio(tr, self.target_tr)
        return resampled_length(n_frames, ratio) < self.n_frames

    def to_dict(self) -> dict[str, Any]:
        """Parameters and fitted statistics, ready for JSON."""
        state = {
            "n_frames": self.n_frames,
            "target_tr": self.target_tr,
            "clip": self.clip,
            "windows": self.windows,
            "site_scale": self.site_scale_,
            "pooled_scale": self.pooled_scale_,
            "n_scans": self.n_scans_,
        }
        if self.pooled_log_amplitude_ is not None:
            state["pooled_log_amplitude"] = nan_to_none(self.pooled_log_amplitude_)
            state["site_log_amplitude"] = {
                site: nan_to_none(values) for site, values in self.site_log_amplitude_.items()
            }
        return state

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Processor that `to_dict` described."""
        # Tokenizers that were saved before this option existed took all windows.
        windows = state.get("windows", "all")
        processor = cls(state["n_frames"], state["target_tr"], state["clip"], windows)
        processor.site_scale_ = dict(state["site_scale"])
        processor.pooled_scale_ = state["pooled_scale"]
        processor.n_scans_ = state["n_scans"]
        # Those that were saved before amplitudes were kept have none.
        if "pooled_log_amplitude" in state:
            processor.pooled_log_amplitude_ = none_to_nan(state["pooled_log_amplitude"])
            processor.site_log_amplitude_ = {
                site: none_to_nan(values) for site, values in state["site_log_amplitude"].items()
            }
        return processor

    def _site_scale(self, site: str | None) -> float:
        return self.site_scale_.get(site, self.pooled_scale_) if site else self.pooled_scale_

    @staticmethod
    def _before_upsampling(series: Tensor, scaling: Scaling) -> NDArray[np.float64]:
        """Series whose frames are the target repetition time apart, also of a short scan."""
        values = series.numpy().astype(np.float64)
        n_frames = resampled_length(scaling.n_frames, scaling.ratio)
        return undo_upsampling(values, n_frames) if n_frames < len(values) else values

    def _standardise(
        self, timeseries: ArrayLike, tr: float
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], Scaling]:
        values, mask, constant = present_regions(timeseries)
        n_frames, ratio = len(values), resampling_ratio(tr, self.target_tr)
        values = resample(values, ratio)
        if len(values) < self.n_frames:
            values = upsample(values, self.n_frames)
        values, median, spread = robust_z(values, mask)
        center = np.where(mask, median, constant)
        return values, spread > 0, Scaling(center, spread, n_frames, ratio)


class _TrainingScan(NamedTuple):
    """What `TimeSeriesProcessor.fit` keeps of a scan: mean square, and log spread by region."""

    power: float
    log_spread: NDArray[np.float64]


def _check_training_scans(scans: Sequence[_TrainingScan], n_given: int) -> None:
    if not scans:
        raise InputError(
            f"timeseries: {n_given} scans, and no region that varies in any of them; "
            "give training scans with signal"
        )
    sizes = sorted({len(scan.log_spread) for scan in scans})
    if len(sizes) > 1:
        raise InputError(
            f"timeseries: scans of {sizes[0]} and of {sizes[-1]} regions; give scans of one "
            "parcellation"
        )


def _averages(scans: Sequence[_TrainingScan]) -> tuple[float, NDArray[np.float64]]:
    """Root mean square of scans, and the mean log spread of each region."""
    scale = float(np.sqrt(np.mean([scan.power for scan in scans])))
    return scale, mean_of_known([scan.log_spread for scan in scans])
