"""Brain tokens of a split by scan: the windows of a scan concatenated to one series of steps.

V windows of a scan, W steps of a window, N regions.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmri_vqtok.formats.reading import read_description, read_splits

if TYPE_CHECKING:
    import datasets

__all__ = ["ScanTokens", "TokenWindows", "in_order", "read_tokens_record", "spread"]

TOKENS_SCHEMA = 1
TOKENS_FIX = "give the folder that tokenize wrote"


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


class TokenWindows:
    """Windows of brain tokens of one split, by scan.

    Parameters
    ----------
    table : datasets.Dataset
        Columns scan_id, window, codes (W, N) and mask (N,), which is False for a region
        without signal; and new (W,), which is False for a step with frames of the window before
        (absent where no windows overlap).
    """

    def __init__(self, table: datasets.Dataset) -> None:
        columns = [name for name in ("codes", "mask", "new") if name in table.column_names]
        self._table = table.with_format("numpy", columns=columns)
        self.by_scan: dict[str, list[int]] = {}
        places = list(table["window"])
        for number, scan_id in enumerate(table["scan_id"]):
            self.by_scan.setdefault(scan_id, []).append(number)
        for numbers in self.by_scan.values():
            numbers.sort(key=lambda number: places[number])
        self.scan_ids: list[str] = list(self.by_scan)

    @classmethod
    def read(cls, directory: Path, split: str) -> TokenWindows:
        """Windows of a split of a tokens folder; none if the folder lacks the split.

        Raises
        ------
        InputError
            If the folder holds no tokens, or broken ones.
        """
        tables = read_splits(directory, ["scan_id", "window", "codes", "mask"], TOKENS_FIX)
        return cls(tables[split] if split in tables else next(iter(tables.values())).select([]))

    def __len__(self) -> int:
        return sum(map(len, self.by_scan.values()))

    def scan(self, scan_id: str, max_windows: int | None = None) -> ScanTokens:
        """All windows of a scan in order, or at most `max_windows` spread evenly over it."""
        numbers = self.by_scan[scan_id]
        shown = spread(len(numbers), max_windows)
        rows = self._table[[numbers[k] for k in shown]]
        codes = np.asarray(rows["codes"], dtype=np.int64)
        region_mask = np.asarray(rows["mask"], dtype=bool)[0]
        new = (
            np.asarray(rows["new"], dtype=bool) if "new" in rows else np.ones(codes.shape[:2], bool)
        )
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


def read_tokens_record(directory: Path) -> dict[str, Any]:
    """Read ``tokens.json``: schema, fingerprints, order hash and sizes of a tokens folder.

    Raises
    ------
    InputError
        If there is none or a broken one, or its schema is newer than this package knows.
    """
    return read_description(
        directory / "tokens.json",
        TOKENS_SCHEMA,
        TOKENS_FIX,
        keys=("order_hash", "n_codes", "n_steps", "n_regions"),
        package="fmri-llm",
    )


def _follows(new: NDArray[np.bool_], shown: list[int]) -> NDArray[np.bool_]:
    """Mark new steps, except the first of a window whose predecessor is left out."""
    follows = new.copy()
    for place, number in enumerate(shown):
        if place == 0 or shown[place - 1] != number - 1:
            follows[place, 0] = False
    return np.concatenate(follows)
