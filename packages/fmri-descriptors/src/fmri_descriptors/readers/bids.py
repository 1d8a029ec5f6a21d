"""What BIDS names and sidecars say about a file: who, when, and the repetition time."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fmri_descriptors.errors import InputError

_ENTITY = re.compile(r"([A-Za-z]+)-([A-Za-z0-9+.]+)")
# Entities that say how a recording was processed, not which recording it is.
DERIVED = ("space", "cohort", "res", "den", "label", "desc")

_TR_TOLERANCE = 1e-3  # s; headers hold single precision, and sidecars are often rounded
_LONGEST_TR = 60.0  # s; a larger number is milliseconds without the unit


@dataclass(frozen=True)
class BidsName:
    """A file name in its parts.

    Parameters
    ----------
    entities : mapping of str to str
        Such as ``{"sub": "01", "task": "rest"}``, in the order of the name.
    suffix : str
        Last part without a key, such as ``"bold"``.
    extension : str
        From the first dot on, such as ``".nii.gz"``.
    """

    entities: Mapping[str, str]
    suffix: str
    extension: str

    @property
    def recording(self) -> str:
        """Name of the recording itself, without how it was processed."""
        kept = ((key, value) for key, value in self.entities.items() if key not in DERIVED)
        return "_".join(f"{key}-{value}" for key, value in kept)

    def applies_to(self, other: "BidsName") -> bool:
        """Whether a sidecar of this name describes a file of the other."""
        same_kind = self.suffix == other.suffix
        return same_kind and self.entities.items() <= other.entities.items()


def parse_name(name: str) -> BidsName | None:
    """Return the parts of a BIDS file name, or None if it is not one.

    Parameters
    ----------
    name : str
        File name without its folder.

    Examples
    --------
    >>> parse_name("sub-01_task-rest_bold.nii.gz").entities["task"]
    'rest'
    """
    stem, dot, extension = name.partition(".")
    *pairs, suffix = stem.split("_")
    matches = [_ENTITY.fullmatch(pair) for pair in pairs]
    entities = {match[1]: match[2] for match in matches if match}
    if len(entities) != len(pairs) or not suffix.isalnum():
        return None
    return BidsName(entities, suffix, dot + extension)


@dataclass(frozen=True)
class Identity:
    """Which recording a file holds.

    Parameters
    ----------
    scan_id, subject : str
        As in `Scan`.
    session : str or None
        As in `Scan`.
    """

    scan_id: str
    subject: str
    session: str | None


def identify(name: str) -> Identity:
    """Return who a file is of, by its path relative to the source.

    Parameters
    ----------
    name : str
        Path with forward slashes. A BIDS name says it itself. Otherwise the first folder is the
        subject, and without a folder each file is a subject of its own.
    """
    *folders, last = name.split("/")
    parts = parse_name(last)
    stem = last.partition(".")[0]
    if parts is not None and "sub" in parts.entities:
        scan_id = stem.removesuffix(f"_{parts.suffix}")
        return Identity(scan_id, parts.entities["sub"], parts.entities.get("ses"))
    subject = folders[0].removeprefix("sub-") if folders else stem
    return Identity("_".join([*folders, stem]), subject, None)


@dataclass(frozen=True)
class Sidecars:
    """JSON sidecars below one folder, found by BIDS inheritance.

    Parameters
    ----------
    root : Path
        Folder where inheritance begins.
    """

    root: Path
    _by_folder: dict[Path, dict[str | None, list[tuple[BidsName, Path]]]] = field(
        default_factory=dict, init=False, repr=False
    )

    def files(self, path: Path) -> list[Path]:
        """Sidecars of a file: the nearer and more exact, the later."""
        parts = parse_name(path.name)
        if parts is None or "sub" not in parts.entities:
            own = path.with_name(path.name.partition(".")[0] + ".json")
            return [own] if own.is_file() else []
        return [found for folder in self._folders(path) for found in self._in(folder, parts)]

    def read(self, path: Path) -> dict[str, Any]:
        """Return what the sidecars of a file say together.

        Raises
        ------
        InputError
            If one is not a JSON object.
        """
        merged: dict[str, Any] = {}
        for sidecar in self.files(path):
            merged.update(read_json(sidecar))
        return merged

    def _folders(self, path: Path) -> list[Path]:
        below = path.parent.relative_to(self.root).parts
        return [self.root.joinpath(*below[:depth]) for depth in range(len(below) + 1)]

    def _in(self, folder: Path, parts: BidsName) -> Iterator[Path]:
        if folder not in self._by_folder:
            self._by_folder[folder] = _sidecars_by_subject(folder)
        by_subject = self._by_folder[folder]
        candidates = by_subject.get(None, []) + by_subject.get(parts.entities["sub"], [])
        fitting = [(len(name.entities), p) for name, p in candidates if name.applies_to(parts)]
        return (found for _, found in sorted(fitting))


def _sidecars_by_subject(folder: Path) -> dict[str | None, list[tuple[BidsName, Path]]]:
    by_subject: dict[str | None, list[tuple[BidsName, Path]]] = {}
    for path in sorted(folder.glob("*.json")):
        name = parse_name(path.name)
        if name is not None:
            by_subject.setdefault(name.entities.get("sub"), []).append((name, path))
    return by_subject


def read_json(path: Path) -> dict[str, Any]:
    """Return the object of a JSON file.

    Raises
    ------
    InputError
        If the file is not a JSON object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path.name}: not JSON ({first_line(error)}); write the sidecar again"
        ) from error
    if not isinstance(document, dict):
        raise InputError(f"{path.name}: holds no JSON object; write the sidecar again")
    return document


def first_line(error: BaseException) -> str:
    """Return the first line of another library's message, or the name of its error."""
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


def sidecar_tr(document: Mapping[str, Any], name: str) -> float | None:
    """Return the repetition time that a sidecar states, in seconds.

    Raises
    ------
    InputError
        If ``RepetitionTime`` is there and is not a positive number, or ``VolumeTiming`` says that
        the frames are not evenly spaced.
    """
    value = document.get("RepetitionTime")
    if value is None:
        if "VolumeTiming" in document:
            raise InputError(
                f"{name}: its sidecar gives VolumeTiming, no RepetitionTime; only evenly spaced "
                "frames can be used"
            )
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value < float("inf"):
        raise InputError(f"{name}: its sidecar has RepetitionTime {value!r}; write seconds above 0")
    return float(value)


def agreed_tr(name: str, stated: Mapping[str, float | None], missing: str) -> float:
    """Return the one repetition time that all who state one agree on, in seconds.

    Parameters
    ----------
    name : str
        File that it is of, for the message.
    stated : mapping of str to float or None
        Who states what, in s; the first that states one is returned.
    missing : str
        What is wrong if nobody states one.

    Raises
    ------
    InputError
        If nobody states one, two differ by more than a millisecond, or it is above a minute.
    """
    known = {who: value for who, value in stated.items() if value is not None}
    if not known:
        raise InputError(f"{name}: {missing}; give the repetition time in seconds by the option tr")
    first, seconds = next(iter(known.items()))
    for who, value in known.items():
        if abs(value - seconds) > _TR_TOLERANCE:
            raise InputError(
                f"{name}: {first} says TR {seconds:g} s, but {who} says {value:g} s; correct the "
                "wrong one"
            )
    if seconds > _LONGEST_TR:
        raise InputError(
            f"{name}: {first} says TR {seconds:g} s, which looks like milliseconds; write seconds"
        )
    return round(seconds, 6)  # a header's single precision is no better than that
