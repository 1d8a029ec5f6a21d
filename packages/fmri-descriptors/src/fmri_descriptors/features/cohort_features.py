"""Features of every scan of a cohort: in parallel, and from where an earlier run stopped."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from fmri_descriptors.cohort.read import Cohort, read_cohort
from fmri_descriptors.cohort.splits import SPLITS
from fmri_descriptors.features.extractor import FeatureExtractor
from fmri_descriptors.utils.files import atomic_write
from fmri_descriptors.utils.parallel import map_ordered

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 16
"""Scans that are measured, and kept, together."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive scans of a split, and the file that keeps their features.

    Parameters
    ----------
    cohort, extractor : Path
        Directories of the cohort and of the fitted extractor.
    split : str
        Split that the scans are in.
    start, stop : int
        The scans' positions in the split.
    part : Path
        Parquet file with their features, one row a scan.
    """

    cohort: Path
    extractor: Path
    split: str
    start: int
    stop: int
    part: Path

    @property
    def n_scans(self) -> int:
        """Number of scans."""
        return self.stop - self.start


def cohort_chunks(cohort: Cohort, extractor: Path, parts: Path) -> Iterator[Chunk]:
    """Cut a cohort into chunks, split by split, in the stored order."""
    for split in SPLITS:
        n_scans = cohort.n_scans(split)
        for start in range(0, n_scans, CHUNK):
            stop = min(start + CHUNK, n_scans)
            part = parts / f"{split}-{start:07d}.parquet"
            yield Chunk(cohort.directory, extractor, split, start, stop, part)


def measure_cohort(
    cohort: Cohort,
    extractor: Path,
    parts: Path,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple["pd.DataFrame", "pd.Series[str]", dict[str, dict[str, str]]]:
    """Measure every scan of a cohort; chunks that are on disk already are not measured again.

    Parameters
    ----------
    cohort : Cohort
        What to measure.
    extractor : Path
        Directory that a fitted extractor was saved into.
    parts : Path
        An existing directory that keeps each chunk's features as soon as it is measured.
    jobs, scheduler
        As in `map_ordered`. Workers of a cluster must see both directories under the same paths.
    progress : callable
        Called with the number of scans of each chunk as it is done.

    Returns
    -------
    features : DataFrame
        One row a scan, indexed by scan id; the same numbers for any number of workers.
    splits : Series
        Split of each scan.
    reasons : dict of str to dict
        Why features are missing, as `FeatureExtractor.transform` reports it, by scan id.

    Raises
    ------
    InputError
        If a scan's regions differ from those of the extractor.
    """
    import pandas as pd

    chunks = list(cohort_chunks(cohort, extractor, parts))
    for done in map_ordered(_measured, chunks, jobs, scheduler):
        progress(done)
    parts_read = [pd.read_parquet(chunk.part) for chunk in chunks]
    reasons = {i: why for part in parts_read for i, why in part.attrs["reasons"].items()}
    features = pd.concat(parts_read)
    features.attrs = {
        "parcellation": cohort.parcellation.name,
        "order_hash": cohort.parcellation.order_hash,
    }
    splits = [chunk.split for chunk in chunks for _ in range(chunk.n_scans)]
    return features, pd.Series(splits, index=features.index, name="split", dtype=object), reasons


def _measured(chunk: Chunk) -> int:
    """Write the features of a chunk unless they are there; return its number of scans."""
    if not chunk.part.is_file():
        scans = _opened_cohort(chunk.cohort).scans(chunk.split, chunk.start, chunk.stop)
        features = _opened_extractor(chunk.extractor).transform(scans)
        with atomic_write(chunk.part) as unfinished:
            features.to_parquet(unfinished)
    return chunk.n_scans


@lru_cache(maxsize=1)
def _opened_cohort(directory: Path) -> Cohort:
    return read_cohort(directory)


@lru_cache(maxsize=1)
def _opened_extractor(directory: Path) -> FeatureExtractor:
    return FeatureExtractor.load(directory)
