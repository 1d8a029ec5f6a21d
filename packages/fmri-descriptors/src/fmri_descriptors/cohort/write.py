"""Scans of a source to a cohort folder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fmri_descriptors.cohort.confounding import acquisition_confounds, confound_notes
from fmri_descriptors.cohort.convert import Converter, Crop, row_features
from fmri_descriptors.cohort.parts import Parts
from fmri_descriptors.cohort.schema import (
    REJECTED,
    accounting,
    cohort_document,
    phenotype_kinds,
    write_rejected,
)
from fmri_descriptors.cohort.splits import SPLITS, split_subjects
from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation, load_parcellation
from fmri_descriptors.readers.base import Recording, Rejected, Source
from fmri_descriptors.readers.fingerprint import listing_digest
from fmri_descriptors.settings import CohortSettings
from fmri_descriptors.utils.files import write_json
from fmri_descriptors.utils.parallel import map_ordered

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

    A scan that cannot be used is listed in ``rejected.tsv`` and the others are converted; what was
    found and is left out under a rule is listed there too, and the summary counts both. Subjects
    are split before any scan is read, so a scan that turns out to be damaged moves no other
    subject. Called again on a directory that it was stopped in, with the same arguments, it
    resumes with the scans that are left and writes the same bytes.

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
    return "; ".join([*parts, *_first_notes(source.notes)])


def _first_notes(notes: Sequence[str]) -> list[str]:
    """Return the first few notes, and how many more there are."""
    more = len(notes) - _NOTES_SHOWN
    rest = [f"{more} more under notes in cohort.json"] if more > 0 else []
    return [*notes[:_NOTES_SHOWN], *rest]
