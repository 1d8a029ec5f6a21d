"""How many features lie outside the typical range by chance."""

import numpy as np
from numpy.typing import ArrayLike


def expected_outside(n_people: ArrayLike, bound: float = 1.0) -> float:
    """Return how many z-scores of one more person reach `bound` in size by chance.

    It is the expected number for a person like the others, exact for normally distributed
    features: with mean and standard deviation from n people, z / sqrt(1 + 1 / n) of another one
    follows Student's t with n - 1 degrees of freedom. Features may depend on each other.

    Parameters
    ----------
    n_people : array_like, (F,)
        People that each feature's norms are from, such as ``norms.table_["n"]``; features with
        fewer than two count as none.
    bound : float
        1 for what is called outside the typical range, 2 for well outside.

    Examples
    --------
    >>> round(expected_outside([1000] * 165), 1)
    52.4
    """
    from scipy.stats import t

    n = np.asarray(n_people, dtype=np.float64)
    n = n[n >= 2]
    return float((2 * t.sf(bound / np.sqrt(1 + 1 / n), n - 1)).sum())
