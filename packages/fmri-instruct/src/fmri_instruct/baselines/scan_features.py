"""What baselines see of the scans of a cohort: features by kind, a row a scan."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmri_instruct.baselines.connectome import connectome
from fmri_instruct.baselines.tangent import TangentSpace, shrunk_covariance
from fmri_instruct.tasks.labels import zscores_of
from fmri_vqtok.formats.cohort import Cohort, CohortScan, read_scan_table

__all__ = ["SPLITS_READ", "FeatureTable", "read_features"]

SPLITS_READ = ("train", "test")
"""Baselines are fitted on training scans and asked about test scans; no other is read."""

REFERENCE_SCANS = 200
"""Most training scans that the reference of the tangent space is the mean of, evenly chosen."""


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features of training and test scans, in order of scan id.

    Parameters
    ----------
    scan_ids, subjects, splits : tuple of str, (n,)
        Which scan a row is, whose, and in which split.
    sites : tuple of str, (n,)
        Where it was scanned; empty where that is not known.
    features : mapping of str to (n, F) ndarray
        By kind: ``connectome``, ``tangent`` and, where there are any, ``descriptors``. NaN where a
        value is missing.
    columns : mapping of str to tuple of str
        Names of the features of a kind, where they have names.
    """

    scan_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    splits: tuple[str, ...]
    sites: tuple[str, ...]
    features: Mapping[str, NDArray[np.float64]]
    columns: Mapping[str, tuple[str, ...]]

    def rows(self, split: str, scan_ids: Container[str]) -> list[int]:
        """Places of the scans of a split that are among some."""
        places = enumerate(zip(self.scan_ids, self.splits, strict=True))
        return [k for k, (scan_id, of) in places if of == split and scan_id in scan_ids]


def read_features(cohort_dir: Path, descriptors_dir: Path | None = None) -> FeatureTable:
    """Features of the training and test scans of a cohort.

    Parameters
    ----------
    cohort_dir : Path
        A cohort folder.
    descriptors_dir : Path, optional
        The descriptors of that cohort.

    Returns
    -------
    FeatureTable
        What is estimated, the reference of the tangent space, is estimated from training scans.

    Raises
    ------
    InputError
        If a folder cannot be read, or the descriptors are of a cohort with other splits.
    """
    known = read_scan_table(cohort_dir)
    known = known[known["split"].isin(SPLITS_READ)]
    scan_ids = tuple(map(str, known.index))
    by_scan = {scan.scan_id: connectome(scan.bold) for scan in _scans(cohort_dir, SPLITS_READ)}
    tangents = _tangents(cohort_dir)
    features = {
        "connectome": np.array([by_scan[scan_id] for scan_id in scan_ids]),
        "tangent": np.array([tangents[scan_id] for scan_id in scan_ids]),
    }
    columns: dict[str, tuple[str, ...]] = {}
    if descriptors_dir is not None:
        zscores = zscores_of(descriptors_dir, known).reindex(known.index)
        features["descriptors"] = zscores.to_numpy(dtype=np.float64)
        columns["descriptors"] = tuple(map(str, zscores.columns))
    return FeatureTable(
        scan_ids,
        tuple(known["sub"].astype(str)),
        tuple(known["split"]),
        tuple(known["site"].fillna("").astype(str)),
        features,
        columns,
    )


def _tangents(cohort_dir: Path) -> dict[str, NDArray[np.float64]]:
    """Tangent-space connectome of each scan, about the mean of training scans."""
    training = sorted(Cohort(cohort_dir).scan_ids("train"))
    places = np.linspace(0, len(training) - 1, min(len(training), REFERENCE_SCANS)).round()
    chosen = {training[int(place)] for place in places}
    by_scan = {
        scan.scan_id: shrunk_covariance(scan.bold)
        for scan in _scans(cohort_dir, SPLITS_READ[:1])
        if scan.scan_id in chosen
    }
    # In order of scan id: a sum of floats depends on its order.
    shown = [by_scan[scan_id] for scan_id in sorted(by_scan)]
    space = TangentSpace().fit(shown)
    return {
        scan.scan_id: space.transform([shrunk_covariance(scan.bold)])[0]
        for scan in _scans(cohort_dir, SPLITS_READ)
    }


def _scans(cohort_dir: Path, splits: Sequence[str]) -> Iterator[CohortScan]:
    cohort = Cohort(cohort_dir)
    there = cohort.splits()
    return (scan for split in splits if split in there for scan in cohort.scans(split))
