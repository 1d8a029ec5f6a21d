"""What is known of people, visits and runs beside their scans, joined to the scans."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.base import Phenotype, Recording, Source
from fmri_descriptors.readers.participants.joins import Line, Lines, recording_entities
from fmri_descriptors.readers.participants.subjects import SUBJECT, canonical_label
from fmri_descriptors.readers.participants.table import (
    SITE,
    PhenotypeTable,
    levels_path,
    read_phenotype_table,
)

_SHOWN = 3  # names that a note gives


def with_phenotypes(source: Source, path: Path | None) -> Source:
    """Return a source whose recordings carry the columns of a table.

    A table with ``filename`` or ``scan_id`` is joined by file; any other by subject, by session
    where it has a column of sessions, and by task and run where only these distinguish its lines.
    Labels are compared by `label_key`. A scan without a line has every phenotype missing; what is
    left over on either side is written to the source's notes. A column ``site`` fills in the site
    of scans that have none. In a JSON file beside the table, a column with ``Levels`` is a category
    even where its codes are numbers, and their meanings are kept.

    Parameters
    ----------
    source : Source
        Recordings, with or without phenotypes of their own.
    path : Path or None
        The table; None leaves the source as it is.

    Raises
    ------
    InputError
        If the table is no table, no line is of a scan, two lines of one scan differ, or a column
        is there already.
    """
    if path is None:
        return source
    table = read_phenotype_table(path, _labels(source.recordings))
    taken = set(source.recordings[0].phenotypes).intersection(table.columns)
    if taken:
        raise InputError(f"{path}: column {min(taken)!r} is in the scans' own table too; drop one")
    lines = Lines(table.lines)
    fitting = [lines.of(recording) for recording in source.recordings]
    found = [_one_of(each, table) for each in fitting]
    _check_any(source, table, lines, found)
    pairs = zip(source.recordings, found, strict=True)
    joined = tuple(_joined(recording, table.values(line)) for recording, line in pairs)
    left_over = _left_over(source, table, found, fitting)
    notes = (*table.notes, *left_over, *_spelt_otherwise(source, path, found))
    return _with_columns(replace(source, recordings=joined, notes=(*source.notes, *notes)), table)


def _with_columns(source: Source, table: PhenotypeTable) -> Source:
    """Add what the columns of a table became, and the files that they come from."""
    own = {name: column for name, column in table.columns.items() if name != SITE}
    files = (file for file in (table.path, levels_path(table.path)) if file.is_file())
    notes = (note for column in table.columns.values() for note in column.notes)
    return replace(
        source,
        files=(*source.files, *files),
        levels={**source.levels, **{n: table.levels[n] for n in own if n in table.levels}},
        columns={**source.columns, **own},
        notes=(*source.notes, *notes),
    )


def _labels(recordings: Sequence[Recording]) -> dict[str, set[str]]:
    labels: dict[str, set[str]] = {}
    for recording in recordings:
        for entity, label in recording_entities(recording).items():
            labels.setdefault(entity, set()).add(label)
    return labels


def _one_of(fitting: Sequence[Line], table: PhenotypeTable) -> Line | None:
    """Return the line of a scan; None if there is none, or several that differ."""
    if not fitting:
        return None
    first, *others = fitting
    expected = table.values(first)
    for line in others:
        row = table.values(line)
        differing = next((name for name in row if row[name] != expected[name]), None)
        if differing is not None and line.entities == first.entities:
            raise _two_lines(table, first, line, differing)
        if differing is not None:
            return None
    return first


def _two_lines(table: PhenotypeTable, first: Line, second: Line, column: str) -> InputError:
    label, also = canonical_label(first.spelt), canonical_label(second.spelt)
    spelt = "" if label == also else f" (also spelt {also!r})"
    return InputError(
        f"{table.path}: lines {first.number} and {second.number} are both of subject {label!r}"
        f"{spelt} and differ in {column!r}; keep one, rename one of two people, or tell visits and "
        "runs apart by session_id, task, run or filename"
    )


def _joined(recording: Recording, line: Mapping[str, Phenotype]) -> Recording:
    own = {name: value for name, value in line.items() if name != SITE}
    site = line.get(SITE)
    return replace(
        recording,
        site=recording.site or (None if site is None else str(site)),
        phenotypes={**recording.phenotypes, **own},
    )


def _check_any(
    source: Source, table: PhenotypeTable, lines: Lines, found: Sequence[Line | None]
) -> None:
    if any(line is not None for line in found):
        return
    first, recording = table.lines[0], source.recordings[0]
    if any(lines.has_subject(recording) for recording in source.recordings):
        visit = ", ".join(f"{entity} {key}" for entity, key in first.entities.items())
        raise InputError(
            f"{table.path}: its subjects have scans, but no line is of one visit or run that was "
            f"scanned; line {first.number} says {visit}, and the first scan "
            f"is {recording.scan_id} of session {recording.session or 'none'}; make them agree"
        )
    raise InputError(
        f"{table.path}: none of its {len(table.lines)} {table.key} (such as {first.spelt!r}) has a "
        f"scan; the scans' are such as {recording.subject!r} ({recording.scan_id})"
    )


def _left_over(
    source: Source,
    table: PhenotypeTable,
    found: Sequence[Line | None],
    fitting: Sequence[Sequence[Line]],
) -> Iterator[str]:
    """Say which scans have no line, or several that differ, and which lines have no scan."""
    name, n_scans = table.path.name, len(found)
    every = list(zip(source.recordings, found, fitting, strict=True))
    without = [recording for recording, _, lines in every if not lines]
    several = [(recording, lines) for recording, line, lines in every if lines and line is None]
    used = {line.number for lines in fitting for line in lines}
    unused = [line for line in table.lines if line.number not in used]
    if without:
        yield (
            f"{len(without)} of {n_scans} scans have no line in {name} "
            f"({_some([r.scan_id for r in without])}){_nearest(without[0].subject, unused)}"
        )
    if several:
        recording, lines = several[0]
        numbers = ", ".join(str(line.number) for line in lines[:_SHOWN])
        yield (
            f"{len(several)} of {n_scans} scans have several lines in {name} that differ "
            f"({recording.scan_id}: lines {numbers}), so nothing is joined to them"
        )
    if unused:
        yield (
            f"{len(unused)} of {len(table.lines)} lines of {name} have no scan "
            f"({_some([line.spelt for line in unused])})"
        )


def _nearest(subject: str, unused: Sequence[Line]) -> str:
    labels = {canonical_label(line.spelt): line for line in unused if SUBJECT in line.entities}
    near = difflib.get_close_matches(subject, labels, n=1)
    if not near:
        return ""
    line = labels[near[0]]
    return f"; line {line.number} is of {line.spelt!r}, which is near {subject!r}"


def _spelt_otherwise(source: Source, path: Path, found: Sequence[Line | None]) -> tuple[str, ...]:
    """One line on subjects that the table spells otherwise than the scans, ``sub-`` aside."""
    otherwise = {}
    for recording, line in zip(source.recordings, found, strict=True):
        if line is None or line.names:
            continue
        if canonical_label(line.spelt) != recording.subject:
            otherwise[recording.subject] = line.spelt
    if not otherwise:
        return ()
    subject, spelt = next(iter(otherwise.items()))
    verb = "subjects are" if len(otherwise) > 1 else "subject is"
    note = (
        f"{len(otherwise)} {verb} spelt otherwise in {path.name} (such as {spelt!r} for "
        f"{subject!r}) and joined, since only case, zeros or sub- differ"
    )
    return (note,)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(name if name.isprintable() else repr(name) for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
