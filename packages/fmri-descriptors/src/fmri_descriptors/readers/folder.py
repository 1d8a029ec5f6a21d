"""A file, or a folder of files, that each hold one array and tell by name whose it is."""

from collections.abc import Iterator
from pathlib import Path

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.arrays import SUFFIXES, read_array
from fmri_descriptors.readers.bids import Sidecars, identify, parse_name
from fmri_descriptors.readers.sources import ReadOptions, Recording, Rejected, Source, agreed_tr

_OTHER_TABLES = ("_confounds", "_events", "_participants", "_scans", "_sessions", "_channels")


def folder_source(path: Path, options: ReadOptions) -> Source:
    """Return one recording for every array file of a folder, at any depth.

    The name tells whose scan it is, ``sub-<subject>[_ses-<session>][_…].<suffix>``: two scans of
    one person must never be taken for two people. The repetition time comes from a JSON file of
    the same name with ``RepetitionTime``, or is given.

    Parameters
    ----------
    path : Path
        A folder, or one ``.npy``, ``.npz``, ``.mat``, ``.tsv`` or ``.csv`` file.
    options : ReadOptions
        ``tr`` is that of every scan.

    Raises
    ------
    InputError
        If there is no such file.
    """
    root = path if path.is_dir() else path.parent
    files = list(array_files(path)) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path}: no array file ({', '.join(SUFFIXES)}); give another folder")
    sidecars = Sidecars(root)
    recordings, rejected = [], []
    for file in files:
        try:
            recordings.append(_recording(file, sidecars, options))
        except InputError as error:
            rejected.append(Rejected(file.relative_to(root).as_posix(), str(error)))
    of_recordings = tuple(recording.path for recording in recordings)
    return Source(path.name, tuple(recordings), of_recordings, rejected=tuple(rejected))


def array_files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder that could hold a scan's array, in a fixed order."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and is_array_name(path.name) and path.is_file():
            yield path


def is_array_name(name: str) -> bool:
    """Whether a file name is that of an array and not of a table about scans or people."""
    stem = f"_{name.partition('.')[0]}"
    return not (name.startswith(".") or stem.endswith(_OTHER_TABLES) or "desc-confounds" in stem)


def _recording(file: Path, sidecars: Sidecars, options: ReadOptions) -> Recording:
    parts = parse_name(file.name)
    if parts is None or "sub" not in parts.entities:
        raise InputError(
            f"{file}: the name does not tell the subject; call it sub-<subject>[_<key>-<value>…], "
            "or list the files in a scans table"
        )
    who = identify(file.name)
    return Recording(
        path=file,
        name=file.relative_to(sidecars.root).as_posix(),
        scan_id=who.scan_id,
        subject=who.subject,
        session=who.session,
        site=None,
        tr=agreed_tr(sidecars.tr(file), options.tr),
        read=read_array,
    )
