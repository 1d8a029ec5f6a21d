"""Scans of a cohort directory, and the captions that belong to them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmri_vqtok.digest import digest
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.reading import read_description, read_rows, read_splits, reading
from fmri_vqtok.text.sentences import split_sentences

if TYPE_CHECKING:
    from datasets import DatasetDict

SCHEMA = 1
"""Newest layout of ``cohort.json`` that this version reads."""

ALL = "all"
"""What stands for a domain in a caption over all of them."""

Caption = dict[str, list[str]]
"""Sentences of a scan by domain."""

COHORT_FIX = "give the folder that `fmri cohort` wrote"
CAPTIONS_FIX = "give the folder that `fmri describe` wrote"


@dataclass(frozen=True)
class CohortScan:
    """One recording of a cohort.

    Attributes
    ----------
    scan_id : str
    bold : ndarray of float32, shape (T, N)
    tr : float
        Repetition time in seconds.
    site : str or None
    """

    scan_id: str
    bold: NDArray[np.float32]
    tr: float
    site: str | None


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
    centroids : list of list of float, or None
        Centre of each region in mm; None where the parcellation has none.

    Raises
    ------
    InputError
        If the folder is no cohort or a broken one, or is of a newer schema.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        description = read_description(
            directory / "cohort.json",
            SCHEMA,
            COHORT_FIX,
            keys=("parcellation", "order_hash", "labels"),
        )
        self.parcellation: str = description["parcellation"]
        self.order_hash: str = description["order_hash"]
        self.labels: list[str] = description["labels"]
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
            yield CohortScan(
                scan_id=str(row["scan_id"]),
                bold=np.asarray(row["bold"], dtype=np.float32),
                tr=float(row["tr"]),
                site=None if row["site"] is None else str(row["site"]),
            )

    def digest(self, splits: Sequence[str]) -> str:
        """Digest of all that some splits hold: signals, names, repetition times and sites."""
        scans = (scan for split in splits for scan in self.scans(split))
        return digest(
            part
            for scan in scans
            for part in ([scan.scan_id, scan.tr, scan.site, self.order_hash], scan.bold)
        )

    def _dataset(self) -> "DatasetDict":
        return read_splits(self.directory, ["scan_id", "bold", "tr", "site"], COHORT_FIX)


def read_captions(descriptors_dir: Path, scan_ids: Sequence[str]) -> list[Caption]:
    """Sentences of each scan's caption by domain, in the order of ``scan_ids``.

    A rewritten paragraph goes before the template's. Where a scan has no paragraph of a single
    domain, the captions over all domains are read in their place, under "all".

    Raises
    ------
    InputError
        If there is no captions file or a broken one, or a scan has no caption in it.
    """
    path = descriptors_dir / "captions.jsonl"
    found: dict[str, Caption] = {scan_id: {} for scan_id in scan_ids}
    rows = read_rows(path, CAPTIONS_FIX, keys=("scan_id", "domain", "text"))
    for row in sorted(rows, key=lambda row: row.get("source") == "rewritten"):
        sentences = _sentences(row, path)
        if row["scan_id"] in found and sentences:
            found[row["scan_id"]][row["domain"]] = sentences
    captions = [found[scan_id] for scan_id in scan_ids]
    by_domain = [{d: texts[d] for d in texts if d != ALL} for texts in captions]
    if all(by_domain):
        return by_domain
    for scan_id, texts in zip(scan_ids, captions, strict=True):
        if ALL not in texts:
            raise InputError(
                f"{path}: no caption of scan {scan_id}; describe the cohort that is tokenized"
            )
    return [{ALL: texts[ALL]} for texts in captions]


def _sentences(row: dict[str, Any], path: Path) -> list[str]:
    """Sentences of a row, which says them itself or has only a text."""
    given = row.get("sentences")
    with reading(f"{path}: caption of scan {row['scan_id']}", CAPTIONS_FIX):
        if given is None:
            return split_sentences(row["text"])
        return [sentence["text"].strip() for sentence in given if sentence["text"].strip()]
