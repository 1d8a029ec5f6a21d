"""The tokens directory: codes of windows by scan, and the record beside them.

V windows of a scan, W steps of a window, N regions.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fmri_vqtok.formats.json_files import read_description
from fmri_vqtok.formats.splits import read_splits
from fmri_vqtok.scan_scale import ScanScale

if TYPE_CHECKING:
    from datasets import Dataset

SCHEMA = 1
"""Newest layout of ``tokens.json`` that this version reads, and the one it writes."""

FIX = "give the folder that `fmri tokenize` wrote"


class ScanWindows(NamedTuple):
    """Codes of some windows of a scan.

    Attributes
    ----------
    codes : ndarray of int64, shape (V, W, N)
    region_mask : ndarray of bool, shape (N,)
        False for a region without signal.
    new : ndarray of bool, shape (V, W)
        False for a step with frames of the window before.
    """

    codes: NDArray[np.int64]
    region_mask: NDArray[np.bool_]
    new: NDArray[np.bool_]


class TokenTable:
    """Windows of one split, by scan.

    Parameters
    ----------
    table : datasets.Dataset
        Columns scan_id, window, codes (W, N) and mask (N,), which is False for a region
        without signal. There may also be new (W,), which is False for a step with frames of the
        window before; log_amplitude, spectrum, n_seconds and tr, the fields of a `ScanScale`, in
        all windows; and covariance (N, N), in the first window of a scan.

    Attributes
    ----------
    by_scan : dict of str to list of int
        Row numbers of each scan's windows, in the order of the windows.
    scan_ids : list of str
        In the order of the table.
    """

    def __init__(self, table: "Dataset") -> None:
        columns = [name for name in ("codes", "mask", "new") if name in table.column_names]
        self._table = table.with_format("numpy", columns=columns)
        self._whole = table
        self.by_scan: dict[str, list[int]] = {}
        places = list(table["window"])
        for number, scan_id in enumerate(table["scan_id"]):
            self.by_scan.setdefault(scan_id, []).append(number)
        for numbers in self.by_scan.values():
            numbers.sort(key=lambda number: places[number])
        self.scan_ids: list[str] = list(self.by_scan)

    @classmethod
    def read(cls, directory: Path, split: str) -> Self:
        """Windows of a split of a tokens folder; none if the folder lacks the split.

        Raises
        ------
        InputError
            If the folder holds no tokens, or broken ones.
        """
        columns = ["scan_id", "window", "codes", "mask"]
        optional = ["new", *ScanScale._fields, "covariance"]
        tables = read_splits(directory, FIX, columns, optional=optional)
        return cls(tables[split] if split in tables else next(iter(tables.values())).select([]))

    def __len__(self) -> int:
        return sum(map(len, self.by_scan.values()))

    def windows(self, scan_id: str, numbers: Sequence[int] | None = None) -> ScanWindows:
        """All windows of a scan in order, or those with some numbers."""
        own = self.by_scan[scan_id]
        rows = self._table[own if numbers is None else [own[k] for k in numbers]]
        codes = np.asarray(rows["codes"], dtype=np.int64)
        new = rows["new"] if "new" in rows else np.ones(codes.shape[:2])
        region_mask = np.asarray(rows["mask"], dtype=bool)[0]
        return ScanWindows(codes, region_mask, np.asarray(new, dtype=bool))

    def scale(self, scan_id: str) -> ScanScale | None:
        """Read what normalisation took out of a scan; None for tokens without it."""
        values = self._of_scan(scan_id, ScanScale._fields)
        if values is None:
            return None
        log_amplitude, spectrum, n_seconds, tr = values
        return ScanScale(
            np.asarray(log_amplitude, dtype=np.float32),
            np.asarray(spectrum, dtype=np.float32),
            float(n_seconds),
            float(tr),
        )

    def covariance(self, scan_id: str) -> NDArray[np.float32] | None:
        """Covariance of a scan's regions, shape (N, N); None for tokens without it."""
        values = self._of_scan(scan_id, ["covariance"])
        return None if values is None else np.asarray(values[0], dtype=np.float32)

    def _of_scan(self, scan_id: str, columns: Sequence[str]) -> list[Any] | None:
        """Values in the first window of a scan; None if the columns are absent."""
        if not set(columns) <= set(self._whole.column_names):
            return None
        row = self._whole.with_format("numpy", columns=list(columns))[self.by_scan[scan_id][0]]
        return [row[name] for name in columns]


def read_tokens_record(directory: Path) -> dict[str, Any]:
    """Read ``tokens.json``: schema, fingerprints, order hash and sizes of a tokens folder.

    Raises
    ------
    InputError
        If there is none or a broken one, or its schema is newer than this package knows.
    """
    keys = ("order_hash", "n_codes", "n_steps", "n_regions")
    return read_description(directory / "tokens.json", SCHEMA, FIX, keys=keys)
