"""A YAML file that says what phenotype columns mean, read strictly."""

import difflib
import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fmri_descriptors.errors import InputError
from fmri_descriptors.utils.yaml_files import YamlError, read_yaml

SCHEMA = 1
"""Version of the file's layout that this package reads."""

GROUPS = ("demographic", "cognitive", "physical")
_TOP_KEYS = ("schema", "tasks", "columns")
_COLUMN_KEYS = (
    "meaning",
    "group",
    "unit",
    "decimals",
    "values",
    "bands",
    "missing",
    "gives_away",
)
_BAND_KEYS = ("below", "label")
_LONGEST = 40  # characters of a wrong value that a message shows


@dataclass(frozen=True)
class Band:
    """A range of values with the words that the user gives it.

    Parameters
    ----------
    below : float or None
        Upper bound, itself outside; None for the last band.
    label : str
        The words.
    """

    below: float | None
    label: str


@dataclass(frozen=True, kw_only=True)
class PhenotypeColumn:
    """What one column means.

    Parameters
    ----------
    name : str
        Name of the column.
    meaning : str
        How a sentence calls it.
    group : str
        One of `GROUPS`.
    unit : str, optional
        Unit of its numbers.
    decimals : int, optional
        Decimals that its numbers are written with; as many as they have if not given.
    values : mapping of str to str
        Label by value; empty if the values speak for themselves.
    bands : tuple of Band
        Reference bands of this column, from low to high; empty for no judgement.
    missing : tuple of str
        Codes that stand for a missing value.
    gives_away : tuple of str
        Tasks whose answer the column gives away.
    """

    name: str
    meaning: str
    group: str
    unit: str | None = None
    decimals: int | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    bands: tuple[Band, ...] = ()
    missing: tuple[str, ...] = ()
    gives_away: tuple[str, ...] = ()

    @property
    def is_number(self) -> bool:
        """Whether its values must be numbers."""
        return bool(self.unit or self.bands or self.decimals is not None) and not self.values


@dataclass(frozen=True)
class PhenotypeDictionary:
    """What the columns of a cohort mean, in the order in which a text shows them.

    Parameters
    ----------
    columns : tuple of PhenotypeColumn
        The columns that are described; others stay out of every text.
    tasks : tuple of str
        Tasks that have a text of their own.
    """

    columns: tuple[PhenotypeColumn, ...]
    tasks: tuple[str, ...] = ()

    def visible_columns(self, task: str | None) -> tuple[PhenotypeColumn, ...]:
        """Columns that a text may show where a task is asked.

        A column that bears the task's name is kept out of its text whether declared or not.

        Raises
        ------
        InputError
            If the dictionary does not know the task.
        """
        if task is not None and task not in self.tasks:
            raise InputError(
                f"phenotype dictionary: task {task!r} is not among its tasks; "
                f"{nearest(task, self.tasks)}"
            )
        return tuple(c for c in self.columns if task not in {*c.gives_away, c.name})


