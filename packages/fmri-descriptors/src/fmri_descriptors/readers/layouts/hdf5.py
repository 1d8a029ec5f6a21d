"""One HDF5 file with the series of many scans."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.readers.base import ReadOptions, Recording, Rejected, Source
from fmri_descriptors.readers.errors import reading
from fmri_descriptors.readers.limits import check_declared, check_size
from fmri_descriptors.readers.repetition_time import agreed_tr
from fmri_descriptors.readers.selection.content import check_content, files_below

SERIES = "time_series"
SUFFIXES = (".h5", ".hdf5")
_TR_NAMES = ("tr", "TR", "RepetitionTime")


def hdf5_source(path: Path, options: ReadOptions) -> Source:
    """Return the recordings of an HDF5 file, or of a folder of such files.

    Parameters
    ----------
    path : Path
        A file with the arrays ``time_series/<id>``, (N, T), and the texts
        ``metadata/subjects`` and, if there are sessions, ``metadata/sessions``: each one array
        over the scans, or a group with one text by id. Scan i of an array belongs to the id that
        is the number i, the subject, or subject and session joined by ``_``. An attribute ``tr``
        (s) may stand on a scan, on the group or on the file.
    options : ReadOptions
        ``tr`` is that of every scan.

    Returns
    -------
    Source
        A file that is unreadable or not laid out like this is in ``rejected``, and so is a scan
        without a repetition time.
    """
    files, unlisted = files_below(path) if path.is_dir() else ([path], [])
    files = [file for file in files if file.suffix.lower() in SUFFIXES]
    listed = _Listed([], list(unlisted))
    for file in files:
        name = file.relative_to(path if path.is_dir() else path.parent).as_posix()
        try:
            check_content(file, name)
            with reading(file, "an HDF5 file"):
                _list_file(file, name, options, listed)
        except InputError as error:
            listed.rejected.append(Rejected(name, str(error)))
    return Source(
        path.name,
        tuple(listed.recordings),
        tuple(files),
        rejected=tuple(listed.rejected),
        unit="series",
    )


@dataclass
class _Listed:
    """What the files before this one hold."""

    recordings: list[Recording]
    rejected: list[Rejected]
    names: dict[str, str] = field(default_factory=dict)

    def add(self, recording: Recording) -> None:
        """Take up a recording, unless its name is that of another file's."""
        first = self.names.setdefault(recording.scan_id, recording.name)
        if first == recording.name:
            self.recordings.append(recording)
            return
        reason = f"scan {recording.scan_id!r} is {first} too; rename or remove one"
        self.rejected.append(Rejected(recording.name, reason, recording.scan_id))


def _list_file(path: Path, label: str, options: ReadOptions, listed: _Listed) -> None:
    import h5py

    with h5py.File(path) as file:
        if not isinstance(file.get(SERIES), h5py.Group):
            raise InputError(f"{path}: no group {SERIES!r}; give a file with {SERIES}/<id>")
        ids = sorted(file[SERIES])
        people, fault = _people_of(path, file, ids)
        for scan_id in ids:
            name = f"{label}/{SERIES}/{scan_id}"
            try:
                person = _person(path, scan_id, people, fault)
                with reading(path, f"{SERIES}/{scan_id}"):
                    tr = agreed_tr({"the file": _tr_attribute(file, scan_id), "--tr": options.tr})
                read = partial(read_series, scan_id=scan_id)
                listed.add(Recording(path, name, scan_id, *person, None, tr, read))
            except InputError as error:
                listed.rejected.append(Rejected(name, str(error), scan_id))


def _people_of(
    path: Path, file: Any, ids: list[str]
) -> tuple[dict[str, tuple[str, str | None]], str]:
    """Subject and session by id, and why there is none if nobody's are known."""
    try:
        subjects = _texts(file, path, "subjects", len(ids))
        sessions = _texts(file, path, "sessions", len(ids))
    except InputError as error:
        return {}, str(error)
    if subjects is None:
        return {}, f"{path}: no metadata/subjects; without it, no split by subject"
    return _people(ids, subjects, sessions), ""


def _person(
    path: Path, scan_id: str, people: dict[str, tuple[str, str | None]], fault: str
) -> tuple[str, str | None]:
    """Subject and session of one scan."""
    if scan_id in people:
        return people[scan_id]
    raise InputError(
        fault
        or f"{path}: metadata/subjects does not tell whose scan {scan_id!r} is; name scans by "
        "subject, or by subject_session"
    )


def _texts(file: Any, path: Path, name: str, n_scans: int) -> dict[str, str] | list[str] | None:
    import h5py

    item = file.get(f"metadata/{name}")
    if item is None:
        return None
    if isinstance(item, h5py.Group):
        return {key: _text(value[()]) for key, value in item.items()}
    check_size(path, item.shape)
    texts = [_text(value) for value in np.ravel(item[()])]
    if len(texts) != n_scans:
        raise InputError(
            f"{path}: {len(texts)} metadata/{name}, but {n_scans} scans under {SERIES}; export "
            "the file again"
        )
    return texts


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _people(
    ids: list[str],
    subjects: dict[str, str] | list[str],
    sessions: dict[str, str] | list[str] | None,
) -> dict[str, tuple[str, str | None]]:
    """Subject and session of the ids, found by name; the order of a file is no evidence."""
    if isinstance(subjects, dict):
        by_id = sessions if isinstance(sessions, dict) else {}
        return {key: (subject, by_id.get(key)) for key, subject in subjects.items()}
    listed = sessions if isinstance(sessions, list) else [None] * len(subjects)
    pairs = list(zip(subjects, listed, strict=True))
    people = _by_name(pairs, set(ids))
    numbered = {str(i): pair for i, pair in enumerate(pairs)}
    return numbered if len(people) < len(ids) and set(numbered) == set(ids) else people


def _by_name(
    pairs: list[tuple[str, str | None]], ids: set[str]
) -> dict[str, tuple[str, str | None]]:
    people: dict[str, tuple[str, str | None]] = {}
    for subject, session in pairs:
        names = {subject, f"{subject}_{session}", f"sub-{subject}", f"sub-{subject}_ses-{session}"}
        people |= dict.fromkeys(names & ids, (subject, session))
    return people


def _tr_attribute(file: Any, scan_id: str) -> object:
    for place in (file[SERIES][scan_id], file[SERIES], file):
        for name in _TR_NAMES:
            if name in place.attrs:
                value = np.ravel(place.attrs[name])
                return value[0].item() if value.size == 1 else value
    return None


def read_series(path: Path, parcellation: Parcellation, scan_id: str) -> NDArray[Any]:
    """Return the series of one scan of an HDF5 file, (T, N).

    Raises
    ------
    InputError
        If the file or the array cannot be read, or its regions are not those of the parcellation.
    """
    import h5py

    with reading(path, "an HDF5 file"), h5py.File(path) as file:
        series = file[SERIES][scan_id]
        if isinstance(series, h5py.Dataset) and series.ndim == 2:
            check_declared(path, series.shape[::-1], parcellation)
            return np.asarray(series[()]).T
    raise InputError(f"{path}: {SERIES}/{scan_id} is no (regions, frames) array; correct it")
