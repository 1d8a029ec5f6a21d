"""Values and z-scores to sentences, through templates in a sandbox."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from fmri_descriptors.registry import DescriptorRow
from fmri_descriptors.wording import TYPICAL, UNKNOWN, level_word, number, z_number

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

N_PATTERNS = 3
"""Pairs that the strongest and the weakest pattern name."""


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
    """

    feature: str
    value: float
    z: float
    networks: tuple[str, ...] = ()

    @property
    def level_word(self) -> str:
        """Words for z, from the one table of `wording`."""
        return level_word(self.z)

    @property
    def place(self) -> str:
        """Where it was measured, as a sentence says it."""
        if len(self.networks) == 2 and self.networks[0] == self.networks[1]:
            return f"within {self.networks[0]}"
        return " with ".join(self.networks)


@dataclass(frozen=True)
class Group:
    """Values that share their words, the most unusual first."""

    word: str
    values: tuple[FeatureValue, ...]


def group_by_word(values: Sequence[FeatureValue]) -> list[Group]:
    """Group values by their words: the group of the most unusual first, unknown ones last."""
    known = sorted((v for v in values if v.level_word != UNKNOWN), key=lambda v: -abs(v.z))
    unknown = [v for v in values if v.level_word == UNKNOWN]
    words = list(dict.fromkeys(value.level_word for value in [*known, *unknown]))
    return [
        Group(word, tuple(v for v in [*known, *unknown] if v.level_word == word)) for word in words
    ]


def select_patterns(values: Sequence[FeatureValue]) -> list[FeatureValue]:
    """Return the `N_PATTERNS` highest values, then the lowest, without repeats."""
    ordered = sorted((v for v in values if not math.isnan(v.value)), key=lambda v: -v.value)
    n_high = min(N_PATTERNS, (len(ordered) + 1) // 2)
    n_low = min(N_PATTERNS, len(ordered) - n_high)
    return [*ordered[:n_high], *reversed(ordered[len(ordered) - n_low :])]


def render_descriptor(row: DescriptorRow, values: Sequence[FeatureValue]) -> list[str]:
    """Write the sentences of one descriptor.

    Parameters
    ----------
    row : DescriptorRow
        The descriptor; a template of its own name goes before the shared one of its kind.
    values : sequence of FeatureValue
        What it says; for patterns, what `select_patterns` returned.

    Returns
    -------
    list of str
        Sentences, the most telling first.
    """
    template = _environment().select_template([f"{row.name}.jinja", f"{row.template}.jinja"])
    n_high = (len(values) + 1) // 2
    text = template.render(
        noun=row.noun,
        measure=row.noun_with_unit,
        values=values,
        groups=group_by_word(values),
        high=values[:n_high],
        low=values[n_high:],
        typical=TYPICAL,
        unknown=UNKNOWN,
    )
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def render_caption(paragraphs: Mapping[str, Sequence[str]]) -> str:
    """Write one paragraph a domain from the texts of its descriptors."""
    text = _environment().get_template("caption.jinja").render(paragraphs=paragraphs)
    return text.strip()


@lru_cache(maxsize=1)
def _environment() -> "SandboxedEnvironment":
    from jinja2 import PackageLoader, StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        loader=PackageLoader("fmri_descriptors"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, z=z_number)
    return environment
