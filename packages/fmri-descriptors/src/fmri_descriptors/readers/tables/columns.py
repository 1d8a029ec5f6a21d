"""What became of a column of a table: numbers or a category, and which cells decided."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fmri_descriptors.utils.cells import PLAIN_MISSING, SENTINELS, bound, number, present_cell

Value = str | float | None

_SHOWN = 3  # cells that a note names
_DRESSED = re.compile(r"([+-]?\d+(?:[.,]\d+)?)\s*([%°A-Za-z]{1,6})?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table as it was taken.

    Parameters
    ----------
    name : str
        Its head.
    values : tuple of str, float or None
        One a line; None where it is missing.
    cells : mapping of str to int
        How many cells are a ``number``, a ``bound`` of numbers, another ``text``, or ``missing``.
    missing_cells : mapping of str to int
        Spellings of a missing entry, as the table has them, and how often each occurs.
    bounds : mapping of str to float
        Cells such as ``89+`` in a column of numbers, and the number that each became.
    notes : tuple of str
        What a user who does not look at the column should know, one line each.
    """

    name: str
    values: tuple[Value, ...]
    cells: Mapping[str, int]
    missing_cells: Mapping[str, int] = field(default_factory=dict)
    bounds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """``number`` or ``category``."""
        return kind_of(self.values)

    def record(self) -> dict[str, Any]:
        """Return what `cohort.json` says of the column's cells."""
        parts: dict[str, Any] = {
            "missing_cells": dict(self.missing_cells),
            "bounds": dict(self.bounds),
            "notes": list(self.notes),
        }
        return {"cells": dict(self.cells)} | {key: part for key, part in parts.items() if part}


def kind_of(values: Iterable[Value]) -> str:
    """Return ``number`` where any value is one, else ``category``."""
    return "number" if any(isinstance(value, float) for value in values) else "category"


def text_column(name: str, cells: Sequence[str], levels: Mapping[str, str] | None = None) -> Column:
    """Return a column of a table of text.

    It holds numbers if every cell that is not missing is a number, or if at least half of these
    are and the others are bounds, such as ``89+``, each of which becomes its number. Else, and
    where its codes have levels, it is a category.

    Parameters
    ----------
    name : str
        Its head.
    cells : sequence of str
        As the table has them.
    levels : mapping of str to str, optional
        What its codes mean; a code that a spreadsheet wrote as ``1.0`` is the level ``1``.
        Empty for a category whose codes nobody explained.
    """
    present = [present_cell(cell) for cell in cells]
    known = [cell for cell in present if cell is not None]
    missing = Counter(
        cell.strip() for cell, kept in zip(cells, present, strict=True) if kept is None
    )
    if levels is not None:
        coded: list[Value] = [None if cell is None else _level(cell, levels) for cell in present]
        return _column(name, coded, missing, _strange_levels(name, known, levels))
    bounds = {cell: limit for cell in known if (limit := bound(cell)) is not None}
    n_numbers = sum(number(cell) is not None for cell in known)
    n_bounds = sum(cell in bounds for cell in known)
    if n_numbers + n_bounds == len(known) and n_numbers >= n_bounds:
        values = [None if cell is None else bounds.get(cell, number(cell)) for cell in present]
        notes = _bound_notes(name, known, bounds)
        return _column(name, values, missing, notes, bounds, n_bounds)
    return _column(name, list(present), missing, _mixture_notes(name, known))


def typed_column(name: str, values: Sequence[Value], *, note_numbers: bool = True) -> Column:
    """Return a column whose cells have a type already, as in Arrow and Parquet files.

    Numbers stay numbers and texts stay a category, whatever the texts look like.

    Parameters
    ----------
    name : str
        Its head.
    values : sequence of str, float or None
        One a line.
    note_numbers : bool
        Whether texts that look like numbers are worth a note.
    """
    kept = [present_cell(value) if isinstance(value, str) else value for value in values]
    missing = Counter(
        "" if value is None else str(value).strip()
        for value, left in zip(values, kept, strict=True)
        if left is None
    )
    texts = [value for value in kept if isinstance(value, str)]
    return _column(name, kept, missing, _mixture_notes(name, texts) if note_numbers else ())


