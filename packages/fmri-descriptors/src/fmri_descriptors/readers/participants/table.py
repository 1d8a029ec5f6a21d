"""A table of what is known of people, visits or runs, before it is joined to scans."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.layouts.table import RESERVED, phenotype_columns
from fmri_descriptors.readers.participants.joins import RUN_ENTITIES, Line, entity_keys
from fmri_descriptors.readers.participants.subjects import SESSION, SUBJECT, label_key
from fmri_descriptors.readers.selection.bids_names import parse_name
from fmri_descriptors.readers.tables.columns import Column, Value
from fmri_descriptors.readers.tables.delimited import read_rows
from fmri_descriptors.utils.cells import present_cell
from fmri_descriptors.utils.files import read_json

SITE = "site"

SUBJECT_COLUMNS = ("participant_id", "subject_id", "subject", "participant", "sub")
SESSION_COLUMNS = ("session_id", "session", "ses")
FILE_COLUMNS = ("filename", "file", "scan_id")
_LONG_NAMES = {
    "acquisition": "acq",
    "condition": "cond",
    "direction": "dir",
    "reconstruction": "rec",
} | dict.fromkeys(("visit", "timepoint", "time_point", "wave"), SESSION)
_ENDINGS = ("_id", "_name", "_label", "_number")

_TAKEN = RESERVED | {"path", "tr"}

Rows = Mapping[int, Mapping[str, str]]


@dataclass(frozen=True)
class PhenotypeTable:
    """Lines and columns of a table.

    Parameters
    ----------
    path : Path
        Where it lies.
    lines : tuple of Line
        Whose each line is.
    columns : mapping of str to Column
        What else it says, one value a line.
    levels : mapping of str to mapping
        By column, what its codes mean.
    key : str
        Column that says whose a line is.
    notes : tuple of str
        What was done about its lines.
    """

    path: Path
    lines: tuple[Line, ...]
    columns: Mapping[str, Column]
    levels: Mapping[str, Mapping[str, str]]
    key: str
    notes: tuple[str, ...]

    def values(self, line: Line | None) -> dict[str, Value]:
        """Return what a line says, by column; everything is missing without a line."""
        return {
            name: None if line is None else column.values[line.place]
            for name, column in self.columns.items()
        }


def read_phenotype_table(path: Path, labels: Mapping[str, set[str]]) -> PhenotypeTable:
    """Return a table of people, of visits, or of runs.

    Several lines of one subject and session are lines of runs. They are distinguished by the
    columns named like a BIDS entity (``task``, ``run``, …; ``visit`` and ``wave`` are sessions);
    without one, by those all of whose cells are labels of one entity of the scans and not only
    numbers, such as a column ``condition`` of tasks.

    Parameters
    ----------
    path : Path
        A ``.tsv`` or ``.csv`` table with a column ``filename`` or ``scan_id``; or with
        ``participant_id`` and, where a line is of one visit or run, ``session_id`` and columns of
        runs. A ``.json`` file of the same name may give ``Levels``.
    labels : mapping of str to set of str
        By entity, the keys of the labels that the scans have.

    Raises
    ------
    InputError
        If it is no such table, has a column that is the cohort's own, or no line is of anybody.
    """
    levels = _levels(levels_path(path))
    header, rows = read_rows(path)
    key = _key(path, header)
    used = {key, *_among(SUBJECT_COLUMNS, header)[:1], *_among(SESSION_COLUMNS, header)[:1]}
    reserved = sorted(_TAKEN.intersection(header) - used)
    if reserved:
        raise InputError(f"{path}: column {reserved[0]!r} is a name of the cohort's own; rename it")
    kept, notes = _named_lines(path, rows, key)
    if key in FILE_COLUMNS:
        lines = _of_files(kept, key, header)
    else:
        lines, runs = _of_people(kept, key, header, labels)
        notes = (*notes, *_run_notes(path, runs))
    texts: dict[str, Mapping[str, str]] = {SITE: {}, **levels}
    columns = phenotype_columns(list(kept.values()), used, texts)
    return PhenotypeTable(path, tuple(lines), columns, levels, key, notes)


def levels_path(path: Path) -> Path:
    """Return where the meanings of a table's codes would be written."""
    return path.with_suffix(".json")


def _among(names: Iterable[str], header: Sequence[str]) -> list[str]:
    return [name for name in names if name in header]


def _key(path: Path, header: Sequence[str]) -> str:
    found = _among((*FILE_COLUMNS, *SUBJECT_COLUMNS), header)
    if not found:
        raise InputError(
            f"{path}: no column 'participant_id', 'filename' or 'scan_id' among "
            f"{', '.join(header) or 'none'}; add one that says whose each line is"
        )
    return found[0]


