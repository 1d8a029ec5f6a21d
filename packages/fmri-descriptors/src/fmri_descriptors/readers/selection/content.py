"""Files below a folder, and whether what they hold is on this machine."""

import os
import stat
from errno import ELOOP
from pathlib import Path

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.base import Rejected

_POINTER_BYTES = 1024  # pointers of git-annex and Git LFS are shorter
_ANNEX = "annex/objects"
_POINTERS = {
    b"/annex/objects/": "git-annex, whose content is not here; get it by `datalad get {name}`",
    b"version https://git-lfs": "Git LFS, whose content is not here; get it by `git lfs pull`",
}


def files_below(root: Path) -> tuple[list[Path], list[Rejected]]:
    """Return the files below a folder by name, and the folders that cannot be listed.

    Links are followed wherever they lead, those to folders too: a folder that is linked into
    itself is entered once. Names that begin with a dot are passed over, with all below them.

    Parameters
    ----------
    root : Path
        The folder.
    """
    files: list[Path] = []
    rejected: list[Rejected] = []
    waiting: list[tuple[Path, tuple[tuple[int, int], ...]]] = [(root, ())]
    while waiting:
        folder, above = waiting.pop()
        try:
            place = folder.stat()
            entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
        except OSError as error:
            reason = f"the folder cannot be listed ({error.strerror}); make it readable"
            rejected.append(Rejected(folder.relative_to(root).as_posix(), reason))
            continue
        inside = (*above, (place.st_dev, place.st_ino))
        for entry in entries:
            if not _is_folder(entry):
                files.append(folder / entry.name)
            elif _place(entry) not in inside:
                waiting.append((folder / entry.name, inside))
    return sorted(files), sorted(rejected, key=lambda each: each.path)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads to itself is listed as a file, and rejected as one


def _place(entry: "os.DirEntry[str]") -> tuple[int, int]:
    found = Path(entry.path).stat()
    return found.st_dev, found.st_ino


def is_there(path: Path) -> bool:
    """Whether a name is taken in its folder, be it by a link that leads nowhere."""
    return os.path.lexists(path)


def check_content(path: Path, name: str | None = None) -> None:
    """Raise unless a path leads to a regular file with content.

    Parameters
    ----------
    path : Path
        The file, or a link to it.
    name : str, optional
        Path relative to the source, for the command that gets the content.

    Raises
    ------
    InputError
        If the file is not there, is a link or pointer whose content was never fetched, is empty,
        or is no file (a folder, a pipe or a device).
    """
    name = name or path.name
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name}: {_absent(path, name, error)}") from error
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path.name}: is a folder, pipe or device; put the file in its place")
    if found.st_size == 0:
        raise InputError(f"{path.name}: is empty; copy or export it again")
    if found.st_size < _POINTER_BYTES:
        _check_no_pointer(path, name)


def check_fetched(path: Path, name: str | None = None) -> None:
    """Raise if a path is a link or pointer whose content was never fetched.

    Parameters
    ----------
    path : Path
        A file that may not be there at all.
    name : str, optional
        Path relative to the source, for the command that gets the content.

    Raises
    ------
    InputError
        If it is such a link or pointer.
    """
    # Unlike those of `Path`, these give no error for a name that no file can have.
    if os.path.islink(path) and not os.path.exists(path):  # noqa: PTH110, PTH114
        check_content(path, name)
    elif os.path.isfile(path) and path.stat().st_size < _POINTER_BYTES:  # noqa: PTH113
        _check_no_pointer(path, name or path.name)


def _check_no_pointer(path: Path, name: str) -> None:
    try:
        content = path.read_bytes()
    except OSError:
        return  # the reader says why
    for beginning, whose in _POINTERS.items():
        if content.startswith(beginning):
            raise InputError(f"{path.name}: is a pointer of {whose.format(name=name)}")


def _absent(path: Path, name: str, error: OSError | ValueError) -> str:
    if isinstance(error, ValueError) or not path.is_symlink():
        return f"no such file ({getattr(error, 'strerror', error)}); correct the path"
    if error.errno == ELOOP:
        return "is a link that leads to itself; put the file in its place"
    target = path.readlink()
    if _ANNEX in target.as_posix():
        return f"is a link whose content is not here (git-annex); get it by `datalad get {name}`"
    return f"is a link to {target.name}, which is not there; put the file in its place"
