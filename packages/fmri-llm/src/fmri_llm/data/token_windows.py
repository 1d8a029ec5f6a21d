"""Brain tokens of a split by scan: the windows of a scan concatenated to one series of steps.

V windows of a scan, W steps of a window, N regions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmri_vqtok.formats.tokens import TokenTable

__all__ = ["ScanTokens", "TokenWindows", "in_order", "spread"]


class ScanTokens(NamedTuple):
    """Brain tokens of the windows of a scan, concatenated.

    Attributes
    ----------
    codes : ndarray of int, shape (V * W, N)
    region_mask : ndarray of bool, shape (N,)
        False for a region without signal.
    follows : ndarray of bool, shape (V * W,)
        True for a step whose frames directly follow those of the step before and are in no
        earlier step: a target of next-step prediction.
    """

    codes: NDArray[np.int64]
    region_mask: NDArray[np.bool_]
    follows: NDArray[np.bool_]


class TokenWindows(TokenTable):
    """Windows of brain tokens of one split, as a model is shown them."""

    def scan(self, scan_id: str, max_windows: int | None = None) -> ScanTokens:
        """All windows of a scan in order, or at most `max_windows` spread evenly over it."""
        shown = spread(len(self.by_scan[scan_id]), max_windows)
        codes, region_mask, new = self.windows(scan_id, shown)
        return ScanTokens(np.concatenate(codes), region_mask, _follows(new, shown))

    def n_left_out(self, max_windows: int | None) -> int:
        """Windows of all scans that `scan` leaves out."""
        kept = (len(spread(len(numbers), max_windows)) for numbers in self.by_scan.values())
        return len(self) - sum(kept)

    def most_windows(self, max_windows: int | None) -> int:
        """Most windows that `scan` gives of any scan; 0 without a scan."""
        counts = map(len, self.by_scan.values())
        return max((len(spread(n, max_windows)) for n in counts), default=0)


def spread(n_windows: int, most: int | None) -> list[int]:
    """Choose at most `most` windows, evenly from the first to the last, or the middle one."""
    if most is None or n_windows <= most:
        return list(range(n_windows))
    if most == 1:
        return [n_windows // 2]
    return [round(k * (n_windows - 1) / (most - 1)) for k in range(most)]


def in_order(codes: NDArray[np.int64], max_windows: int | None = None) -> NDArray[np.int64]:
    """Codes (V, W, N) of the windows of a scan as one series of steps, shape (V * W, N)."""
    windows = np.asarray(codes, dtype=np.int64)
    return np.concatenate(windows[spread(len(windows), max_windows)])


def _follows(new: NDArray[np.bool_], shown: list[int]) -> NDArray[np.bool_]:
    """Mark new steps, except the first of a window whose predecessor is left out."""
    follows = new.copy()
    for place, number in enumerate(shown):
        if place == 0 or shown[place - 1] != number - 1:
            follows[place, 0] = False
    return np.concatenate(follows)
