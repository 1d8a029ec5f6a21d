"""A cohort folder back to scans."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.cohort.schema import (
    SCHEMA,
)
from fmri_descriptors.cohort.splits import SPLITS
from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.readers.errors import reading
from fmri_descriptors.scan import Scan
from fmri_descriptors.utils.arrow_arrays import matrices
from fmri_descriptors.utils.files import read_json

if TYPE_CHECKING:
    from pyarrow import RecordBatch


@dataclass(frozen=True, eq=False)
class StoredScan:
    """A scan as a cohort stores it, in memory that nothing was copied into.

    Parameters
    ----------
    scan_id, subject, session, site : str
        As in `Scan`.
    tr : float
        Repetition time, in seconds.
    bold : ndarray of float32, (T, N)
        z-scored signal, read-only; float16 in a cohort that an earlier version wrote.
    mean, std : ndarray of float32, (N,)
        Of each region; raw = bold * std + mean, and ``std`` 0 marks a masked region.
    """

    scan_id: str
    subject: str
    session: str | None
    site: str | None
    tr: float
    bold: NDArray[np.floating]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]


class Cohort:
    """A cohort directory, read one scan at a time.

    Parameters
    ----------
    directory : Path
        What `write_cohort` wrote.

    Attributes
    ----------
    parcellation : Parcellation
        The regions of every scan.
    document : dict
        Content of ``cohort.json``.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory)
        self.document = _read_document(self.directory)
        self.parcellation = Parcellation.from_dict(
            self.document, str(self.directory / "cohort.json")
        )
        self._dataset = _load_dataset(self.directory, self.document)

    def __len__(self) -> int:
        return sum(self.n_scans(split) for split in SPLITS)

    def n_scans(self, split: str) -> int:
        """Return the number of scans of a split."""
        return len(self._dataset[split]) if split in self._dataset else 0

    def sites(self) -> dict[str, str | None]:
        """Return the site of every scan, by scan id."""
        rows = self.rows(["scan_id", "site"])
        return {str(row["scan_id"]): _text(row["site"]) for row in rows}

    def subjects(self) -> dict[str, str]:
        """Return the subject of every scan, by scan id."""
        return {str(row["scan_id"]): str(row["sub"]) for row in self.rows(["scan_id", "sub"])}

    def scans(self, split: str, start: int = 0, stop: int | None = None) -> Iterator[Scan]:
        """Give the scans of a split, in their stored order and raw units.

        Parameters
        ----------
        split : str
            ``"train"``, ``"validation"`` or ``"test"``.
        start, stop : int
            First position, and the one after the last; the whole split if not given.

        Raises
        ------
        InputError
            If a stored scan is damaged.
        """
        for stored in self.stored(split, start, stop):
            series = stored.bold.astype(np.float64)
            series *= stored.std
            series += stored.mean
            # A masked region carries no spread; NaN says that it is missing, whatever its mean.
            series[:, stored.std == 0] = np.nan
            yield Scan(
                series,
                stored.tr,
                self.parcellation,
                stored.scan_id,
                stored.subject,
                session=stored.session,
                site=stored.site,
            )

    def rows(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Give some columns of every scan, split by split, without reading its series.

        Parameters
        ----------
        columns : sequence of str
            Names of columns, such as ``"scan_id"`` or a phenotype.
        """
        for split in SPLITS:
            if split in self._dataset:
                yield from self._dataset[split].select_columns(list(columns))

    def stored(self, split: str, start: int = 0, stop: int | None = None) -> Iterator[StoredScan]:
        """Give the scans of a split as they are stored, without copying a signal.

        Parameters
        ----------
        split : str
            ``"train"``, ``"validation"`` or ``"test"``.
        start, stop : int
            First position, and the one after the last; the whole split if not given.

        Raises
        ------
        InputError
            If a stored scan is damaged.
        """
        if split not in self._dataset:
            return
        length = self.n_scans(split) if stop is None else stop
        for batch in self._dataset[split].data.slice(start, length - start).to_batches():
            yield from self._stored_in(batch)

    def _stored_in(self, batch: "RecordBatch") -> Iterator[StoredScan]:
        import pyarrow as pa

        plain = batch.select(["scan_id", "sub", "ses", "site", "tr"]).to_pylist()
        arrays = [matrices(pa.chunked_array([batch.column(name)])) for name in _ARRAYS]
        try:
            for row, (bold, mean, std) in zip(plain, zip(*arrays, strict=True), strict=True):
                yield StoredScan(
                    str(row["scan_id"]),
                    str(row["sub"]),
                    _text(row["ses"]),
                    _text(row["site"]),
                    # float32 holds six digits; more would be the rounding's own.
                    round(row["tr"], 6),
                    bold,
                    mean[0],
                    std[0],
                )
        except (ValueError, TypeError, pa.ArrowException) as error:
            raise InputError(f"{self.directory}: damaged ({error}); make it again") from error


_ARRAYS = ("bold", "mean", "std")


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _read_document(directory: Path) -> dict[str, Any]:
    path = directory / "cohort.json"
    if not path.is_file():
        raise InputError(f"{directory}: no cohort.json; give a folder that `fmri cohort` wrote")
    document = read_json(path)
    schema = document.get("schema")
    if not isinstance(schema, int) or schema > SCHEMA:
        raise InputError(
            f"{directory}: cohort of schema {schema!r}, but this version reads up to {SCHEMA}; "
            "upgrade fmri-descriptors"
        )
    if not isinstance(document.get("splits"), dict):
        raise InputError(f"{path}: no 'splits' entry; make the cohort again")
    return document


def _load_dataset(directory: Path, document: Mapping[str, Any]) -> Any:
    from datasets import load_from_disk

    with reading(directory, "a dataset directory", "make it again"):
        dataset = load_from_disk(str(directory))
    for split, scan_ids in document["splits"].items():
        n_rows = len(dataset[split]) if split in dataset else 0
        if n_rows != len(scan_ids):
            raise InputError(
                f"{directory}: split {split!r} has {n_rows} scans, but cohort.json lists "
                f"{len(scan_ids)}; make the cohort again"
            )
    return dataset


def read_cohort(directory: Path) -> Cohort:
    """Open a cohort directory.

    Parameters
    ----------
    directory : Path
        What `write_cohort` wrote.

    Returns
    -------
    Cohort
        Give a split to its ``scans`` to iterate over that split.

    Raises
    ------
    InputError
        If the folder is no cohort, is damaged, or has a schema newer than `SCHEMA`.
    """
    return Cohort(directory)
