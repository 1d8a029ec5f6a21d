"""A YAML file that says what phenotype columns mean, read strictly."""

import difflib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass

from fmri_descriptors.errors import InputError
from fmri_descriptors.utils.yaml_files import YamlError, read_yaml

SCHEMA = 1
"""Version of the file's layout that this package reads."""

GROUPS = ("demographic", "cognitive", "physical")
_LONGEST = 40  # characters of a wrong value that a message shows
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
_FIXES = {
    "dataclass_type": "give a mapping",
    "dict_type": "give a mapping",
    "mapping_type": "give a mapping",
    "tuple_type": "give a list",
    "too_short": "give one entry a column",
}


def _as_text(value: object) -> str:
    # `true` and `false` are values in YAML, and as a label would become 'True' and 'False'.
    if isinstance(value, bool):
        raise ValueError("put true and false in quotes")  # noqa: TRY004 - pydantic wants this one
    if not isinstance(value, str | int | float) or not str(value).strip():
        raise ValueError("give text")
    return " ".join(str(value).split())


def _one_of_the_groups(value: str) -> str:
    if value not in GROUPS:
        raise ValueError(nearest(value, GROUPS))
    return value


Text = Annotated[str, BeforeValidator(_as_text)]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Band:
    """A range of values with the words that the user gives it.

    Parameters
    ----------
    below : float or None
        Upper bound, itself outside; None for the last band.
    label : str
        The words.
    """

    below: Annotated[float, Field(strict=True)] | None = None
    label: Text


def _rising(bands: tuple[Band, ...]) -> tuple[Band, ...]:
    bounds = [band.below for band in bands]
    if bounds and (None in bounds[:-1] or bounds[-1] is not None):
        raise ValueError("give all bands but the last a `below`")
    known = [bound for bound in bounds if bound is not None]
    if any(a >= b for a, b in itertools.pairwise(known)):
        raise ValueError("give rising bounds")
    return bands


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ColumnMeaning:
    """What one column means, as the file says it.

    Parameters
    ----------
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

    meaning: Text
    group: Annotated[Text, AfterValidator(_one_of_the_groups)]
    unit: Text | None = None
    decimals: Annotated[int, Field(strict=True, ge=0, le=9)] | None = None
    values: Mapping[Text, Text] = field(default_factory=dict)
    bands: Annotated[tuple[Band, ...], AfterValidator(_rising)] = ()
    missing: tuple[Text, ...] = ()
    gives_away: tuple[Text, ...] = ()

    def __post_init__(self) -> None:
        if self.values and (self.unit or self.bands or self.decimals is not None):
            raise ValueError("labels and numbers exclude each other; give one")

    @property
    def is_number(self) -> bool:
        """Whether its values must be numbers."""
        return bool(self.unit or self.bands or self.decimals is not None) and not self.values


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class PhenotypeColumn(ColumnMeaning):
    """What one column means, with its name.

    Parameters
    ----------
    name : str
        Name of the column; the rest as in `ColumnMeaning`.
    """

    name: str


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class _File:
    tasks: tuple[Text, ...] = ()
    columns: Annotated[dict[Text, ColumnMeaning], Field(min_length=1)]


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
    schema = document.pop("schema", None)
    if schema != SCHEMA:
        raise InputError(f"{path}: schema {_shown(schema)}; begin the file with `schema: {SCHEMA}`")
    try:
        file = TypeAdapter(_File).validate_python(document)
    except ValidationError as error:
        raise InputError(f"{path}: {_explained(error)}") from error
    for name, column in file.columns.items():
        for task in column.gives_away:
            if task not in file.tasks:
                where = f"{path}: columns.{name}.gives_away"
                raise InputError(f"{where}: {_shown(task)}; {nearest(task, file.tasks)}")
    columns = (PhenotypeColumn(name=n, **vars(column)) for n, column in file.columns.items())
    return PhenotypeDictionary(tuple(columns), file.tasks)


def _explained(error: ValidationError) -> str:
    """Return the first fault as one line, an unknown key before the key that it stands for."""
    faults = sorted(error.errors(), key=lambda e: e["type"] != "unexpected_keyword_argument")
    kind, value = faults[0]["type"], faults[0]["input"]
    keys = [f"[{key}]" if isinstance(key, int) else f".{key}" for key in faults[0]["loc"]]
    above, last = "".join(keys[:-1]).removeprefix("."), keys[-1].removeprefix(".")
    where = f"{above}: " if above else ""
    if kind == "unexpected_keyword_argument":
        known = [f.name for part in (_File, ColumnMeaning, Band) for f in fields(part)]
        return f"{where}unknown key '{last}'; {nearest(last, known)}"
    if kind.startswith("missing"):
        return f"{where}no '{last}'; add it"
    expected = faults[0]["msg"].removeprefix("Input should be ")
    cause = faults[0].get("ctx", {}).get("error")
    fix = str(cause) if cause else _FIXES.get(kind, f"give {expected}")
    return f"{''.join(keys).removeprefix('.')}: {_shown(value)}; {fix}"


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
