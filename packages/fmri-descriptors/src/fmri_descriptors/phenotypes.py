"""What is known of people beside their scans, joined to the scans by subject."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fmri_descriptors.errors import InputError
from fmri_descriptors.files import read_json
from fmri_descriptors.readers.sources import Phenotype, Recording, Source
from fmri_descriptors.readers.table import RESERVED, phenotype_columns, present_cell, read_rows

SUBJECT = "participant_id"
_SITE = "site"
_TAKEN = RESERVED | {"scan_id", "path", "tr"}


def with_phenotypes(source: Source, path: Path | None) -> Source:
    """Return a source whose recordings carry the columns of a participants table.

    Subjects are the same with and without a leading ``sub-``. A subject without a line has every
    phenotype missing. A column ``site`` fills in the site of scans that have none. In a
    ``participants.json`` beside the table, a column with ``Levels`` is a category even where its
    codes are numbers, and their meanings are kept.

    Parameters
    ----------
    source : Source
        Recordings, with or without phenotypes of their own.
    path : Path or None
        A BIDS ``participants.tsv``; None leaves the source as it is.

    Raises
    ------
    InputError
        If the table is no table, a subject has two lines, no subject of the source has one, or a
        column is there already.
    """
    if path is None:
        return source
    levels = _levels(path.with_suffix(".json"))
    table = _read(path, levels)
    listed = {_bare(recording.subject) for recording in source.recordings}
    if not listed & set(table):
        raise InputError(
            f"{path}: none of its {len(table)} subjects (such as {next(iter(table))!r}) has a "
            f"scan; the scans' are such as {source.recordings[0].subject!r}"
        )
    taken = set(source.recordings[0].phenotypes) & set(next(iter(table.values())))
    if taken:
        raise InputError(f"{path}: column {min(taken)!r} is in the scans' own table too; drop one")
    missing = dict.fromkeys(next(iter(table.values())))
    recordings = tuple(
        _joined(recording, table.get(_bare(recording.subject), missing))
        for recording in source.recordings
    )
    kept = {name: levels[name] for name in recordings[0].phenotypes if name in levels}
    return replace(
        source,
        recordings=recordings,
        files=(*source.files, path),
        levels={**source.levels, **kept},
    )


def _bare(subject: str) -> str:
    return subject.removeprefix("sub-")


def _joined(recording: Recording, line: Mapping[str, Phenotype]) -> Recording:
    own = {name: value for name, value in line.items() if name != _SITE}
    site = line.get(_SITE)
    return replace(
        recording,
        site=recording.site or (None if site is None else str(site)),
        phenotypes={**recording.phenotypes, **own},
    )


def _read(path: Path, levels: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Phenotype]]:
    header, numbered = read_rows(path)
    rows = list(numbered.values())
    if SUBJECT not in header:
        raise InputError(f"{path}: no column {SUBJECT!r}; give a BIDS participants.tsv")
    reserved = sorted(_TAKEN & set(header))
    if reserved:
        raise InputError(f"{path}: column {reserved[0]!r} is a name of the cohort's own; rename it")
    if not rows:
        raise InputError(f"{path}: lists no subject; add one line a subject")
    texts = {name for name in header if name in levels or name == _SITE}
    columns = phenotype_columns(rows, {SUBJECT, *texts})
    columns |= {name: [present_cell(row[name]) for row in rows] for name in texts}
    table: dict[str, dict[str, Phenotype]] = {}
    for i, (line, row) in enumerate(numbered.items()):
        subject = _bare(row[SUBJECT].strip())
        if present_cell(subject) is None:
            raise InputError(f"{path}: line {line} has no {SUBJECT}; fill the cell")
        if subject in table:
            raise InputError(f"{path}: subject {subject!r} has two lines; keep one")
        table[subject] = {name: columns[name][i] for name in header if name != SUBJECT}
    return table


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
