"""What a section is made of."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Section:
    """One section of the page.

    Parameters
    ----------
    anchor
        Its id in the page; also the name of its template.
    title
        Its heading.
    look_for
        What the reader should look for, in one or two sentences.
    values
        What its template shows.
    """

    anchor: str
    title: str
    look_for: str
    values: dict[str, Any] = field(default_factory=dict)


def plural(count: int, noun: str) -> str:
    """`1 scan`, `4 scans`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listed(names: list[str]) -> str:
    """Join names as in `a`, `a and b`, `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def span(low: float, high: float, digits: int = 2) -> str:
    """`0.72`, or `0.72 to 2` where the two differ."""
    first, last = f"{low:.{digits}f}", f"{high:.{digits}f}"
    return first if first == last else f"{first} to {last}"


def sentence_case(text: str) -> str:
    """Make the first letter large and leave the others as they are."""
    return text[:1].upper() + text[1:]
