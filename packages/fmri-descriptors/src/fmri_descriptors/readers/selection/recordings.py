"""Which files are one recording, and which of them is read: one rule for all readers."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.base import ReadOptions
from fmri_descriptors.readers.selection.bids_names import BidsName, split_extension
from fmri_descriptors.readers.selection.candidates import Account, Candidate

_SPACES = ("MNI152NLin2009cAsym", "MNI152NLin6Asym", "fsLR")  # first choice first
_DESCRIPTIONS = ("denoised", "preproc", "")  # first choice first
_PHASES = {"phase": "phase", "imag": "imaginary part", "real": "real part"}
_ONE_VOLUME = frozenset(
    {"T1w", "T2w", "PDw", "FLAIR", "T2starw", "inplaneT1", "inplaneT2", "mask", "boldref", "sbref"}
    | {"dseg", "probseg", "epi", "fieldmap", "magnitude", "magnitude1", "magnitude2", "phasediff"}
    | {"phase1", "phase2", "dwi", "brainmask", "boldmap", "statmap"}
)


def mean_series(parts: BidsName) -> bool:
    """Whether a name is not that of another measure than the mean."""
    return parts.entities.get("stat", "mean") == "mean"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a layout names its series.

    Parameters
    ----------
    endings : tuple of str
        Endings of the files that are read, in lower case.
    by_name : bool
        Whether the name must tell the subject; else the path does where the name does not.
    is_series : callable
        Takes a name in parts, returns whether it is that of mean series.
    descriptions : tuple of str
        Descriptions (`desc` or `variant`) that are read, best first; if empty, that of most
        recordings.
    space : str
        Beginning of the spaces that are chosen from where none is asked for.
    any_task : bool
        Whether all tasks are read where none of several is rest; else one has to be named.
    regions : bool
        Whether the files hold series of regions, of one parcellation.
    parcellation : str, optional
        The parcellation that is asked for.
    """

    endings: tuple[str, ...]
    by_name: bool = True
    is_series: Callable[[BidsName], bool] = mean_series
    descriptions: tuple[str, ...] = ()
    space: str = ""
    any_task: bool = False
    regions: bool = True
    parcellation: str | None = None


def choose_files(
    files: Iterable[Path], layout: Layout, options: ReadOptions, account: Account
) -> list[Candidate]:
    """Return one file a recording; the account says of each other file why it is not read.

    Two files are of one recording if their names have the same entities apart from those that say
    how it was processed (`DERIVED`) or cut into regions (`OF_REGIONS`). The whole source is read
    in one description, one space and one parcellation.

    Parameters
    ----------
    files : iterable of Path
        Every file that may hold a recording of this layout.
    layout : Layout
        How the layout names its series.
    options : ReadOptions
        ``tasks`` and ``space`` that are asked for.
    account : Account
        What becomes of the files.

    Raises
    ------
    InputError
        If none of several tasks is rest and none is named, a task, space or parcellation that is
        asked for is not there, or there are several parcellations and none is named.
    """
    kept = account.candidates(files, by_name=layout.by_name)
    kept = _series(kept, layout, account)
    kept = _magnitudes(kept, account)
    kept = _of_tasks(kept, layout, options.tasks, account)
    kept = _without_joined_runs(kept, account)
    kept = _without_echoes(kept, account)
    kept = _of_kinds(kept, layout.endings, account)
    if layout.regions:
        kept = _of_parcellation(kept, layout.parcellation, account)
    kept = _of_description(kept, layout.descriptions, account)
    kept = _in_space(kept, layout.space, options.space, account)
    return account.close(_one_each(kept, layout.descriptions, account))


def _series(kept: list[Candidate], layout: Layout, account: Account) -> list[Candidate]:
    series = []
    for each in kept:
        if each.parts is not None and each.parts.suffix in _ONE_VOLUME:
            account.leave_out(each, "not a series", f"{each.parts.suffix} is no series of frames")
        elif each.parts is not None and not layout.is_series(each.parts):
            account.leave_out(each, "not a series of means", "holds no mean series of regions")
        else:
            series.append(each)
    return series


def _magnitudes(kept: list[Candidate], account: Account) -> list[Candidate]:
    for each in kept:
        part = _PHASES.get(each.get("part") or "")
        if part is not None:
            account.leave_out(each, "other part", f"holds the {part} of a complex image")
    return [each for each in kept if each.get("part") not in _PHASES]