def _named_lines(path: Path, rows: Rows, key: str) -> tuple[Rows, tuple[str, ...]]:
    """Lines that say whose they are, and of which runs of the brain's function."""
    nameless = [number for number, row in rows.items() if _label(row[key], SUBJECT) is None]
    kept = {number: row for number, row in rows.items() if number not in nameless}
    if not kept:
        reason = (
            f"line {nameless[0]} has no {key}; fill the cell"
            if nameless
            else ("lists no subject; add one line a subject")
        )
        raise InputError(f"{path}: {reason}")
    suffixes = {number: _suffix(row[key]) for number, row in kept.items()}
    if key in FILE_COLUMNS and "bold" in suffixes.values():
        kept = {number: row for number, row in kept.items() if suffixes[number] == "bold"}
    if not nameless:
        return kept, ()
    more = f" and {len(nameless) - 1} more" if len(nameless) > 1 else ""
    return kept, (f"{path.name}: line {nameless[0]}{more} left out, without a {key}",)


def _label(cell: str, entity: str) -> str | None:
    """Return a cell, or None where it is missing or holds a prefix without a label."""
    text = present_cell(cell)
    return None if text is None or not label_key(text, entity) else text


def _suffix(name: str) -> str | None:
    parts = parse_name(name.strip().rsplit("/", 1)[-1])
    return None if parts is None else parts.suffix


def _of_files(rows: Rows, key: str, header: Sequence[str]) -> list[Line]:
    subjects = _among(SUBJECT_COLUMNS, header)
    lines = []
    for place, (number, row) in enumerate(rows.items()):
        name = row[key].strip().replace("\\", "/")
        parts = parse_name(name.rsplit("/", 1)[-1])
        entities = {} if parts is None else entity_keys(parts.entities)
        subject = _label(row[subjects[0]], SUBJECT) if subjects else None
        if subject is not None:
            entities[SUBJECT] = label_key(subject)
        names = tuple(dict.fromkeys((name, name.rsplit("/", 1)[-1])))
        lines.append(Line(place, number, name, entities, names, whole=True))
    return lines


def _of_people(
    rows: Rows, key: str, header: Sequence[str], labels: Mapping[str, set[str]]
) -> tuple[list[Line], dict[str, str]]:
    """Lines of people, visits or runs, and the columns of runs with their entities."""
    columns = {key: SUBJECT} | dict.fromkeys(_among(SESSION_COLUMNS, header)[:1], SESSION)
    entities = {number: _entities(row, columns) for number, row in rows.items()}
    runs: dict[str, str] = {}
    if len({tuple(sorted(each.items())) for each in entities.values()}) < len(rows):
        others = [name for name in header if name not in columns]
        asked = {entity: labels[entity] for entity in labels if entity not in columns.values()}
        runs = _named_like_entities(others, asked) or _of_labels(others, rows, asked)
        entities = {number: _entities(row, columns | runs) for number, row in rows.items()}
    numbered = enumerate(entities.items())
    return [Line(i, n, rows[n][key].strip(), each) for i, (n, each) in numbered], runs


def _named_like_entities(names: Sequence[str], labels: Mapping[str, set[str]]) -> dict[str, str]:
    found = {}
    for name in names:
        short = name.lower()
        for ending in _ENDINGS:
            short = short.removesuffix(ending)
        entity = _LONG_NAMES.get(short, short)
        if entity in RUN_ENTITIES or entity in labels:
            found[name] = entity
    return found


def _of_labels(names: Sequence[str], rows: Rows, labels: Mapping[str, set[str]]) -> dict[str, str]:
    found = {}
    for name in names:
        for entity in sorted(labels):
            cells = (_label(row[name], entity) for row in rows.values())
            keys = {label_key(cell, entity) for cell in cells if cell is not None}
            # Numbers of one thing are too easily those of another.
            worded = not all(key.isdecimal() for key in keys)
            if worded and len(keys) > 1 and keys <= labels[entity]:
                found[name] = entity
                break
    return found


def _run_notes(path: Path, runs: Mapping[str, str]) -> Iterator[str]:
    for name, entity in runs.items():
        if not name.lower().startswith(entity):
            yield f"{path.name}: column {name!r} tells lines apart by {entity}"


def _entities(row: Mapping[str, str], columns: Mapping[str, str]) -> dict[str, str]:
    cells = {entity: _label(row[name], entity) for name, entity in columns.items()}
    return entity_keys({entity: cell for entity, cell in cells.items() if cell is not None})


def _levels(path: Path) -> dict[str, dict[str, str]]:
    if not path.is_file():
        return {}
    described = read_json(path)
    return {
        name: {str(code): _meaning(text) for code, text in entry["Levels"].items()}
        for name, entry in described.items()
        if isinstance(entry, dict) and isinstance(entry.get("Levels"), dict)
    }


def _meaning(text: Any) -> str:
    # Since BIDS 1.8 a level may be an object with a description instead of a text.
    return str(text.get("Description", "")) if isinstance(text, dict) else str(text)
