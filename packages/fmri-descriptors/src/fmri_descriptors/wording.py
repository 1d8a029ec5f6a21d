"""The one table from z to words, and how numbers are written."""

import math

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
