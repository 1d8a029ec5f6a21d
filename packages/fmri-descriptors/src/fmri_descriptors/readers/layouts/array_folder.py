"""A file, or a folder of files, that each hold one array and tell by name whose it is."""

from functools import partial
from pathlib import Path

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.base import LeftOut, ReadOptions, Recording, Source
from fmri_descriptors.readers.layouts.arrays import SUFFIXES, read_array
from fmri_descriptors.readers.repetition_time import agreed_tr
from fmri_descriptors.readers.selection.bids_names import identify
from fmri_descriptors.readers.selection.candidates import Account, named_recording
from fmri_descriptors.readers.selection.companions import frame_tables, read_checked
from fmri_descriptors.readers.selection.content import files_below
from fmri_descriptors.readers.selection.recordings import Layout, choose_files
from fmri_descriptors.readers.selection.sidecars import Sidecars

_FOUND = (*SUFFIXES, ".csv.gz", ".tsv.gz")
_TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_ABOUT_PEOPLE = ("_participants", "_scans", "_sessions", "_samples")
_OF_FRAMES = ("_confounds", "_regressors", "_outliers", "_motion", "_design", "_mixing", "_physio")
_OF_EVENTS = ("_events", "_stim", "_channels", "_electrodes")


def folder_source(path: Path, options: ReadOptions) -> Source:
    """Return one recording for every array file of a folder, at any depth.

    The name says whose scan it is, ``sub-<subject>[_ses-<session>][_…].<suffix>``: two scans of
    one person must never be taken for two people. The repetition time comes from a JSON file of
    the same name with ``RepetitionTime``, or is given. Which files are one recording,
    `choose_files` says.

    Parameters
    ----------
    path : Path
        A folder, or one ``.npy``, ``.npz``, ``.mat``, ``.tsv`` or ``.csv`` file.
    options : ReadOptions
        ``tr`` is that of every scan. ``atlas`` names the parcellation where names tell several.

    Returns
    -------
    Source
        Every such file is a recording, in ``rejected`` or in ``left_out``, except tables about
        people (``participants.tsv``, ``*_scans.tsv``, ``*_sessions.tsv``).

    Raises
    ------
    InputError
        If there is no such file.
    """
    root = path if path.is_dir() else path.parent
    files, unlisted = files_below(path) if path.is_dir() else ([path], [])
    found = [file for file in files if _may_hold_series(file.name)]
    if not found:
        raise InputError(f"{path}: no array file ({', '.join(SUFFIXES)}); give another folder")
    account = Account(root, rejected=list(unlisted))
    account.left_out += [_other_table(f, root) for f in found if not is_array_name(f.name)]
    wanted = None if options.atlas is None else str(options.atlas)
    arrays = [file for file in found if is_array_name(file.name)]
    layout = Layout(endings=SUFFIXES, parcellation=wanted, any_task=True)
    chosen = choose_files(arrays, layout, options, account)
    sidecars = Sidecars(root)
    recordings = account.recordings(chosen, partial(_recording, sidecars=sidecars, options=options))
    depends = (file for r in recordings for file in (r.path, *frame_tables(r.path)))
    return account.source(path.name, recordings, depends)


def _may_hold_series(name: str) -> bool:
    """Whether a file name has an ending that is read, and is not that of a table about people."""
    return name.lower().endswith(_FOUND) and not _is_table(name, _ABOUT_PEOPLE)


def is_array_name(name: str) -> bool:
    """Whether a file name is that of an array, and not of a table about scans or people."""
    about = (*_ABOUT_PEOPLE, *_OF_FRAMES, *_OF_EVENTS)
    hidden = name.startswith(".")
    return not (hidden or _is_table(name, about) or "desc-confounds" in name)


def _is_table(name: str, endings: tuple[str, ...]) -> bool:
    stem = f"_{name.partition('.')[0]}"
    return name.lower().endswith(_TABLES) and stem.endswith(endings)


def _other_table(file: Path, root: Path) -> LeftOut:
    name = file.relative_to(root).as_posix()
    reason = f"{file.name}: is a table beside series, by its name"
    return LeftOut(name, "not a series of means", reason, identify(name).scan_id)


def _recording(file: Path, name: str, sidecars: Sidecars, options: ReadOptions) -> Recording:
    tr = agreed_tr({"its sidecar": sidecars.tr(file), "--tr": options.tr})
    return named_recording(file, name, tr, partial(read_checked, read=read_array))
