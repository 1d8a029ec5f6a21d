"""What a cell of a table says: nothing, a number, a bound of numbers, or a text."""

import math
import re

MISSING = frozenset(
    {"", "n/a", "na", "nan", "none", "null", "nil", "-", "--", ".", "?", "<na>", "missing"}
    | {f"#{code}" for code in ("n/a", "na", "null!", "value!", "ref!", "div/0!", "name?", "num!")}
)
"""What stands for a missing entry of a table of people or scans, in lower case."""

PLAIN_MISSING = frozenset({"", "n/a", "na", "nan"})
"""Those that mean nothing else; the others are reported when they are taken for it."""

SENTINELS = frozenset(float(-n) for n in (9, 77, 88, 99, 777, 888, 999, 7777, 8888, 9999)) | {
    99.0,
    999.0,
    9999.0,
}
"""Numbers that some tables write for a missing entry; they stay numbers, and are reported."""

# What Python takes for a number without its underscores, infinities and foreign digits.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_PLAIN = r"(\d+(?:\.\d+)?)"
_UNIT = r"(?:\s*(?:years?|yrs?|months?|weeks?|days?|y|yo|y\.o\.)(?:\s+old)?)?"
_UP = r"(?:older|over|above|more|up|higher|greater|later|plus)"
_DOWN = r"(?:younger|under|below|less|lower|fewer|earlier)"
_BOUND = re.compile(
    rf"{_PLAIN}\s*\+{_UNIT}|{_PLAIN}{_UNIT}\s+(?:or|and)\s+(?:{_UP}|{_DOWN})"
    rf"|{_PLAIN}{_UNIT}\s+plus|(?:>=?|≥|=>|<=?|≤|=<)\s*{_PLAIN}{_UNIT}"
    rf"|(?:over|above|under|below|(?:{_UP}|{_DOWN})\s+than)\s+{_PLAIN}{_UNIT}",
    re.ASCII | re.IGNORECASE,
)


def present_cell(cell: str | None) -> str | None:
    """Return a cell without the space around it, or None where it says that it is missing."""
    text = (cell or "").strip()
    return None if text.lower() in MISSING else text


def number(cell: str) -> float | None:
    """Return the number that a cell is, or None if it is none or not finite.

    Examples
    --------
    >>> number("-3.5e2"), number("1_0"), number("1e999")
    (-350.0, None, None)
    """
    if not _NUMBER.fullmatch(cell):
        return None
    value = float(cell)
    return value if math.isfinite(value) else None


def bound(cell: str) -> float | None:
    """Return the number of a cell that stands for all from it on, or up to it, else None.

    Examples
    --------
    >>> bound("89+"), bound(">= 90"), bound("90 or older"), bound("under 18"), bound("90")
    (89.0, 90.0, 90.0, 18.0, None)
    """
    match = _BOUND.fullmatch(cell)
    if match is None:
        return None
    return float(next(group for group in match.groups() if group is not None))
