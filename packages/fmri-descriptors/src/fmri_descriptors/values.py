"""One feature of a scan next to the cohort, and how a sentence shows several of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fmri_descriptors.wording import (
    TYPICAL,
    UNKNOWN,
    count,
    level_word,
    listing,
    number,
    z_number,
)

N_PATTERNS = 3
"""Pairs that the highest and the lowest pattern name."""

N_CITED = 3
"""Values that a sentence gives with their numbers."""

_N_NAMED = 10  # networks that a sentence names; of more, it gives their count
_N_NAMED_PAIRS = 3


@dataclass(frozen=True)
class FeatureValue:
    """One feature of one scan, next to the cohort.

    Parameters
    ----------
    feature : str
        Feature column.
    value : float
        The feature; NaN where it is missing.
    z : float
        Its z-score; NaN where it is missing or the cohort has no spread.
    networks : tuple of str
        Networks it is about: none, one, or two.
    reason : str
        Why the value is missing, as a clause that can follow "because"; empty if not known.
    """

    feature: str
    value: float
    z: float
    networks: tuple[str, ...] = ()
    reason: str = ""

    @property
    def level_word(self) -> str:
        """Words for z, from the one table of `wording`."""
        return level_word(self.z)

    @property
    def place(self) -> str:
        """Where it was measured: ``in A``, ``within A`` or ``between A and B``."""
        if len(self.networks) < 2:
            return "".join(f"in {name}" for name in self.networks)
        first, second = self.networks
        return f"within {first}" if first == second else f"between {first} and {second}"

    @property
    def shown(self) -> str:
        """The numbers as a sentence gives them: ``0.41 (z 1.23)``."""
        known = not math.isnan(self.z)
        return f"{number(self.value)} (z {z_number(self.z)})" if known else number(self.value)

    @property
    def numbers(self) -> str:
        """The numbers in brackets, to stand behind a place: ``(0.41, z 1.23)``."""
        known = not math.isnan(self.z)
        return f"({number(self.value)}{f', z {z_number(self.z)}' if known else ''})"


@dataclass(frozen=True)
class Group:
    """Values that share their words, the most unusual first.

    Parameters
    ----------
    word : str
        Their words.
    values : tuple of FeatureValue
        The values.
    scope : str
        Where all of it holds, such as ``in all nine systems``, if this is the only group and has
        at least three values; else empty.
    """

    word: str
    values: tuple[FeatureValue, ...]
    scope: str = ""

    @property
    def typical(self) -> bool:
        """Whether these values are within the typical range."""
        return self.word == TYPICAL


def known_first(values: Sequence[FeatureValue]) -> list[FeatureValue]:
    """Values that the cohort can judge, the most unusual first."""
    known = [value for value in values if value.level_word != UNKNOWN]
    return sorted(known, key=lambda value: -abs(value.z))


def group_by_word(values: Sequence[FeatureValue]) -> list[Group]:
    """Group the values that the cohort can judge: the group of the most unusual first."""
    known = known_first(values)
    words = list(dict.fromkeys(value.level_word for value in known))
    scope = ""
    if len(words) == 1 and len(known) > 2:
        comparable = "" if len(known) == len(values) else "comparable "
        scope = f"{_preposition(known)} all {count(len(known))} {comparable}{_unit(known)}"
    return [Group(word, tuple(v for v in known if v.level_word == word), scope) for word in words]


def cite(values: Sequence[FeatureValue], limit: int = N_CITED) -> str:
    """List places with their numbers; beyond `limit`, networks by name, pairs by their count.

    Where pairs have to be counted, one fewer is listed: three pairs and a count tire a reader.

    Examples
    --------
    >>> cite([FeatureValue("ica.falff.Visual", 0.4, 2.5, ("Visual",))])
    'in Visual (0.40, z 2.50)'
    """
    if _in_pairs(values) and len(values) > limit:
        limit -= 1
    cited, rest = values[:limit], values[limit:]
    if _in_pairs(values):
        parts = [f"{value.place} {value.numbers}" for value in cited]
        return listing([*parts, f"{count(len(rest))} more"] if rest else parts)
    parts = [f"{value.networks[0]} {value.numbers}" for value in cited]
    if len(rest) > _N_NAMED - limit:
        return "in " + listing([*parts, f"{count(len(rest))} more"])
    return "in " + listing([*parts, *(value.networks[0] for value in rest)])


def places(values: Sequence[FeatureValue], *, other: bool = True) -> str:
    """List places without numbers; where they are many, how many (`other`: beside those named)."""
    if len(values) > (_N_NAMED_PAIRS if _in_pairs(values) else _N_NAMED):
        more = f"{count(len(values))} other" if other else count(len(values))
        return f"{_preposition(values)} {more} {_unit(values)}"
    if _in_pairs(values):
        return listing([value.place for value in values])
    return "in " + listing([value.networks[0] for value in values])


def select_patterns(values: Sequence[FeatureValue]) -> list[FeatureValue]:
    """Return the `N_PATTERNS` highest values, then the lowest, without repeats."""
    ordered = sorted((v for v in values if not math.isnan(v.value)), key=lambda v: -v.value)
    n_high = min(N_PATTERNS, (len(ordered) + 1) // 2)
    n_low = min(N_PATTERNS, len(ordered) - n_high)
    return [*ordered[:n_high], *reversed(ordered[len(ordered) - n_low :])]


def _in_pairs(values: Sequence[FeatureValue]) -> bool:
    return len(values[0].networks) == 2


def _unit(values: Sequence[FeatureValue]) -> str:
    return "connections" if _in_pairs(values) else "systems"


def _preposition(values: Sequence[FeatureValue]) -> str:
    return "for" if _in_pairs(values) else "in"
