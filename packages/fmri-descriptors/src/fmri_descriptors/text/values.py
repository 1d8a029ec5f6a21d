"""One feature of a scan next to the cohort, and how a sentence shows several of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fmri_descriptors.text.wording import (
    TYPICAL,
    UNKNOWN,
    count,
    direction,
    level_word,
    listing,
    number,
    the_networks,
    z_number,
)

N_PATTERNS = 3
"""Pairs that the highest and the lowest pattern name."""

N_CITED = 3
"""Networks that a sentence gives with their numbers."""

_N_NAMED = 8  # networks that a sentence names; of more, it gives their count
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
        Networks it is about: none, one, or two; each name on one line.
    unit : str
        Unit of the value as a text writes it; empty where it has none.
    reason : str
        Why the value is missing, as a clause that can follow "because"; empty if not known.
    """

    feature: str
    value: float
    z: float
    networks: tuple[str, ...] = ()
    unit: str = ""
    reason: str = ""

    @property
    def level_word(self) -> str:
        """Words for z, from the one table of `wording`."""
        return level_word(self.z)

    @property
    def location(self) -> str:
        """Where it was measured: ``in the A network``, ``between the A and B networks``."""
        if not self.networks:
            return ""
        names = tuple(dict.fromkeys(self.networks))
        if len(self.networks) == 1:
            return f"in {the_networks(names)}"
        return f"{'within' if len(names) == 1 else 'between'} {the_networks(names)}"

    @property
    def shown(self) -> str:
        """The numbers as a sentence gives them: ``0.28 diffusion units (z 1.23)``."""
        unit = f" {self.unit}" if self.unit else ""
        return f"{number(self.value)}{unit}{f' (z {z_number(self.z)})' if self.is_judged else ''}"

    @property
    def numbers(self) -> str:
        """The numbers in brackets, to stand behind a location: ``(0.41, z 1.23)``."""
        return f"({number(self.value)}{f', z {z_number(self.z)}' if self.is_judged else ''})"

    @property
    def is_judged(self) -> bool:
        """Whether the cohort can judge it."""
        return not math.isnan(self.z)


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
        Where all of it holds, such as ``in all nine networks``, if this is the only group and has
        at least three values; else empty.
    n_judged : int
        Values of all groups.
    """

    word: str
    values: tuple[FeatureValue, ...]
    scope: str = ""
    n_judged: int = 0

    @property
    def typical(self) -> bool:
        """Whether these values are within the typical range."""
        return self.word == TYPICAL


@dataclass(frozen=True)
class Missing:
    """Values that are missing for the same reason.

    Parameters
    ----------
    values : tuple of FeatureValue
        The values.
    reason : str
        Why, as a clause that can follow "because"; empty if not known.
    everywhere : bool
        Whether these are all the values of the descriptor.
    """

    values: tuple[FeatureValue, ...]
    reason: str
    everywhere: bool


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
    return [
        Group(word, tuple(v for v in known if v.level_word == word), scope, len(known))
        for word in words
    ]


def short_groups(groups: Sequence[Group]) -> list[Group]:
    """Return the most unusual group of each direction; the typical one if there is no other."""
    found = {direction(group.word): group for group in reversed(groups)}
    unusual = [group for group in groups if found.get(direction(group.word)) is group]
    return [group for group in unusual if not group.typical] or unusual


def cite(values: Sequence[FeatureValue], limit: int = N_CITED) -> str:
    """List locations with their numbers; beyond `limit`, networks by name, pairs by their count.

    Where pairs have to be counted, two are listed: three pairs and a count tire a reader. Values
    that the cohort judges come the most unusual first, so the networks without numbers are so to a
    lesser degree.

    Examples
    --------
    >>> cite([FeatureValue("ica.falff.Visual", 0.4, 2.5, ("Visual",))])
    'in the Visual network (0.40, z 2.50)'
    """
    if _in_pairs(values):
        return _cite_pairs(values)
    if len(values) == limit + 1:
        limit += 1  # a single number that is left out would look like a slip
    cited, rest = values[:limit], values[limit:]
    names = [value.networks[0] for value in cited]
    places = f"in {the_networks(names, [value.numbers for value in cited])}"
    if not rest:
        return places
    unusual = rest[0].is_judged and rest[0].level_word != TYPICAL
    less = " and, less so," if unusual else " and"
    if len(rest) > _N_NAMED - limit:
        return f"{places}{less} in {count(len(rest))} more"
    return f"{places}{less} in {the_networks([value.networks[0] for value in rest])}"


def locations(values: Sequence[FeatureValue], total: int = 0) -> str:
    """List locations without numbers; where they are many, how many (of `total`, if given)."""
    if len(values) > (_N_NAMED_PAIRS if _in_pairs(values) else _N_NAMED):
        of_all = f" of the {count(total)}" if total > len(values) else ""
        return f"{_preposition(values)} {count(len(values))}{of_all} {_unit(values)}"
    if _in_pairs(values):
        return listing([value.location for value in values])
    return f"in {the_networks([value.networks[0] for value in values])}"


def select_patterns(values: Sequence[FeatureValue]) -> list[FeatureValue]:
    """Return the `N_PATTERNS` highest values, then the lowest, without repeats."""
    ordered = sorted((v for v in values if not math.isnan(v.value)), key=lambda v: -v.value)
    n_high = min(N_PATTERNS, (len(ordered) + 1) // 2)
    n_low = min(N_PATTERNS, len(ordered) - n_high)
    return [*ordered[:n_high], *reversed(ordered[len(ordered) - n_low :])]


def _cite_pairs(values: Sequence[FeatureValue]) -> str:
    cited = values if len(values) <= _N_NAMED_PAIRS else values[: _N_NAMED_PAIRS - 1]
    parts = [f"{value.location} {value.numbers}" for value in cited]
    n_more = len(values) - len(cited)
    return listing([*parts, f"for {count(n_more)} more connections"] if n_more else parts)


def _in_pairs(values: Sequence[FeatureValue]) -> bool:
    return len(values[0].networks) == 2


def _unit(values: Sequence[FeatureValue]) -> str:
    return "network connections" if _in_pairs(values) else "networks"


def _preposition(values: Sequence[FeatureValue]) -> str:
    return "for" if _in_pairs(values) else "in"
