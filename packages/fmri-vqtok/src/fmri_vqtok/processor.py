"""Any recording turned into normalised windows of equal length and repetition time.

T frames, N regions. The steps follow section 4.1 of the fMRI-LM paper: resample to the target
repetition time, scale each region robustly over time, scale each site, cut into windows.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.signal import resample_poly
from torch import Tensor

from fmri_vqtok.errors import InputError

IQR_OF_NORMAL = 1.349
"""Interquartile range of the standard normal distribution."""

TR_TOLERANCE = 1e-3
"""Largest relative error of the resampled repetition time."""


class TimeSeriesProcessor:
    """Recordings of any length and repetition time turned into windows of T frames.

    Parameters
    ----------
    n_frames : int, default=160
        T, frames of a window.
    target_tr : float, default=2.0
        Repetition time of the windows, in seconds.
    clip : float, default=8.0
        Normalised values are clipped to plus and minus this.

    Attributes
    ----------
    site_scale_ : dict of str to float
        After `fit`: root mean square of the normalised training scans of each site.
    pooled_scale_ : float
        After `fit`: the same over all training scans; used for a site that `fit` did not see.
    n_scans_ : int
        After `fit`: number of training scans seen.

    Examples
    --------
    >>> import numpy as np
    >>> processor = TimeSeriesProcessor(n_frames=40, target_tr=2.0)
    >>> windows, mask = processor(np.random.default_rng(0).normal(size=(250, 3)), tr=0.72)
    >>> tuple(windows.shape), mask.tolist()
    ((2, 40, 3), [True, True, True])
    """

    def __init__(self, n_frames: int = 160, target_tr: float = 2.0, clip: float = 8.0) -> None:
        self.n_frames = n_frames
        self.target_tr = target_tr
        self.clip = clip
        self.site_scale_: dict[str, float] = {}
        self.pooled_scale_ = 1.0
        self.n_scans_ = 0

    def fit(
        self,
        timeseries: Sequence[ArrayLike],
        trs: Sequence[float],
        sites: Sequence[str | None] | None = None,
    ) -> Self:
        """Learn the scale of each site from training scans.

        Parameters
        ----------
        timeseries : sequence of array_like, shape (T_i, N)
        trs : sequence of float
            Repetition times in seconds.
        sites : sequence of str or None, optional
            Scans without a site count towards the pooled scale only.

        Returns
        -------
        TimeSeriesProcessor
            Itself.
        """
        names = sites if sites is not None else [None] * len(timeseries)
        powers: dict[str | None, list[float]] = {}
        for series, tr, site in zip(timeseries, trs, names, strict=True):
            values, mask = self._standardise(series, tr)
            powers.setdefault(site, []).append(float(np.mean(values[:, mask] ** 2)))
        everything = [power for group in powers.values() for power in group]
        self.pooled_scale_ = float(np.sqrt(np.mean(everything)))
        self.site_scale_ = {
            site: float(np.sqrt(np.mean(group)))
            for site, group in sorted(powers.items(), key=lambda item: str(item[0]))
            if site is not None
        }
        self.n_scans_ = len(everything)
        return self

    def __call__(
        self, timeseries: ArrayLike, tr: float, site: str | None = None
    ) -> tuple[Tensor, Tensor]:
        """All windows of a recording that do not overlap, and the mask of its regions.

        Parameters
        ----------
        timeseries : array_like, shape (T_i, N)
        tr : float
            Repetition time in seconds.
        site : str, optional

        Returns
        -------
        windows : Tensor of float32, shape (n_windows, T, N)
            Frames after the last whole window are left out; a recording shorter than T frames is
            interpolated linearly to T (see `stretches`). Missing regions are 0.
        mask : Tensor of bool, shape (N,)
            False for regions that are constant or have a value that is not finite.
        """
        series, mask = self.normalise(timeseries, tr, site)
        return self.cut(series), mask

    def normalise(
        self, timeseries: ArrayLike, tr: float, site: str | None = None
    ) -> tuple[Tensor, Tensor]:
        """Whole recording at the target repetition time, scaled by region and site, and clipped.

        Returns
        -------
        series : Tensor of float32, shape (T', N)
            T' is at least `n_frames`.
        mask : Tensor of bool, shape (N,)
        """
        values, mask = self._standardise(timeseries, tr)
        scale = self.site_scale_.get(site, self.pooled_scale_) if site else self.pooled_scale_
        clipped = np.clip(values / scale, -self.clip, self.clip).astype(np.float32)
        return torch.from_numpy(clipped), torch.from_numpy(mask)

    def cut(self, series: Tensor) -> Tensor:
        """Windows that do not overlap, from the first frame on; shape (n_windows, T, N)."""
        n_windows = len(series) // self.n_frames
        return series[: n_windows * self.n_frames].unflatten(0, (n_windows, self.n_frames))

    def random_window(self, series: Tensor, rng: np.random.Generator) -> Tensor:
        """One window of T frames at a start drawn from ``rng``; shape (T, N)."""
        start = int(rng.integers(len(series) - self.n_frames + 1))
        return series[start : start + self.n_frames]

    def stretches(self, n_frames: int, tr: float) -> bool:
        """Whether a recording of so many frames is interpolated up to the length of a window."""
        ratio = _resampling_ratio(tr, self.target_tr)
        return _resampled_length(n_frames, ratio) < self.n_frames

    def to_dict(self) -> dict[str, Any]:
        """Parameters and fitted statistics, ready for JSON."""
        return {
            "n_frames": self.n_frames,
            "target_tr": self.target_tr,
            "clip": self.clip,
            "site_scale": self.site_scale_,
            "pooled_scale": self.pooled_scale_,
            "n_scans": self.n_scans_,
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Processor that `to_dict` described."""
        processor = cls(state["n_frames"], state["target_tr"], state["clip"])
        processor.site_scale_ = dict(state["site_scale"])
        processor.pooled_scale_ = state["pooled_scale"]
        processor.n_scans_ = state["n_scans"]
        return processor

    def _standardise(
        self, timeseries: ArrayLike, tr: float
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        values, mask = _present_regions(timeseries)
        values = _resample(values, tr, self.target_tr)
        if len(values) < self.n_frames:
            values = _stretch(values, self.n_frames)
        return _robust_z(values, mask)


def _present_regions(timeseries: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Values with missing regions set to 0, and which regions are present."""
    values = np.array(timeseries, dtype=np.float64)
    if values.ndim != 2 or len(values) < 2:
        raise InputError(
            f"timeseries: shape {values.shape}; give frames by regions, with at least 2 frames"
        )
    mask = np.isfinite(values).all(axis=0)
    values[:, ~mask] = 0.0
    mask &= np.ptp(values, axis=0) > 0
    values[:, ~mask] = 0.0
    return values, mask


def _resampling_ratio(tr: float, target_tr: float) -> Fraction:
    """Fraction near tr / target_tr, with the smallest denominator bound that is near enough."""
    if not (np.isfinite(tr) and tr > 0):
        raise InputError(f"tr: {tr}; give the repetition time in seconds, above 0")
    exact = tr / target_tr
    bound = 50
    ratio = Fraction(exact).limit_denominator(bound)
    while abs(ratio / Fraction(exact) - 1) > TR_TOLERANCE:
        bound *= 2
        ratio = Fraction(exact).limit_denominator(bound)
    return ratio


def _resampled_length(n_frames: int, ratio: Fraction) -> int:
    return -(-n_frames * ratio.numerator // ratio.denominator)


def _resample(values: NDArray[np.float64], tr: float, target_tr: float) -> NDArray[np.float64]:
    """Values at the target repetition time; polyphase filtering keeps aliases out."""
    ratio = _resampling_ratio(tr, target_tr)
    if ratio == 1:
        return values
    # "line" extends each region along its trend, so that the edges do not ring.
    return resample_poly(values, ratio.numerator, ratio.denominator, axis=0, padtype="line")


def _stretch(values: NDArray[np.float64], n_frames: int) -> NDArray[np.float64]:
    """Linear interpolation between the first and the last frame."""
    old, new = np.linspace(0, 1, len(values)), np.linspace(0, 1, n_frames)
    return np.stack([np.interp(new, old, region) for region in values.T], axis=1)


def _robust_z(
    values: NDArray[np.float64], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Each region minus its median, over its IQR / 1.349; a region without spread is masked."""
    low, middle, high = np.percentile(values, [25, 50, 75], axis=0)
    spread = (high - low) / IQR_OF_NORMAL
    mask = mask & (spread > 0)
    scaled = (values - middle) / np.where(mask, spread, 1.0)
    scaled[:, ~mask] = 0.0
    return scaled, mask
