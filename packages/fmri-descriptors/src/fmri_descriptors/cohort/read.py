"""Scans to a dataset directory, and back."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.cohort.confounding import acquisition_confounds, confound_notes
from fmri_descriptors.cohort.convert import Converter, Crop, row_features
from fmri_descriptors.cohort.parts import Parts
from fmri_descriptors.cohort.schema import (
    REJECTED,
    SCHEMA,
    accounting,
    cohort_document,
    phenotype_kinds,
    write_rejected,
)
from fmri_descriptors.cohort.splits import SPLITS, split_subjects
from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation, load_parcellation
from fmri_descriptors.readers.base import Recording, Rejected, Source
from fmri_descriptors.readers.errors import reading
from fmri_descriptors.readers.fingerprint import listing_digest
from fmri_descriptors.scan import Scan
from fmri_descriptors.settings import CohortSettings
from fmri_descriptors.utils.arrow_arrays import matrices
from fmri_descriptors.utils.files import read_json, write_json
from fmri_descriptors.utils.parallel import map_ordered

if TYPE_CHECKING:
    from pyarrow import RecordBatch


_NOTES_SHOWN = 8  # in the summary; cohort.json has them all


@dataclass(frozen=True, kw_only=True)
class WriteOptions:
    """How a cohort is written; none of these changes a byte of it.

    Parameters
    ----------
    jobs : int
        Processes that read and convert.
    scheduler : str, optional
        Address of a Dask scheduler whose workers do it instead.
    strict : bool
        Fail at the first scan that cannot be used.
    """

    jobs: int = 1
    scheduler: str | None = None
    strict: bool = False


def write_cohort(
    source: Source,
    directory: Path,
    settings: CohortSettings,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda *_: None,
    options: WriteOptions = WriteOptions(),
) -> str:
    """Write a cohort directory, holding one recording a process at a time.

    The directory is a `datasets.DatasetDict` with the columns of the brainmarks suite
    (``sub, ses, site, path, start, end, n_frames, tr, bold, mean, std``), ``scan_id`` and one
    column a phenotype, with ``cohort.json`` and ``rejected.tsv`` beside it. ``bold`` is (T, N)
    float32, z-scored per region with the population standard deviation; raw = bold * std + mean. A
    masked region has bold 0 and std 0.

    A scan that cannot be used is listed in ``rejected.tsv`` and the rest goes on, and so is what
    was found and is left out under a rule; the summary counts both. Subjects are
    split before any scan is read, so a scan that turns out to be damaged moves no other subject.
    Called again on a directory that it was stopped in, with the same arguments, it goes on with
    the scans that are left and writes the same bytes.

    Parameters
    ----------
    source : Source
        What to read.
    directory : Path
        An existing directory to write into.
    settings : CohortSettings
        Parcellation, splits and what to do about missing regions.
    seed : int
        Seed of the splits.
    progress : callable
        Called with (recordings done, recordings in all).
    options : WriteOptions
        Processes, and whether a rejected scan is an error.

    Returns
    -------
    str
        One line that says what was written.

    Raises
    ------
    InputError
        If no parcellation is named, the splits cannot be made, no scan or no training scan can
        be used, or, where `strict` is asked for, any scan cannot.
    """
    if options.strict and source.rejected:
        raise InputError(source.rejected[0].message)
    parcellation = chosen_parcellation(source, settings)
    splits = split_subjects(_sites(source), settings, seed)
    crop = Crop(settings.crop_frames, settings.crop_seconds)
    convert = Converter(parcellation, settings.max_masked_regions, crop)
    decisive = (settings.max_masked_regions, crop.frames, crop.seconds, "float32")
    key = listing_digest(source, parcellation.order_hash, *decisive)
    features = row_features(parcellation.n_regions, phenotype_kinds(source.recordings))
    parts = Parts(directory, key, features)
    rejected = {**_convert(source, convert, parts, progress, options)}
    used = [i for i in range(len(source.recordings)) if i not in rejected]
    _check_used(source, rejected, splits)
    by_split = {
        split: [i for i in used if splits[source.recordings[i].subject] == split]
        for split in SPLITS
    }
    parts.save(by_split)
    kept, n_frames = [source.recordings[i] for i in used], [parts.n_frames(i) for i in used]
    confounds = acquisition_confounds(kept, n_frames)
    source = replace(source, notes=(*confound_notes(confounds, kept, n_frames), *source.notes))
    document = cohort_document(source, kept, parcellation, splits)
    write_json(document | {"confounds": confounds}, directory / "cohort.json")
    unusable = [*source.rejected, *rejected.values()]
    write_rejected(unusable, source.left_out, directory / REJECTED)
    parts.discard()
    return _summary(source, kept, by_split)


def chosen_parcellation(source: Source, settings: CohortSettings) -> Parcellation:
    """Return the parcellation that the settings name, or otherwise the source.

    Raises
    ------
    InputError
        If neither does, or what is named is not there.
    """
    name = settings.parcellation or source.parcellation
    if name is None:
        raise InputError(
            f"parcellation: not given, and the source ({source.name}) does not tell it; name the "
            "one that the regions are of by --set cohort.parcellation=NAME, such as schaefer400-7n"
        )
    return load_parcellation(name)


def _sites(source: Source) -> dict[str, str | None]:
    sites: dict[str, str | None] = {}
    for recording in source.recordings:
        known = sites.setdefault(recording.subject, recording.site)
        sites[recording.subject] = min(known or "", recording.site or "") or None
    return sites


def _convert(
    source: Source,
    convert: Converter,
    parts: Parts,
    progress: Callable[[int, int], None],
    options: WriteOptions,
) -> dict[int, Rejected]:
    """Write the part of every recording that has none yet; say which cannot be used, by number."""
    total = len(source.recordings)
    todo = [i for i in range(total) if not parts.path(i).is_file()]
    rejected: dict[int, Rejected] = {}
    recordings = (source.recordings[i] for i in todo)
    outcomes = map_ordered(convert, recordings, options.jobs, options.scheduler)
    for done, (i, outcome) in enumerate(
        zip(todo, outcomes, strict=True), start=1 + total - len(todo)
    ):
        if not isinstance(outcome, str):
            parts.write(i, outcome)
        elif options.strict:
            raise InputError(outcome)
        else:
            rejected[i] = _rejected(source.recordings[i], outcome)
        progress(done, total)
    return rejected


def _rejected(recording: Recording, reason: str) -> Rejected:
    """Say why a recording is not in the cohort, without the folders of this machine."""
    path = str(recording.path)
    reason = reason.removeprefix(f"{path}: ").replace(path, recording.name)
    return Rejected(recording.name, reason, recording.scan_id)


def _check_used(
    source: Source, rejected: Mapping[int, Rejected], splits: Mapping[str, str]
) -> None:
    unused = [*source.rejected, *rejected.values()]
    first = unused[0].message if unused else ""
    total = len(source.recordings) + len(source.rejected)
    if len(rejected) == len(source.recordings):
        raise InputError(f"{source.name}: none of {total} scans can be used; the first: {first}")
    used = [r for i, r in enumerate(source.recordings) if i not in rejected]
    if not any(splits[recording.subject] == "train" for recording in used):
        raise InputError(
            f"{source.name}: no training scan is left, {len(unused)} of {total} scans cannot be "
            f"used; the first: {first}"
        )


def _summary(source: Source, used: list[Recording], by_split: Mapping[str, list[int]]) -> str:
    shares = ", ".join(f"{len(by_split[split])} {split}" for split in SPLITS)
    subjects = {recording.subject for recording in used}
    count = accounting(source, len(used))
    listed = f" ({REJECTED})" if count["found"] > count["used"] else ""
    found = (
        f"{count['found']} {count['unit']} found: {count['used']} used, {count['rejected']} "
        f"rejected, {count['left_out']} left out{listed}"
    )
    parts = [f"{len(used)} scans of {len(subjects)} subjects ({shares})", found, *source.choices]
    return "; ".join([*parts, *_told(source.notes)])


def _told(notes: Sequence[str]) -> list[str]:
    """Return the first few notes, and how many more there are."""
    more = len(notes) - _NOTES_SHOWN
    rest = [f"{more} more under notes in cohort.json"] if more > 0 else []
    return [*notes[:_NOTES_SHOWN], *rest]


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
