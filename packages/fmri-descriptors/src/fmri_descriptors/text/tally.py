"""How many values of a domain lie outside the typical range, and how many would by chance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fmri_descriptors.norms.chance import expected_outside
from fmri_descriptors.text.values import FeatureValue
from fmri_descriptors.text.wording import TYPICAL


@dataclass(frozen=True)
class Reference:
    """The people that a scan is compared with.

    Parameters
    ----------
    n_people : int
        How many they are.
    of_site : bool
        Whether all are from the scan's own site.
    """

    n_people: int
    of_site: bool = False


@dataclass(frozen=True)
class Tally:
    """Counts of a domain's values.

    Parameters
    ----------
    n_values : int
        Values that the cohort can judge.
    n_outside : int
        Those outside the typical range.
    reference : Reference or None
        What they are compared with, where it is known.
    """

    n_values: int
    n_outside: int
    reference: Reference | None = None

    @classmethod
    def of(cls, values: Sequence[FeatureValue], reference: Reference | None) -> "Tally":
        """Count values, each feature once."""
        words = {value.feature: value.level_word for value in values if value.is_judged}
        return cls(len(words), sum(word != TYPICAL for word in words.values()), reference)

    @property
    def n_by_chance(self) -> int:
        """Values outside that chance would give, at least one (see `expected_outside`)."""
        n_people = self.reference.n_people if self.reference else math.inf
        return max(1, round(expected_outside([n_people] * self.n_values)))
