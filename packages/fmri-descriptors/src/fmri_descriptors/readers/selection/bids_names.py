"""BIDS file names in their parts, and which recording a name is of."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

_ENTITY = re.compile(r"([A-Za-z]+)-([A-Za-z0-9+]+)")

DERIVED = ("space", "cohort", "res", "den", "desc", "variant")
"""Entities that say how a recording was processed, not which recording it is."""

OF_REGIONS = ("atlas", "seg", "scale", "hemi", "label", "stat")
"""Entities that say what regions a file has, not which recording it is of."""

_ORDER = (
    *("sub", "ses", "sample", "task", "acq", "ce", "trc", "stain", "rec", "dir", "run", "mod"),
    *("echo", "flip", "inv", "mt", "part", "proc", "hemi", "space", "cohort", "split"),
    *("recording", "chunk", "atlas", "seg", "scale", "res", "den", "label", "variant", "desc"),
    "stat",
)
# An extension of several parts; any other begins at the last dot.
_EXTENSIONS = (
    *(".nii.gz", ".nii.bz2", ".nii.zst", ".tsv.gz", ".csv.gz", ".json.gz"),
    *(".func.gii", ".surf.gii", ".shape.gii"),
    *(f".{kind}.nii" for kind in ("dtseries", "ptseries", "dscalar", "pscalar", "dlabel")),
    *(f".{kind}.nii" for kind in ("dconn", "pconn", "plabel")),
)
# fMRIPrep before 1.2: sub-01_task-rest_bold_space-T1w_preproc.nii.gz, …_bold_confounds.tsv
_OLD_DESCRIPTIONS = {"preproc": "bold", "confounds": "timeseries"}


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
        Such as ``".nii.gz"``.
    """

    entities: Mapping[str, str]
    suffix: str
    extension: str

    @property
    def recording(self) -> str:
        """Name of the recording itself, the same in every layout.

        Without how it was processed and what regions were made of it; the magnitude of a complex
        image is the image. The order of the entities is that of BIDS, and unknown ones come last.
        """
        dropped = {*DERIVED, *OF_REGIONS}
        if self.entities.get("part") == "mag":
            dropped.add("part")
        return self.without(dropped)

    def key(self, *without: str) -> str:
        """Return what files of one recording have in common; ``run-01`` is ``run-1``.

        Parameters
        ----------
        *without : str
            Entities that do not count.
        """
        kept = {name: value for name, value in self.entities.items() if name not in without}
        for name in {"run", "echo"} & set(kept):
            kept[name] = str(int(kept[name])) if kept[name].isdecimal() else kept[name]
        return replace(self, entities=kept).recording

    @property
    def description(self) -> str:
        """How it was processed, as `variant` or `desc` says; empty if neither does."""
        return self.entities.get("variant") or self.entities.get("desc", "")

    def without(self, dropped: Collection[str]) -> str:
        """Return the entities joined again in their order, without some and without the suffix."""
        kept = [(key, value) for key, value in self.entities.items() if key not in dropped]
        return "_".join(f"{key}-{value}" for key, value in sorted(kept, key=_place))

    def applies_to(self, other: "BidsName") -> bool:
        """Whether a sidecar of this name describes a file of the other.

        What is measured on regions inherits from the images that it was made from.
        """
        if self.suffix == other.suffix and self.entities.items() <= other.entities.items():
            return True
        made = {*DERIVED, *OF_REGIONS}
        mine = {key: value for key, value in self.entities.items() if key not in made}
        of_image = self.suffix in {"bold", "timeseries"} and other.suffix != "bold"
        return of_image and mine.items() <= other.entities.items()


def _place(entity: tuple[str, str]) -> tuple[int, str]:
    key = entity[0]
    return (_ORDER.index(key), "") if key in _ORDER else (len(_ORDER), key)


def split_extension(name: str) -> tuple[str, str]:
    """Return a file name without its extension, and the extension.

    Parameters
    ----------
    name : str
        File name without its folder.

    Examples
    --------
    >>> split_extension("sub-01_task-rest_bold.nii.gz")
    ('sub-01_task-rest_bold', '.nii.gz')
    """
    known = next((e for e in _EXTENSIONS if name.lower().endswith(e)), None)
    if known is not None:
        return name[: -len(known)], name[-len(known) :]
    stem, dot, last = name.rpartition(".")
    return (stem, dot + last) if stem else (name, "")


def parse_name(name: str) -> BidsName | None:
    """Return the parts of a BIDS file name, or None if it is not one.

    The names of fMRIPrep before 1.2, with the suffix in the middle, are taken for those of today.

    Parameters
    ----------
    name : str
        File name without its folder.

    Examples
    --------
    >>> parse_name("sub-01_task-rest_bold.nii.gz").entities["task"]
    'rest'
    """
    stem, extension = split_extension(name)
    *pairs, suffix = stem.split("_")
    if _ENTITY.fullmatch(suffix):  # arrays are often called without a suffix
        pairs, suffix = [*pairs, suffix], ""
    if suffix in _OLD_DESCRIPTIONS and "bold" in pairs:
        pairs = [*(pair for pair in pairs if pair != "bold"), f"desc-{suffix}"]
        suffix = _OLD_DESCRIPTIONS[suffix]
    matches = [_ENTITY.fullmatch(pair) for pair in pairs]
    entities = {_entity(match[1]): match[2] for match in matches if match}
    if len(entities) != len(pairs) or not (suffix or "x").isalnum():
        return None
    return BidsName(entities, suffix, extension)


def _entity(key: str) -> str:
    """Key of an entity; those of BIDS count in capitals too."""
    return key.lower() if key.lower() in _ORDER else key


def name_fault(name: str) -> str:
    """Return why a file name does not tell the recording, and how it should be called.

    Parameters
    ----------
    name : str
        File name without its folder, of which `parse_name` makes nothing or no subject.
    """
    stem, extension = split_extension(name)
    if not stem.lower().startswith("sub-"):
        return (
            "the name does not tell the subject; call it sub-<subject>[_<key>-<value>…], or list "
            "the files in a scans table"
        )
    *pairs, suffix = stem.split("_")
    if "-" in suffix:
        pairs, suffix = [*pairs, suffix], ""
    wanted = "_".join(filter(None, [*_corrected(pairs), _plain(suffix)]))
    odd = [pair for pair in pairs if not _ENTITY.fullmatch(pair)]
    odd += [suffix] if suffix != _plain(suffix) else []
    thing = f"{odd[0]!r} is no <key>-<letters and digits>" if odd else "a key occurs twice"
    return (
        f"the name is not one of BIDS: {thing}; rename it and the files beside it, such as "
        f"{wanted}{extension}"
    )


def _corrected(pairs: list[str]) -> list[str]:
    """Entities of letters and digits: what has no key belongs to the value before it."""
    fixed: dict[str, str] = {}
    key = ""
    for pair in pairs:
        before, dash, after = pair.partition("-")
        begins = before in _ORDER or (bool(dash) and before.isascii() and before.isalpha())
        key, value = (before, after) if begins and before not in fixed else (key, pair)
        fixed[key] = fixed.get(key, "") + _plain(value)
    return [f"{name}-{value or 'x'}" for name, value in fixed.items()]


def _plain(text: str) -> str:
    return "".join(letter for letter in text if letter.isascii() and letter.isalnum())


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
    if parts is not None and "sub" in parts.entities:
        return Identity(parts.recording, parts.entities["sub"], parts.entities.get("ses"))
    stem, _ = split_extension(last)
    subject = folders[0].removeprefix("sub-") if folders else stem
    return Identity("_".join([*folders, stem]), subject, None)
