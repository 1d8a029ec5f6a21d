"""What BIDS file names and their JSON sidecars say of a recording."""

import json
from functools import lru_cache
from pathlib import Path

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.sources import checked_tr

# Entities that say how a file was made, not which recording it was made from.
_OF_THE_FILE = {"atlas", "cohort", "den", "desc", "hemi", "res", "seg", "space", "stat"}


def entities(name: str) -> dict[str, str]:
    """Return the entities of a BIDS file name, in order: ``sub-01_task-rest_…`` has sub, task."""
    parts = name.partition(".")[0].split("_")
    return dict(part.split("-", 1) for part in parts if "-" in part)


def name_without(name: str, dropped: set[str]) -> str:
    """Return the entities of a file name joined again, without some and without its suffix."""
    kept = [f"{key}-{value}" for key, value in entities(name).items() if key not in dropped]
    return "_".join(kept)


def sidecar_tr(path: Path, root: Path) -> float | None:
    """Return the repetition time that the JSON files of a recording tell, in seconds, or None.

    The sidecar of the same name comes first. Then, folder by folder up to the root, the JSON
    files of ``bold`` and ``timeseries`` whose entities are among the recording's.

    Parameters
    ----------
    path : Path
        File of the recording, with the suffix that its sidecar replaces by ``.json``.
    root : Path
        Folder where the search ends.

    Raises
    ------
    InputError
        If a sidecar is damaged, its time is no time, or several of one folder disagree.
    """
    own = path.with_name(path.name.partition(".")[0] + ".json")
    told = _told(own) if own.is_file() else None
    folder = path.parent
    while told is None:
        told = _told_in(folder, path)
        if folder in (root, folder.parent):
            break
        folder = folder.parent
    return told


def _told_in(folder: Path, path: Path) -> float | None:
    mine = _of_the_recording(path.name).items()
    times = {
        sidecar: told
        for sidecar in _sidecars(folder)
        if _of_the_recording(sidecar.name).items() <= mine and (told := _told(sidecar)) is not None
    }
    if len(set(times.values())) > 1:
        raise InputError(
            f"{path}: the sidecars {', '.join(sidecar.name for sidecar in times)} differ in "
            "RepetitionTime; write one beside the file"
        )
    return next(iter(times.values()), None)


def _of_the_recording(name: str) -> dict[str, str]:
    return {key: value for key, value in entities(name).items() if key not in _OF_THE_FILE}


@lru_cache(maxsize=64)
def _sidecars(folder: Path) -> tuple[Path, ...]:
    names = ("bold", "timeseries")
    return tuple(p for p in sorted(folder.glob("*.json")) if p.stem.rpartition("_")[2] in names)


def _told(sidecar: Path) -> float | None:
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{sidecar}: cannot be read as JSON ({error}); mend it") from error
    if not isinstance(content, dict):
        raise InputError(f"{sidecar}: holds no JSON object; mend it")
    if "RepetitionTime" not in content:
        return None
    try:
        return checked_tr(content["RepetitionTime"])
    except InputError as error:
        raise InputError(f"{sidecar}: {error}") from error