def _of_tasks(
    kept: list[Candidate], layout: Layout, wanted: tuple[str, ...], account: Account
) -> list[Candidate]:
    tasks = sorted({task for each in kept if (task := each.get("task")) is not None})
    read = _tasks_read(tasks, wanted, account.root, any_task=layout.any_task)
    accepted = {*read} if wanted else {*read, None}
    for each in kept:
        if each.get("task") not in accepted:
            reason = f"its task is {each.get('task') or 'not named'}, and {_listed(read)} is read"
            account.leave_out(each, "other task", reason)
    if len(tasks) > 1:
        account.choices.append(f"task {_listed(read)} of {_listed(tasks)}")
    return [each for each in kept if each.get("task") in accepted]


def _tasks_read(
    tasks: list[str], wanted: tuple[str, ...], root: Path, *, any_task: bool
) -> list[str]:
    if wanted:
        names = [task.removeprefix("task-") for task in wanted]
        missing = [name for name in names if name not in tasks]
        if missing:
            found = _listed(tasks) or "unnamed"
            raise InputError(f"--task: {missing[0]} is none of the tasks of {root}: {found}")
        return sorted(set(names))
    rest = [task for task in tasks if task.lower().startswith("rest")]
    if len(tasks) > 1 and not rest and not any_task:
        raise InputError(
            f"{root}: the tasks are {_listed(tasks)}, none of them rest; name those that are read "
            "by --task"
        )
    return rest or tasks


def _without_joined_runs(kept: list[Candidate], account: Account) -> list[Candidate]:
    runs = {each.key("run") for each in kept if each.get("run")}
    runs |= {each.key("run", "dir") for each in kept if each.get("run") and each.get("dir")}
    ways: dict[str, set[str | None]] = {}
    for each in kept:
        if each.get("dir"):
            ways.setdefault(each.key("dir"), set()).add(each.get("dir"))
    runs |= {key for key, directions in ways.items() if len(directions) > 1}
    single = []
    for each in kept:
        if each.get("run") or each.key() not in runs:
            single.append(each)
        else:
            account.leave_out(each, "joined runs", "has no run, and its runs lie beside it")
    return single


def _without_echoes(kept: list[Candidate], account: Account) -> list[Candidate]:
    combined = {each.key() for each in kept if not each.get("echo")}
    for each in kept:
        if each.get("echo") and each.key("echo") in combined:
            account.leave_out(each, "single echo", "the image of all echoes lies beside it")
        elif each.get("echo"):
            account.reject(
                each,
                "is one echo of a recording whose combined image is not there; combine the echoes, "
                f"or rename the one to be read, without echo-{each.get('echo')}",
            )
    return [each for each in kept if not each.get("echo")]


def _of_kinds(kept: list[Candidate], endings: tuple[str, ...], account: Account) -> list[Candidate]:
    read = [each for each in kept if _ending(each) in endings]
    for each in kept:
        if _ending(each) not in endings:
            reason = f"files that end in {_listed(endings)} are read"
            account.leave_out_if_read(
                each, "other kind of file", reason, f"{reason}; {_other_way(each, endings)}"
            )
    return read


def _other_way(each: Candidate, endings: tuple[str, ...]) -> str:
    ending = _ending(each)
    if ending.endswith(".gz") and ending.removesuffix(".gz") in endings:
        return "unpack it by gunzip"
    if ending in {".dtseries.nii", ".ptseries.nii"}:
        return f"give a folder with the {ending} files alone"
    return f"export it as {endings[0]}"


def _ending(each: Candidate) -> str:
    return split_extension(each.path.name)[1].lower()


def _of_parcellation(
    kept: list[Candidate], wanted: str | None, account: Account
) -> list[Candidate]:
    found = sorted({each.regions for each in kept if each.parts is not None})
    names = [name for name in found if name]
    if not names or (len(found) == 1 and wanted is None):
        return kept
    read = [name for name in names if wanted is not None and _matches(name, wanted)]
    if wanted is not None and not read:
        raise InputError(
            f"--atlas: {wanted} is none of the parcellations of {account.root}: {_listed(names)}"
        )
    if len(read) != 1:
        raise InputError(
            f"{account.root}: holds several parcellations; choose by --atlas: {_listed(names)}"
        )
    if len(found) > 1:
        account.choices.append(f"parcellation {read[0]} of {_listed(names)}")
    return _of_one(
        kept,
        lambda each: each.regions,
        read,
        account,
        "parcellation",
        f"is not there for parcellation {read[0]}, which is read; make it with that one too",
    )


