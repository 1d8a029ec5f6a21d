"""BIDS sidecars of a file, and the repetition time that they state."""

from dataclasses import dataclass, field
from pathlib import Path

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.repetition_time import checked_tr
from fmri_descriptors.readers.selection.bids_names import BidsName, parse_name, split_extension
from fmri_descriptors.readers.selection.content import check_content, is_there
from fmri_descriptors.utils.files import read_json


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
        """Return the sidecars of a file: those further up first, that of its own name last."""
        own = _own(path)
        inherited = [p for folder in self._folders(path) for p in self._in(folder, path)]
        return [p for p in inherited if p != own] + ([own] if is_there(own) else [])

    def tr(self, path: Path) -> float | None:
        """Return the repetition time that the nearest sidecar with one states, in seconds.

        Raises
        ------
        InputError
            If a sidecar is no JSON object, states no repetition time but uneven frames, or one
            that is none, or two of one folder differ.
        """
        own = _own(path)
        tr = _stated_tr(own) if is_there(own) else None
        for folder in reversed(self._folders(path)):
            if tr is not None:
                break
            tr = self._tr_in(folder, path)
        return tr

    def _tr_in(self, folder: Path, path: Path) -> float | None:
        stated = {sidecar.name: _stated_tr(sidecar) for sidecar in self._in(folder, path)}
        times = {name: tr for name, tr in stated.items() if tr is not None}
        if len(set(times.values())) > 1:
            raise InputError(
                f"{path.name}: the sidecars {', '.join(times)} differ in RepetitionTime; write one "
                "beside the file"
            )
        return next(iter(times.values()), None)

    def _folders(self, path: Path) -> list[Path]:
        below = path.parent.relative_to(self.root).parts
        return [self.root.joinpath(*below[:depth]) for depth in range(len(below) + 1)]

    def _in(self, folder: Path, path: Path) -> list[Path]:
        parts = parse_name(path.name)
        if parts is None or "sub" not in parts.entities:
            return []
        if folder not in self._by_folder:
            self._by_folder[folder] = _sidecars_by_subject(folder)
        by_subject = self._by_folder[folder]
        candidates = by_subject.get(None, []) + by_subject.get(parts.entities["sub"], [])
        return [found for name, found in candidates if name.applies_to(parts)]


def _own(path: Path) -> Path:
    return path.with_name(split_extension(path.name)[0] + ".json")


def _sidecars_by_subject(folder: Path) -> dict[str | None, list[tuple[BidsName, Path]]]:
    by_subject: dict[str | None, list[tuple[BidsName, Path]]] = {}
    for path in sorted(folder.glob("*.json")):
        name = parse_name(path.name)
        if name is not None:
            by_subject.setdefault(name.entities.get("sub"), []).append((name, path))
    return by_subject


def _stated_tr(sidecar: Path) -> float | None:
    check_content(sidecar)
    try:
        document = read_json(sidecar)
        if "RepetitionTime" in document:
            return checked_tr(document["RepetitionTime"])
    except InputError as error:
        reason = str(error).removeprefix(f"{sidecar}: ")
        raise InputError(f"{sidecar.name}: {reason}") from error
    if "VolumeTiming" in document:
        raise InputError(
            f"{sidecar.name}: gives VolumeTiming, no RepetitionTime; only evenly spaced frames can "
            "be used"
        )
    return None
