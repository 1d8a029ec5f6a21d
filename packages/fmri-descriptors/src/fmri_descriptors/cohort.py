"""Scans to a dataset directory, and back."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fmri_descriptors.errors import InputError
from fmri_descriptors.files import file_digest, read_json, write_json
from fmri_descriptors.parcellation import Parcellation, load_parcellation
from fmri_descriptors.readers.sources import Phenotype, Recording, Source
from fmri_descriptors.scan import Scan
from fmri_descriptors.settings import CohortSettings
from fmri_descriptors.splits import SPLITS, split_subjects

if TYPE_CHECKING:
    from datasets import Dataset, Features

SCHEMA = 1
"""Version of the cohort directory that this package writes and the newest it reads."""


def write_cohort(
    source: Source,
    directory: Path,
    settings: CohortSettings,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> str:
    """Write a cohort directory, reading one recording at a time.

    The directory is a `datasets.DatasetDict` with the columns of the brainmarks suite
    (``sub, ses, site, path, start, end, n_frames, tr, bold, mean, std``), ``scan_id`` and one
    column a phenotype, and ``cohort.json`` beside it. ``bold`` is (T, N) float16, z-scored per
    region with the population standard deviation; raw = bold * std + mean. A masked region has
    bold 0 and std 0.

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

    Returns
    -------
    str
        One line that says what was written.

    Raises
    ------
    InputError
        If a recording cannot be used or the splits cannot be made.
    """
    parcellation = load_parcellation(settings.parcellation)
    splits = split_subjects(_sites(source), settings, seed)
    features = _features(parcellation.n_regions, source)
    done = 0

    def rows(split: str) -> Iterator[dict[str, Any]]:
        nonlocal done
        for recording in source.recordings:
            if splits[recording.subject] == split:
                yield _row(recording, parcellation, settings.max_masked_regions)
                done += 1
                progress(done, len(source.recordings))

    _save_splits(rows, features, directory)
    write_json(_document(source, parcellation, splits), directory / "cohort.json")
    counts = Counter(splits[recording.subject] for recording in source.recordings)
    shares = ", ".join(f"{counts[split]} {split}" for split in SPLITS)
    return f"{len(source.recordings)} scans of {len(splits)} subjects ({shares})"


def _sites(source: Source) -> dict[str, str | None]:
    sites: dict[str, str | None] = {}
    for recording in source.recordings:
        known = sites.setdefault(recording.subject, recording.site)
        sites[recording.subject] = min(known or "", recording.site or "") or None
    return sites


def _row(recording: Recording, parcellation: Parcellation, max_masked: int) -> dict[str, Any]:
    try:
        scan = recording.scan(parcellation)
    except InputError as error:
        where = "" if str(recording.path) in str(error) else f"{recording.path}: "
        raise InputError(f"{where}{error}") from error
    _check_masked(scan, recording.path, max_masked)
    mean = np.where(scan.mask, scan.timeseries.mean(axis=0), 0.0)
    std = np.where(scan.mask, scan.timeseries.std(axis=0), 0.0)
    bold = np.zeros_like(scan.timeseries)
    np.divide(scan.timeseries - mean, std, out=bold, where=scan.mask)
    return {
        "scan_id": scan.scan_id,
        "sub": scan.subject,
        "ses": scan.session,
        "site": scan.site,
        "path": recording.name,
        "start": 0,
        "end": scan.n_frames,
        "n_frames": scan.n_frames,
        "tr": scan.tr,
        "bold": bold.astype(np.float16),
        "mean": mean[None].astype(np.float32),
        "std": std[None].astype(np.float32),
        **recording.phenotypes,
    }


def _check_masked(scan: Scan, path: Path, allowed: int) -> None:
    masked = scan.masked_labels
    if len(masked) > allowed:
        shown = ", ".join(masked[:3]) + (f" and {len(masked) - 3} more" if len(masked) > 3 else "")
        raise InputError(
            f"{path}: {len(masked)} of {len(scan.mask)} regions are constant or all NaN "
            f"({shown}); repair the recording, or keep them masked with "
            f"max_masked_regions: {len(masked)}"
        )


def _features(n_regions: int, source: Source) -> "Features":
    from datasets import Array2D, Features, Value

    names = ("scan_id", "sub", "ses", "site", "path")
    kinds = _phenotype_kinds(source)
    return Features(
        {name: Value("string") for name in names}
        | {name: Value("int32") for name in ("start", "end", "n_frames")}
        | {
            "tr": Value("float32"),
            "bold": Array2D(shape=(None, n_regions), dtype="float16"),
            "mean": Array2D(shape=(1, n_regions), dtype="float32"),
            "std": Array2D(shape=(1, n_regions), dtype="float32"),
        }
        | {name: Value("float64" if kind == "number" else "string") for name, kind in kinds.items()}
    )


def _phenotype_kinds(source: Source) -> dict[str, str]:
    return {
        name: "number"
        if any(isinstance(r.phenotypes[name], float) for r in source.recordings)
        else "category"
        for name in source.recordings[0].phenotypes
    }


def _save_splits(
    rows: Callable[[str], Iterator[dict[str, Any]]], features: "Features", directory: Path
) -> None:
    from datasets import DatasetDict

    from fmri_descriptors.files import quiet_datasets

    parts = {split: directory / f".{split}.arrow" for split in SPLITS}
    with quiet_datasets():
        for split, part in parts.items():
            _write_rows(rows(split), features, part)
        opened = {split: _open_rows(part, split) for split, part in parts.items()}
        # `datasets` cannot read back a split without rows, so an empty one is left out.
        DatasetDict({s: rows for s, rows in opened.items() if len(rows)}).save_to_disk(directory)
    for part in parts.values():
        part.unlink()


def _write_rows(rows: Iterator[dict[str, Any]], features: "Features", part: Path) -> None:
    from datasets.arrow_writer import ArrowWriter

    with ArrowWriter(features=features, path=str(part), writer_batch_size=1) as writer:
        for row in rows:
            writer.write(row)
        writer.finalize()


def _open_rows(part: Path, split: str) -> "Dataset":
    from datasets import Dataset, DatasetInfo, Features, NamedSplit
    from datasets.table import MemoryMappedTable

    table = MemoryMappedTable.from_file(str(part))
    info = DatasetInfo(features=Features.from_arrow_schema(table.schema))
    # A fingerprint of the content, not of the moment: the same scans give the same bytes.
    return Dataset(table, info=info, split=NamedSplit(split), fingerprint=file_digest(part))


def _document(
    source: Source, parcellation: Parcellation, splits: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        **parcellation.to_dict(),
        "source": source.name,
        "tr": _repetition_times(source),
        "splits": {
            split: [r.scan_id for r in source.recordings if splits[r.subject] == split]
            for split in SPLITS
        },
        "n_scans": len(source.recordings),
        "phenotypes": _phenotypes(source),
    }


def _repetition_times(source: Source) -> dict[str, Any]:
    times: dict[str, dict[str, Any]] = {}
    for recording in source.recordings:
        site = recording.site or "unnamed"
        entry = times.setdefault(site, {"value": recording.tr, "documented": True})
        if recording.tr not in entry.get("values", [entry["value"]]):
            entry["values"] = sorted({recording.tr, *entry.get("values", [entry["value"]])})
            entry["value"] = None
        if site in source.assumed_tr:
            entry.update(documented=False, note=source.assumed_tr[site])
    return times


def _phenotypes(source: Source) -> dict[str, Any]:
    kinds = _phenotype_kinds(source)
    return {
        name: {
            "kind": kind,
            "missing": sum(r.phenotypes[name] is None for r in source.recordings),
        }
        | ({"values": _values(name, source)} if kind == "category" else {})
        for name, kind in kinds.items()
    }


def _values(name: str, source: Source) -> list[Phenotype]:
    return sorted({r.phenotypes[name] for r in source.recordings} - {None}, key=str)


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

    def scans(self, split: str) -> Iterator[Scan]:
        """Give the scans of a split, in their stored order and raw units.

        Raises
        ------
        InputError
            If a stored scan is damaged.
        """
        if split not in self._dataset:
            return
        columns = ["scan_id", "sub", "ses", "site", "tr", "bold", "mean", "std"]
        for row in self._dataset[split].select_columns(columns).with_format("numpy"):
            bold = row["bold"].astype(np.float64)
            series = bold * row["std"].astype(np.float64) + row["mean"]
            # A masked region carries no spread; NaN says that it is missing, whatever its mean.
            series[:, row["std"][0] == 0] = np.nan
            yield Scan(
                series,
                float(np.round(row["tr"].astype(np.float64), 6)),
                self.parcellation,
                str(row["scan_id"]),
                str(row["sub"]),
                session=_text(row["ses"]),
                site=_text(row["site"]),
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
    from pyarrow import ArrowException

    try:
        dataset = load_from_disk(str(directory))
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        json.JSONDecodeError,
        ArrowException,
    ) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{directory}: not a dataset directory ({reason}); make it again"
        ) from error
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
