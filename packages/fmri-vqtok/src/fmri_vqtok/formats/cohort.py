"""The cohort directory: signals for the tokenizer, and a table of its scans for tasks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.json_files import read_description
from fmri_vqtok.formats.names import SPLITS
from fmri_vqtok.formats.splits import read_splits

if TYPE_CHECKING:
    import pandas as pd
    from datasets import DatasetDict

SCHEMA = 1
"""Newest layout of ``cohort.json`` that this version reads."""

SIGNAL_COLUMNS = ("bold", "mean", "std")

FIX = "give the folder that `fmri cohort` wrote"


@dataclass(frozen=True)
class CohortScan:
    """One scan of a cohort.

    Attributes
    ----------
    scan_id : str
    bold : ndarray of float32, shape (T, N)
    tr : float
        Repetition time in seconds.
    site : str or None
    unit : ndarray of float32, shape (N,)
        What 1 of each region's `bold` is in the units of the recording; 1 where the cohort does
        not say.
    """

    scan_id: str
    bold: NDArray[np.float32]
    tr: float
    site: str | None
    unit: NDArray[np.float32]


class Cohort:
    """A cohort directory: what its scans share, and the scans of each split.

    Parameters
    ----------
    directory : Path

    Attributes
    ----------
    parcellation, order_hash : str
    labels : list of str
        Names of the regions, in order.
    networks : list of str, or None
        Network of each region.
    centroids : list of list of float, or None
        Centre of each region in mm; None where the parcellation has none.

    Raises
    ------
    InputError
        If the folder is no cohort or a broken one, or is of a newer schema.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        keys = ("parcellation", "order_hash", "labels")
        description = read_description(directory / "cohort.json", SCHEMA, FIX, keys=keys)
        self.parcellation: str = description["parcellation"]
        self.order_hash: str = description["order_hash"]
        self.labels: list[str] = description["labels"]
        self.networks: list[str] | None = description.get("networks")
        self.centroids: list[list[float]] | None = description.get("centroids")

    @property
    def n_regions(self) -> int:
        """N."""
        return len(self.labels)

    def splits(self) -> list[str]:
        """Names of the splits that hold scans."""
        return [name for name, rows in self._dataset().items() if len(rows)]

    def scan_ids(self, split: str) -> list[str]:
        """Names of the scans of a split, in their order."""
        return [str(scan_id) for scan_id in self._dataset()[split]["scan_id"]]

    def scans(self, split: str, places: range | None = None) -> Iterator[CohortScan]:
        """Read the scans of a split, or those at some places in it, one at a time."""
        table = self._dataset()[split]
        rows = table if places is None else table.select(places)
        for row in rows.with_format("numpy"):
            bold = np.asarray(row["bold"], dtype=np.float32)
            unit = row.get("std", np.ones(bold.shape[1:]))
            yield CohortScan(
                scan_id=str(row["scan_id"]),
                bold=bold,
                tr=float(row["tr"]),
                site=None if row["site"] is None else str(row["site"]),
                unit=np.asarray(unit, dtype=np.float32).reshape(-1),
            )

    def content(self, splits: Sequence[str]) -> Iterator[Any]:
        """All that some splits hold, for a digest: names, times, sites, signals and units."""
        for split in splits:
            for scan in self.scans(split):
                yield [scan.scan_id, scan.tr, scan.site, self.order_hash]
                yield scan.bold
                yield scan.unit

    def _dataset(self) -> "DatasetDict":
        columns = ["scan_id", "bold", "tr", "site"]
        return read_splits(self.directory, FIX, columns, optional=["std"])


def read_scan_table(directory: Path) -> "pd.DataFrame":
    """Table of a cohort without its signals, one row per scan.

    Parameters
    ----------
    directory : Path
        A cohort directory.

    Returns
    -------
    pandas.DataFrame
        Index ``scan_id`` in ascending order, whatever the order on disk; the cohort's columns (with
        phenotypes) and ``split``.

    Raises
    ------
    InputError
        If the folder cannot be read, is of a newer schema, has a scan twice, or has a subject in
        two splits.
    """
    import pandas as pd

    read_description(directory / "cohort.json", SCHEMA, FIX)
    tables = read_splits(directory, FIX)
    frames = [
        tables[split]
        .remove_columns([name for name in SIGNAL_COLUMNS if name in tables[split].column_names])
        .to_pandas()
        .assign(split=split)
        for split in SPLITS
        if split in tables
    ]
    table = pd.concat(frames).set_index("scan_id").sort_index()
    duplicates = table.index[table.index.duplicated()]
    if len(duplicates):
        raise InputError(f"{directory}: duplicate scan {duplicates[0]}; give each scan its own id")
    for subject, splits in table.groupby("sub")["split"].unique().items():
        if len(splits) > 1:
            raise InputError(
                f"{directory}: subject {subject} is in {' and '.join(sorted(splits))}; "
                "split the cohort by subject"
            )
    return table