def _of_description(
    kept: list[Candidate], wanted: tuple[str, ...], account: Account
) -> list[Candidate]:
    counts = _counts(kept, lambda each: each.description)
    if not counts:
        return kept
    read = list(wanted) or [_most(counts, _DESCRIPTIONS)]
    if not wanted and len(counts) > 1:
        account.choices.append(f"description {_shown(read[0])} of {_listed(map(_shown, counts))}")
    return _of_one(
        kept,
        lambda each: each.description,
        read,
        account,
        "description",
        f"is not there with description {_shown(read[0])}, which is read; make it with that one",
    )


def _in_space(
    kept: list[Candidate], beginning: str, wanted: str | None, account: Account
) -> list[Candidate]:
    counts = _counts(kept, lambda each: each.space)
    allowed = {
        space: count
        for space, count in counts.items()
        if (_matches(space, wanted) if wanted is not None else space.startswith(beginning))
    }
    if not counts:
        return kept
    if not allowed:
        raise InputError(_no_space(account.root, beginning, wanted, list(filter(None, counts))))
    read = _most(allowed, _SPACES)
    if len(counts) > 1:
        account.choices.append(f"space {_shown(read)} of {_listed(map(_shown, counts))}")
    return _of_one(
        kept,
        lambda each: each.space,
        [read],
        account,
        "space",
        f"is not there in space {_shown(read)}, which is read; make it in that space too",
    )


def _no_space(root: Path, beginning: str, wanted: str | None, found: list[str]) -> str:
    if wanted is not None:
        names = _listed(found) or "unnamed"
        return f"--space: {wanted} is none of the spaces of {root}: {names}"
    if not found:
        return f"{root}: no space-{beginning}*, names tell no space; ask for one of the pipeline"
    return f"{root}: no space-{beginning}*, but {_listed(found)}; name the atlas's by --space"


def _of_one(
    kept: list[Candidate],
    kind: Callable[[Candidate], str],
    read: Sequence[str],
    account: Account,
    what: str,
    fault: str,
) -> list[Candidate]:
    """Candidates of the kinds that are read; whose name is none of BIDS is of every kind."""
    same = []
    for each in kept:
        if each.parts is None or kind(each) in read:
            same.append(each)
            continue
        own = f"{what} {kind(each)}" if kind(each) else f"no {what} in its name"
        reason = f"has {own}, and {_shown(read[0])} is read"
        account.leave_out_if_read(each, f"other {what}", reason, fault)
    return same


def _counts(kept: list[Candidate], kind: Callable[[Candidate], str]) -> dict[str, int]:
    """Count the recordings of each kind; those without content only where none has any."""
    named = [each for each in kept if each.parts is not None]
    here = [each for each in named if each.fault is None] or named
    kinds = sorted({kind(each) for each in named})
    return {name: len({e.key() for e in here if kind(e) == name}) for name in kinds}


def _most(counts: dict[str, int], first: tuple[str, ...]) -> str:
    def rank(name: str) -> tuple[int, int, str]:
        base = name.partition("_")[0]
        return (-counts[name], first.index(base) if base in first else len(first), name)

    return min(counts, key=rank)


def _matches(name: str, wanted: str) -> bool:
    """Whether a space or parcellation is the one asked for, such as ``T1w`` or ``T1w:res-2``."""
    base, *more = wanted.replace(":", "_").removeprefix("space-").split("_")
    first, *others = name.split("_")
    return base == first and set(more) <= set(others)


def _one_each(
    kept: list[Candidate], descriptions: tuple[str, ...], account: Account
) -> list[Candidate]:
    """Of several files of one recording the first that is here, in its usual place, by name."""

    def rank(each: Candidate) -> tuple[bool, int, bool, Path]:
        wanted = each.description in descriptions
        place = descriptions.index(each.description) if wanted else 0
        return (each.fault is not None, place, each.path.parent.name != "func", each.path)

    first: dict[str, Candidate] = {}
    for each in sorted(kept, key=rank):
        read = first.setdefault(each.key(), each)
        if read is each:
            continue
        if each.description != read.description:
            reason = f"{read.name} is read of this recording"
            account.leave_out(each, "other description", reason)
        elif _same(each.path, read.path):
            account.leave_out(each, "second copy", f"is {read.name} once more")
        else:
            account.reject(each, f"is of the recording of {read.name}; remove or rename one")
    return list(first.values())


def _same(one: Path, other: Path) -> bool:
    if one.parent == other.parent:
        stems = {split_extension(path.name)[0] for path in (one, other)}
        if len(stems) == 1:
            return True
    return one.exists() and other.exists() and one.samefile(other)


def _shown(name: str) -> str:
    return name or "unnamed"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
