"""How many values of a domain lie outside the typical range, and how many would by chance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fmri_descriptors.values import FeatureValue
from fmri_descriptors.wording import TYPICAL


@dataclass(frozen=True)
class Reference:
    """The scans that a scan is compared with.

    Parameters
    ----------
    n_scans : int
        How many they are.
    of_site : bool
        Whether all are from the scan's own site.
    """

    n_scans: int
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
        """Values outside that a normal distribution would give, at least one."""
        n_scans = self.reference.n_scans if self.reference else math.inf
        return max(1, round(self.n_values * share_outside(n_scans)))


def share_outside(n_scans: float) -> float:
    """Return the chance that a new normal value lies one SD or more from the mean of n others.

    The value less the mean, over the standard deviation of n values, is Student's t with n - 1
    degrees of freedom times the root of 1 + 1 / n: 0.32 for many scans, 0.39 for seven.

    Parameters
    ----------
    n_scans : float
        Scans behind mean and standard deviation; at least 2.
    """
    from scipy.special import ndtr, stdtr

    if math.isinf(n_scans):
        return float(2 * ndtr(-1.0))
    return float(2 * stdtr(n_scans - 1, -1 / math.sqrt(1 + 1 / n_scans)))
