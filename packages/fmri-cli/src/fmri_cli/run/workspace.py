"""Whole directories: a stage's folder appears under its name complete, or not at all.

A stage is written into `.work/<name>-<key>` beside its final place, so that the last step is a
rename on one file system. Whatever is to be deleted is first renamed away: a folder that is half
deleted can never be mistaken for one that is whole.
"""

import os
import re
import shutil
import uuid
from collections.abc import Collection
from pathlib import Path

import click

WORK = ".work"
_DISCARDED = "discarded-"
_REPLACED = "replaced-"


class Workspace:
    """The directory of a run and the hidden folder in which its stages are prepared.

    Parameters
    ----------
    root
        Directory that holds, or will hold, the stages' directories.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / WORK

    def refuse_link(self) -> None:
        """Raise a ClickException if the hidden folder is a link to somewhere else."""
        if self.work.is_symlink():
            raise click.ClickException(
                f"{self.work}: is a link, and must be a folder of its own; remove it"
            )

    def recover(self) -> None:
        """Repair what a process killed between two renames left behind."""
        if not self.work.is_dir():
            return
        for entry in sorted(self.work.iterdir()):
            if entry.name.startswith(_REPLACED):
                final = self.root / entry.name.removeprefix(_REPLACED)
                if final.exists():
                    self.discard(entry)
                else:
                    entry.rename(final)
            elif entry.name.startswith(_DISCARDED):
                _remove(entry)

    def working_directory(self, name: str, key: str) -> Path:
        """Where the stage `name` with this key is prepared; nothing is created."""
        return self.work / f"{name}-{key[:12]}"

    def open(self, name: str, key: str, *, keep: Collection[str] = ()) -> Path:
        """Make the working directory of a stage.

        Parameters
        ----------
        name, key
            Of the stage.
        keep
            Folders in it that a killed run of the same stage left and this one resumes from;
            beside them, if there are any, hidden folders stay. Everything else is removed: it may
            be half written, by a library and under a name that nobody knows.
        """
        directory = self.working_directory(name, key)
        if directory.is_symlink() or (directory.exists() and not keep):
            self.discard(directory)
        directory.mkdir(parents=True, exist_ok=True)
        for entry in sorted(directory.iterdir()):
            is_folder = entry.is_dir() and not entry.is_symlink()
            if not (is_folder and (entry.name in keep or entry.name.startswith("."))):
                self.discard(entry)
        return directory

    def discard_hidden(self, directory: Path) -> None:
        """Remove what is hidden in a stage's directory: no output is."""
        for entry in sorted(directory.iterdir()):
            if entry.name.startswith("."):
                self.discard(entry)

    def publish(self, working: Path, name: str) -> Path:
        """Give a finished working directory its final name, replacing the stage that has it.

        The old stage is moved aside first and removed after; `recover` moves it back if the
        process dies in between.

        Parameters
        ----------
        working
            The finished directory, inside this workspace.
        name
            Its final name.

        Returns
        -------
        Path
            The final directory.
        """
        final = self.root / name
        sync_tree(working)
        replaced = self.work / f"{_REPLACED}{name}"
        if final.exists():
            final.rename(replaced)
        working.rename(final)
        _sync(self.root)
        _sync(self.work)
        if replaced.exists():
            self.discard(replaced)
        self._discard_other_keys(name)
        return final

    def discard(self, path: Path) -> None:
        """Remove a file or folder of this workspace so that it vanishes from its name at once."""
        self.work.mkdir(parents=True, exist_ok=True)
        away = self.work / f"{_DISCARDED}{uuid.uuid4().hex}"
        path.rename(away)
        _remove(away)

    def _discard_other_keys(self, name: str) -> None:
        of_this_stage = re.compile(re.escape(name) + r"-[0-9a-f]{12}")
        for entry in sorted(self.work.iterdir()):
            if of_this_stage.fullmatch(entry.name):
                self.discard(entry)


def write_file(path: Path, text: str) -> None:
    """Write a text file that is either absent, or the old one, or whole: never in between."""
    beside = path.with_name(path.name + ".part")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _remove(path: Path) -> None:
    """Remove a folder with all that is in it; of a link only the link itself."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)


def sync_tree(directory: Path) -> None:
    """Force all files and folders below a directory, and itself, onto the disk."""
    for folder, _, files in os.walk(directory):
        for name in files:
            _sync(Path(folder, name))
        _sync(Path(folder))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
