"""The one table from z to words, and how numbers, names and lists are written."""

import math
import re
import unicodedata
from collections.abc import Sequence

TYPICAL = "within the typical range"
UNKNOWN = "not comparable"

# The first bound that z reaches counts, from the extreme inwards.
_RAISED = ((2.0, "well above the typical range"), (1.0, "above the typical range"))
_LOWERED = ((-2.0, "well below the typical range"), (-1.0, "below the typical range"))

LEVEL_WORDS = (
    *(words for _, words in _RAISED),
    TYPICAL,
    *(words for _, words in reversed(_LOWERED)),
)
"""Every word of the table, from the highest z to the lowest."""


def level_word(z: float) -> str:
    """Return the words for a z-score.

    ===========  ============================
    z            words
    ===========  ============================
    z >= 2       well above the typical range
    1 <= z < 2   above the typical range
    -1 < z < 1   within the typical range
    -2 < z <= -1 below the typical range
    z <= -2      well below the typical range
    NaN          not comparable
    ===========  ============================
    """
    if math.isnan(z):
        return UNKNOWN
    for bound, words in _RAISED:
        if z >= bound:
            return words
    for bound, words in _LOWERED:
        if z <= bound:
            return words
    return TYPICAL


def direction(words: str) -> int:
    """Return 1 for words of a raised z, -1 for those of a lowered one, else 0."""
    if words in {w for _, w in _RAISED}:
        return 1
    return -1 if words in {w for _, w in _LOWERED} else 0


def number(value: float) -> str:
    """Write a value with two decimals, or two significant digits where it is below 0.1."""
    if math.isnan(value):
        return "missing"
    if value == 0 or abs(value) >= 0.1:
        text = f"{value:.2f}"
    else:
        # The exponent after rounding: 0.0996 is 0.10, not 0.100.
        exponent = int(f"{value:.1e}".partition("e")[2])
        text = f"{value:.{1 - exponent}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def z_number(z: float) -> str:
    """Write a z-score with two decimals, cut towards zero.

    Cutting keeps what is written on the same side of 1 and 2 as the z-score itself, so that the
    number never disagrees with its words.
    """
    if math.isnan(z):
        return "missing"
    text = f"{math.trunc(z * 100) / 100:.2f}"
    return text.removeprefix("-") if float(text) == 0 else text


_SMALL = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def count(n: int) -> str:
    """Write how many there are in words, so that every figure in a text is a measurement."""
    if n < 20:
        return _SMALL[n]
    if n < 100:
        tens = _TENS[n // 10 - 2]
        return tens if n % 10 == 0 else f"{tens}-{_SMALL[n % 10]}"
    size, unit = (100, "hundred") if n < 1000 else (1000, "thousand")
    head = f"{count(n // size)} {unit}"
    return head if n % size == 0 else f"{head} {count(n % size)}"


def listing(parts: Sequence[str]) -> str:
    """Join parts as a sentence does: ``a``, ``a and b``, ``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def capitalised(sentence: str) -> str:
    """Begin a sentence with a capital, but leave a word such as fALFF as it is."""
    if sentence[1:2].isupper():
        return sentence
    return sentence[:1].upper() + sentence[1:]


_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, surrogates, line breaks
_UNCLEAR = re.compile(r"[,;:.()\[\]\"]|\b(?:and|or|within|between)\b", re.IGNORECASE)


def plain_name(name: str) -> str:
    """Return a network's name on one line: what cannot be printed is a blank, runs are one."""
    shown = (" " if unicodedata.category(c) in _UNPRINTABLE else c for c in name)
    return " ".join("".join(shown).split())


def quoted_name(name: str) -> str:
    """Return a name as a list of names holds it: in quotation marks where it would read as two.

    Examples
    --------
    >>> quoted_name("Visual"), quoted_name("Cingulate and insula")
    ('Visual', '“Cingulate and insula”')
    """
    return f"“{name}”" if _UNCLEAR.search(name) else name


def the_networks(names: Sequence[str], suffixes: Sequence[str] = ()) -> str:
    """Return names so that each is heard as a network: ``the A network``, ``the A and B networks``.

    Parameters
    ----------
    names : sequence of str
        At least one.
    suffixes : sequence of str
        What stands behind each name, such as its numbers; none if empty.
    """
    if len(names) == 1:
        network = "" if names[0].lower().endswith(("network", "system")) else " network"
        return f"the {quoted_name(names[0])}{network}{''.join(f' {s}' for s in suffixes)}"
    quoted = [quoted_name(name) for name in names]
    if suffixes:
        quoted = [f"{name} {suffix}" for name, suffix in zip(quoted, suffixes, strict=True)]
    return f"the {listing(quoted)} networks"
