"""Files that may hold a recording, and the account of what becomes of each."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.readers.base import LeftOut, Recording, Rejected, Source
from fmri_descriptors.readers.selection.bids_names import BidsName, identify, name_fault, parse_name
from fmri_descriptors.readers.selection.content import check_content

SPACE = ("space", "cohort", "res", "den")
REGIONS = ("seg", "scale", "hemi", "label")


@dataclass(frozen=True)
class Candidate:
    """A file that may hold a recording.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Path relative to the source.
    parts : BidsName or None
        Its name in parts; None where the path says whose it is.
    fault : str or None
        Why its content cannot be read, if it is not on this machine.
    """

    path: Path
    name: str
    parts: BidsName | None
    fault: str | None = None

    @property
    def scan_id(self) -> str:
        """Name of the recording."""
        return identify(self.name).scan_id

    def key(self, *without: str) -> str:
        """Return what files of one recording have in common, as `BidsName.key`."""
        return self.scan_id if self.parts is None else self.parts.key(*without)

    def get(self, entity: str) -> str | None:
        """Return the value of an entity, if the name has it."""
        return None if self.parts is None else self.parts.entities.get(entity)

    @property
    def space(self) -> str:
        """Space with its resolution, such as ``"MNI152NLin6Asym_res-2"``; may be empty."""
        return self._label(SPACE)

    @property
    def regions(self) -> str:
        """Parcellation, such as ``"Glasser"`` or ``"Glasser_hemi-L"``; may be empty."""
        atlas = self.get("atlas")
        label = self._label(REGIONS)
        return "_".join(filter(None, [atlas, label])) if self.get("seg") is None else label

    def _label(self, names: Sequence[str]) -> str:
        first, *others = names
        own = [] if self.get(first) is None else [str(self.get(first))]
        return "_".join(own + [f"{name}-{self.get(name)}" for name in others if self.get(name)])

    @property
    def description(self) -> str:
        """How it was processed, as `desc` or `variant` says."""
        return "" if self.parts is None else self.parts.description


def _plainly(label: str) -> str:
    """Spell a label without what people write differently: capitals, zeros and punctuation."""
    return "".join(filter(str.isalnum, label.casefold())).lstrip("0")


@dataclass
class Account:
    """What becomes of the files of one source.

    Parameters
    ----------
    root : Path
        Folder that names are relative to.
    rejected, left_out, choices
        As in `Source`, growing.
    """

    root: Path
    rejected: list[Rejected] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    _unless_read: list[tuple[Candidate, str, str, str]] = field(default_factory=list)

    def candidates(self, files: Iterable[Path], *, by_name: bool) -> list[Candidate]:
        """Return the files whose names tell whose they are; the others are rejected.

        Parameters
        ----------
        files : iterable of Path
            Files below the root.
        by_name : bool
            Whether the name must tell the subject; else the path does where the name does not.
        """
        found = []
        for path in files:
            name = path.relative_to(self.root).as_posix()
            parts = parse_name(path.name)
            whose = parts if parts is not None and "sub" in parts.entities else None
            each = Candidate(path, name, whose, _content_fault(path, name))
            fault = _name_fault(each, by_name=by_name)
            if fault is None:
                found.append(each)
            else:
                self.rejected.append(Rejected(name, f"{path.name}: {fault}"))
        return found

    def reject(self, each: Candidate, fault: str) -> None:
        """List a file that cannot be used."""
        self.rejected.append(Rejected(each.name, f"{each.path.name}: {fault}", each.scan_id))

    def leave_out(self, each: Candidate, rule: str, reason: str) -> None:
        """List a file that is not read under a rule."""
        self.left_out.append(LeftOut(each.name, rule, f"{each.path.name}: {reason}", each.scan_id))

    def leave_out_if_read(self, each: Candidate, rule: str, reason: str, fault: str) -> None:
        """List a file as left out if its recording is read from another one, else as rejected."""
        self._unless_read.append((each, rule, reason, fault))

    def close(self, chosen: Iterable[Candidate]) -> list[Candidate]:
        """Return the chosen files whose content is here, when every rule has been applied."""
        chosen = list(chosen)
        read = {each.key() for each in chosen}
        for each, rule, reason, fault in self._unless_read:
            if each.key() in read:
                self.leave_out(each, rule, reason)
            else:
                self.reject(each, fault)
        for each in chosen:
            if each.fault is not None:
                self.rejected.append(Rejected(each.name, each.fault, each.scan_id))
        return sorted((each for each in chosen if each.fault is None), key=lambda each: each.path)

    def recordings(
        self, chosen: Iterable[Candidate], make: Callable[[Path, str], Recording]
    ) -> tuple[Recording, ...]:
        """Make each chosen file a recording; one that cannot be is rejected.

        Parameters
        ----------
        chosen : iterable of Candidate
            Files that are read.
        make : callable
            Takes a file and its name; raises `InputError` if it cannot be read.
        """
        made = []
        for each in chosen:
            try:
                made.append(make(each.path, each.name))
            except InputError as error:
                self.rejected.append(Rejected(each.name, str(error), each.scan_id))
        return tuple(made)

    def source(self, name: str, recordings: tuple[Recording, ...], files: Iterable[Path]) -> Source:
        """Return the source with its account, each list in the order of the files' names.

        Parameters
        ----------
        name : str
            Name of the source, without a path of this machine.
        recordings : tuple of Recording
            What was made of the chosen files.
        files : iterable of Path
            Every file that the cohort depends on.
        """
        return Source(
            name,
            recordings,
            tuple(dict.fromkeys(files)),
            rejected=tuple(sorted(self.rejected, key=lambda each: each.path)),
            left_out=tuple(sorted(self.left_out, key=lambda each: each.path)),
            choices=tuple(self.choices),
        )


def named_recording(
    path: Path, name: str, tr: float, read: Callable[[Path, Parcellation], NDArray[np.float64]]
) -> Recording:
    """Return a file as a recording of the subject and session in its name.

    Parameters
    ----------
    path, name, tr, read
        As in `Recording`.
    """
    who = identify(name)
    return Recording(path, name, who.scan_id, who.subject, who.session, None, tr, read)


def _content_fault(path: Path, name: str) -> str | None:
    try:
        check_content(path, name)
    except InputError as error:
        return str(error)
    return None


def _name_fault(each: Candidate, *, by_name: bool) -> str | None:
    if each.parts is None:
        misnamed = by_name or each.path.name.lower().startswith("sub-")
        return name_fault(each.path.name) if misnamed else None
    for folder in Path(each.name).parent.parts:
        key, _, value = folder.partition("-")
        label = each.get(key) if key in {"sub", "ses"} else None
        if label is not None and _plainly(label) != _plainly(value):
            return (
                f"lies in the folder {folder}, but its name says {key}-{label}; move or rename it"
            )
    return None