def _column(
    name: str,
    values: Sequence[Value],
    missing: Counter[str],
    notes: Iterable[str],
    bounds: Mapping[str, float] | None = None,
    n_bounds: int = 0,
) -> Column:
    known = [value for value in values if value is not None]
    texts = [value for value in known if isinstance(value, str)]
    n_texts = sum(number(value) is None for value in texts)
    counts = {
        "number": len(known) - n_texts - n_bounds,
        "bound": n_bounds,
        "text": n_texts,
        "missing": len(values) - len(known),
    }
    if values and not known:
        notes = (*notes, f"{name}: no line has a value")
    spelt = {cell: n for cell, n in sorted(missing.items()) if cell}
    every = (*_missing_notes(name, missing), *notes, *_sentinel_notes(name, known))
    every = (*every, *_case_notes(name, texts))
    return Column(
        name=name,
        values=tuple(values),
        cells=counts,
        missing_cells=spelt,
        bounds=dict(sorted((bounds or {}).items())),
        notes=every,
    )


def _level(cell: str, levels: Mapping[str, str]) -> str:
    value = number(cell)
    if cell in levels or value is None:
        return cell
    return next((code for code in levels if number(code.strip()) == value), cell)


def _strange_levels(name: str, known: Sequence[str], levels: Mapping[str, str]) -> Iterator[str]:
    strange = Counter(cell for cell in known if _level(cell, levels) not in levels)
    if levels and strange:
        yield f"{name}: {_listed(strange)} {_cells(strange)} not among its Levels"


def _missing_notes(name: str, missing: Mapping[str, int]) -> Iterator[str]:
    unusual = {cell: n for cell, n in missing.items() if cell.lower() not in PLAIN_MISSING}
    if unusual:
        yield f"{name}: {_listed(unusual)} taken as missing ({_counted(unusual)})"


def _bound_notes(name: str, known: Sequence[str], bounds: Mapping[str, float]) -> Iterator[str]:
    counts = Counter(cell for cell in known if cell in bounds)
    if counts:
        numbers = ", ".join(f"{bounds[cell]:g}" for cell in sorted(counts)[:_SHOWN])
        yield f"{name}: {_listed(counts)} taken as {numbers} ({_counted(counts)})"


def _mixture_notes(name: str, known: Sequence[str]) -> Iterator[str]:
    words = Counter(cell for cell in known if number(cell) is None)
    n_numbers = len(known) - words.total()
    if n_numbers and 2 * n_numbers >= len(known):
        others = f"since {_listed(words)} {_cells(words)} no number" if words else "stored as text"
        yield (
            f"{name}: a category, though {n_numbers} of {len(known)} cells are numbers, {others}; "
            "empty or correct them if it should be numbers"
        )
    elif dressed := _dressed(known):
        yield (
            f"{name}: a category, though {len(dressed)} of {len(known)} cells are numbers with a "
            f"comma or a unit, such as {dressed[0]!r}; write plain numbers if it should be numbers"
        )


def _dressed(known: Sequence[str]) -> list[str]:
    """Return the cells that are numbers but for a decimal comma or one unit, if most are."""
    matches = {cell: match for cell in known if (match := _DRESSED.fullmatch(cell))}
    units = {match[2] for match in matches.values()} - {None}
    commas = any("," in match[1] for match in matches.values())
    found = [cell for cell in known if cell in matches]
    plausible = len(units) == 1 or (commas and not units)
    return found if plausible and 2 * len(found) > len(known) else []


def _sentinel_notes(name: str, known: Sequence[Value]) -> Iterator[str]:
    numbers = [value for value in known if isinstance(value, float)]
    odd = Counter(value for value in numbers if value in SENTINELS)
    usual = [value for value in numbers if value not in SENTINELS]
    if not odd or len(usual) < 2:
        return
    low, high = min(usual), max(usual)
    far = {
        f"{value:g}": n
        for value, n in sorted(odd.items())
        if not low - (high - low) <= value <= high + (high - low)
    }
    if far:
        yield (
            f"{name}: {_listed(far)} kept as a number ({_counted(far)}), far from the others "
            f"({low:g} to {high:g}); write n/a where it means missing"
        )


def _case_notes(name: str, texts: Sequence[str]) -> Iterator[str]:
    spelt: dict[str, set[str]] = {}
    for text in texts:
        spelt.setdefault(" ".join(text.casefold().split()), set()).add(text)
    twice = sorted(sorted(found) for found in spelt.values() if len(found) > 1)
    if twice:
        names = " and ".join(map(repr, twice[0][:_SHOWN]))
        yield f"{name}: {names} differ in letters' case or spaces only and are two categories"


def _listed(counts: Mapping[str, int]) -> str:
    shown = [repr(cell) for cell in sorted(counts)][:_SHOWN]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _counted(counts: Mapping[str, int]) -> str:
    n = sum(counts.values())
    return f"{n} cell{'s' if n > 1 else ''}"


def _cells(counts: Mapping[str, int]) -> str:
    return f"({_counted(counts)}) {'are' if sum(counts.values()) > 1 else 'is'}"
