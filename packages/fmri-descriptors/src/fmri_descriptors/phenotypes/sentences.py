"""Sentences about a subject from phenotypes, in the words of a phenotype dictionary."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

from fmri_descriptors.cohort.read import Cohort
from fmri_descriptors.errors import InputError
from fmri_descriptors.phenotypes.dictionary import (
    GROUPS,
    PhenotypeColumn,
    PhenotypeDictionary,
    load_dictionary,
    nearest,
)
from fmri_descriptors.phenotypes.give_away import visible_columns
from fmri_descriptors.readers.base import Phenotype

_MISSING = {"", "n/a", "na", "nan"}
_OPENINGS = dict(
    zip(GROUPS, ("Demographic data", "Cognitive measures", "Physical measures"), strict=True)
)


def semantic_description(
    phenotypes: Mapping[str, Phenotype], dictionary: PhenotypeDictionary, task: str | None = None
) -> str:
    """Describe a subject by what is known of them, one sentence a group of columns.

    A missing value is left out, as is a group without any value. No value is judged but by the
    bands that the dictionary gives its own column.

    Parameters
    ----------
    phenotypes : mapping of str to str, float or None
        Value by column.
    dictionary : PhenotypeDictionary
        What the columns mean.
    task : str, optional
        Task that the text goes with; columns that give its answer away are kept out.

    Returns
    -------
    str
        Empty where nothing is known.

    Raises
    ------
    InputError
        If a column of the dictionary is not among the phenotypes, the task is not known, or a
        value is not one that the dictionary allows.
    """
    require_columns(dictionary, phenotypes)
    statements: dict[str, list[str]] = {group: [] for group in GROUPS}
    for column, value in _told(phenotypes, dictionary, task):
        statements[column.group].append(f"{column.meaning} is {_worded(value, column)}")
    return " ".join(
        f"{_OPENINGS[group]}: {'; '.join(known)}." for group, known in statements.items() if known
    )


def require_columns(dictionary: PhenotypeDictionary, phenotypes: Mapping[str, object]) -> None:
    """Raise InputError for a column of the dictionary that is not among the phenotypes."""
    for column in dictionary.columns:
        if column.name not in phenotypes:
            raise InputError(
                f"phenotype dictionary: no column {column.name!r} among the phenotypes; "
                f"{nearest(column.name, phenotypes)}"
            )


def write_semantic(cohort: Cohort, dictionary_path: Path, path: Path) -> int:
    """Write ``semantic.jsonl``: for each scan one text of everything, and one a task.

    Parameters
    ----------
    cohort : Cohort
        Gives the phenotypes.
    dictionary_path : Path
        A phenotype dictionary.
    path : Path
        The file; each line has ``scan_id``, ``task`` (null for the text of everything), ``text``
        and ``columns``, those that the text tells. A text of nothing is left out.

    Returns
    -------
    int
        Number of lines.

    Raises
    ------
    InputError
        As `load_dictionary` and `semantic_description` do; a wrong value with the scan's id.
    """
    dictionary = load_dictionary(dictionary_path)
    require_columns(dictionary, cohort.document.get("phenotypes", {}))
    columns = ["scan_id", *(column.name for column in dictionary.columns)]
    lines = 0
    with path.open("w", encoding="utf-8") as file:
        for row in cohort.rows(columns):
            for task in (None, *dictionary.tasks):
                text = _described(row, dictionary, task)
                if text:
                    told = [column.name for column, _ in _told(row, dictionary, task)]
                    names = {"scan_id": str(row["scan_id"]), "task": task}
                    line = {**names, "text": text, "columns": told}
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                    lines += 1
    return lines


def _described(
    row: Mapping[str, Phenotype], dictionary: PhenotypeDictionary, task: str | None
) -> str:
    try:
        return semantic_description(row, dictionary, task)
    except InputError as error:
        raise InputError(f"{row['scan_id']}: {error}") from error


def _told(
    phenotypes: Mapping[str, Phenotype], dictionary: PhenotypeDictionary, task: str | None
) -> list[tuple[PhenotypeColumn, str]]:
    """Columns that the text about a subject tells, each with its value in one spelling."""
    values = ((c, _known(phenotypes[c.name], c)) for c in visible_columns(dictionary, task))
    return [(column, value) for column, value in values if value is not None]


def _known(value: Phenotype, column: PhenotypeColumn) -> str | None:
    """Return the value in one spelling, or None where it is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    text = _plain(value)
    if text in {_plain(code) for code in column.missing}:
        return None
    return None if text.lower() in _MISSING and text not in column.values else text


def _plain(value: str | float) -> str:
    """Spell 1, 1.0 and "1" alike, as tables store what a dictionary writes as 1."""
    text = str(value).strip()
    number = _number(text)
    return text if number is None else f"{number:.12g}"


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _worded(text: str, column: PhenotypeColumn) -> str:
    if column.values:
        return _label(text, column)
    number = _number(text)
    if not column.is_number:
        return text
    if number is None:
        raise InputError(f"column {column.name!r}: {text!r}; give a number, or a missing code")
    shown = text if column.decimals is None else f"{number:.{column.decimals}f}"
    unit = f" {column.unit}" if column.unit else ""
    band = f" ({_band(number, column)})" if column.bands else ""
    return f"{shown}{unit}{band}"


def _label(text: str, column: PhenotypeColumn) -> str:
    labels = {_plain(value): label for value, label in column.values.items()}
    if text not in labels:
        raise InputError(
            f"column {column.name!r}: value {text!r} has no label; {nearest(text, labels)}"
        )
    return labels[text]


def _band(number: float, column: PhenotypeColumn) -> str:
    return next(b.label for b in column.bands if b.below is None or number < b.below)