def nearest(word: str, known: Iterable[str]) -> str:
    """Say which known word is meant, or which there are."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"known are: {', '.join(known) or 'none'}"


def load_dictionary(path: Path) -> PhenotypeDictionary:
    """Read a phenotype dictionary.

    Parameters
    ----------
    path : Path
        A YAML file with ``schema: 1``, ``columns`` and, where columns give answers away,
        ``tasks``.

    Raises
    ------
    InputError
        If the file cannot be read, or a key or a value is not one of those described.
    """
    document = _document(path)
    _check_keys(document, _TOP_KEYS, str(path))
    if document.get("schema") != SCHEMA:
        raise InputError(
            f"{path}: schema {_shown(document.get('schema'))}; begin the file with "
            f"`schema: {SCHEMA}`"
        )
    tasks = _texts(document.get("tasks", []), f"{path}: tasks")
    columns = document.get("columns")
    if not isinstance(columns, dict) or not columns:
        raise InputError(f"{path}: columns: {_shown(columns)}; give one entry a column")
    return PhenotypeDictionary(
        tuple(
            _column(_text(name, f"{path}: columns"), entry, tasks, f"{path}: columns.{name}")
            for name, entry in columns.items()
        ),
        tasks,
    )


def _column(name: str, entry: Any, tasks: tuple[str, ...], where: str) -> PhenotypeColumn:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: {_shown(entry)}; give a mapping with `meaning` and `group`")
    _check_keys(entry, _COLUMN_KEYS, where)
    for key in ("meaning", "group"):
        if key not in entry:
            raise InputError(f"{where}: no '{key}'; add it")
    column = PhenotypeColumn(
        name=name,
        meaning=_text(entry["meaning"], f"{where}.meaning"),
        group=_one_of(_text(entry["group"], f"{where}.group"), GROUPS, f"{where}.group"),
        unit=_text(entry["unit"], f"{where}.unit") if "unit" in entry else None,
        decimals=_decimals(entry.get("decimals"), f"{where}.decimals"),
        values=_labels(entry.get("values", {}), f"{where}.values"),
        bands=_bands(entry.get("bands", []), f"{where}.bands"),
        missing=_texts(entry.get("missing", []), f"{where}.missing"),
        gives_away=tuple(
            _one_of(task, tasks, f"{where}.gives_away")
            for task in _texts(entry.get("gives_away", []), f"{where}.gives_away")
        ),
    )
    if column.values and (column.unit or column.bands or column.decimals is not None):
        raise InputError(f"{where}: labels and numbers; give `values`, or a unit and bands")
    return column


def _labels(entry: Any, where: str) -> dict[str, str]:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: {_shown(entry)}; give a mapping of value to label")
    return {_text(value, where): _text(label, where) for value, label in entry.items()}


def _bands(entry: Any, where: str) -> tuple[Band, ...]:
    if not isinstance(entry, list):
        raise InputError(f"{where}: {_shown(entry)}; give a list of `below` and `label`")
    bands = tuple(_band(item, f"{where}[{i}]") for i, item in enumerate(entry))
    bounds = [band.below for band in bands]
    if bounds and (None in bounds[:-1] or bounds[-1] is not None):
        raise InputError(f"{where}: {_shown(bounds)}; give all bands but the last a `below`")
    rising = [bound for bound in bounds if bound is not None]
    if any(a >= b for a, b in itertools.pairwise(rising)):
        raise InputError(f"{where}: {_shown(rising)}; give rising bounds")
    return bands


def _band(entry: Any, where: str) -> Band:
    if not isinstance(entry, dict) or "label" not in entry:
        raise InputError(f"{where}: {_shown(entry)}; give `below` and `label`")
    _check_keys(entry, _BAND_KEYS, where)
    below = entry.get("below")
    is_number = isinstance(below, int | float) and not isinstance(below, bool)
    if below is not None and not (is_number and math.isfinite(below)):
        raise InputError(f"{where}.below: {_shown(below)}; give a number")
    return Band(None if below is None else float(below), _text(entry["label"], f"{where}.label"))


def _decimals(value: Any, where: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 9:
        raise InputError(f"{where}: {_shown(value)}; give a whole number from 0 to 9")
    return value


def _texts(entry: Any, where: str) -> tuple[str, ...]:
    if not isinstance(entry, list):
        raise InputError(f"{where}: {_shown(entry)}; give a list")
    return tuple(_text(item, where) for item in entry)


def _text(value: Any, where: str) -> str:
    # `true` and `false` are values in YAML, and as a label would become 'True' and 'False'.
    if isinstance(value, bool):
        raise InputError(f"{where}: {_shown(value)}; put true and false in quotes")
    if not isinstance(value, str | int | float) or not str(value).strip():
        raise InputError(f"{where}: {_shown(value)}; give text")
    return " ".join(str(value).split())


def _one_of(value: str, known: tuple[str, ...], where: str) -> str:
    if value not in known:
        raise InputError(f"{where}: {_shown(value)}; {nearest(value, known)}")
    return value


def _check_keys(entry: Mapping[Any, Any], known: tuple[str, ...], where: str) -> None:
    for key in entry:
        if key not in known:
            raise InputError(f"{where}: unknown key '{key}'; {nearest(str(key), known)}")


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _document(path: Path) -> dict[str, Any]:
    try:
        document = read_yaml(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a phenotype dictionary") from error
    except YamlError as error:
        raise InputError(f"{path}: not valid YAML ({error}); correct it") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: holds no mapping; begin with `schema: {SCHEMA}` and `columns:`")
    return document
