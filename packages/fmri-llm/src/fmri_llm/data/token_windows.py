"""Brain tokens of a split by scan: the windows of a scan concatenated to one series of steps.

V windows of a scan, W steps of a window, N regions, F frequency bands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmri_llm.brain_input.signal_windows import spread
from fmri_vqtok.formats.tokens import TokenTable

__all__ = ["ScanTokens", "TokenWindows"]


@dataclass(frozen=True, eq=False)
class ScanTokens:
    """What the tokens folder holds of a scan; see `fmri_llm.brain_input.scans.BrainScans`.

    Attributes
    ----------
    codes : ndarray of int64, shape (V * W, N)
    region_mask : ndarray of bool, shape (N,)
        False for a region without signal.
    new_steps : ndarray of bool, shape (V * W,)
        False for a step with frames of an earlier window.
    log_amplitude : ndarray of float32, shape (N,), or None
    spectrum : ndarray of float32, shape (F,), or None
    covariance : ndarray of float32, shape (N, N), or None
    """

    codes: NDArray[np.int64]
    region_mask: NDArray[np.bool_]
    new_steps: NDArray[np.bool_]
    log_amplitude: NDArray[np.float32] | None = None
    spectrum: NDArray[np.float32] | None = None
    covariance: NDArray[np.float32] | None = None


class TokenWindows(TokenTable):
    """Windows of brain tokens of one split, as a model is shown them."""

    def scan(self, scan_id: str) -> ScanTokens:
        """All windows of a scan in order."""
        codes, region_mask, new = self.windows(scan_id)
        scale = self.scale(scan_id)
        return ScanTokens(
            np.concatenate(codes),
            region_mask,
            np.concatenate(new),
            None if scale is None else scale.log_amplitude,
            None if scale is None else scale.spectrum,
            self.covariance(scan_id),
        )

    def n_left_out(self, max_windows: int | None) -> int:
        """Windows of all scans that are not read as signal tokens."""
        kept = (len(spread(len(numbers), max_windows)) for numbers in self.by_scan.values())
        return len(self) - sum(kept)

    def most_windows(self, max_windows: int | None) -> int:
        """Most windows that are read of any scan as signal tokens; 0 without a scan."""
        counts = map(len, self.by_scan.values())
        return max((len(spread(n, max_windows)) for n in counts), default=0)
