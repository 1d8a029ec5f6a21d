"""Statistics of feature columns, what two summaries give together, and z-scores."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

STATISTICS = ("n", "mean", "sd", "median", "mad")

NORMAL_MAD = 1.4826
"""Standard deviation of a normal distribution in units of its MAD."""

_ROUNDING = 1e-12  # share of its centre up to which a feature's spread is that of rounded sums
_BLOCK = 64  # columns at a time, so that a large cohort is never copied whole


def statistics(features: "pd.DataFrame", people: NDArray[np.intp] | None = None) -> "pd.DataFrame":
    """Return n, mean, sd, median and MAD of each column; missing values do not count.

    A person counts once: where one has several scans with a value, each has that share of a
    weight. So ``mean`` is the mean of the people's means, and ``sd`` the root of the mean squared
    distance from it of one scan of each person, with n - 1 in the denominator.

    Parameters
    ----------
    features : DataFrame
        One row a scan, one column a feature.
    people : ndarray of int, (scans,), optional
        Number of each scan's person; a person a scan if not given.

    Returns
    -------
    DataFrame
        One row a feature, columns `STATISTICS`; ``n`` counts people. NaN where there are too few.
    """
    import pandas as pd

    people = np.arange(len(features)) if people is None else people
    starts = range(0, features.shape[1], _BLOCK)
    blocks = (features.iloc[:, i : i + _BLOCK] for i in starts)
    return pd.concat([_of_block(block, people) for block in blocks])


def _of_block(block: "pd.DataFrame", people: NDArray[np.intp]) -> "pd.DataFrame":
    import pandas as pd

    values = block.to_numpy(dtype=np.float64)
    weights = person_weights(values, people)
    n = np.rint(weights.sum(axis=0)).astype(np.int64)
    filled = np.nan_to_num(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (weights * filled).sum(axis=0) / n
        squares = (weights * (filled - mean) ** 2).sum(axis=0)
        sd = np.sqrt(squares / np.where(n > 1, n - 1, np.nan))
    median = weighted_median(values, weights)
    mad = weighted_median(np.abs(values - median), weights)
    table = {"n": n, "mean": mean, "sd": sd, "median": median, "mad": mad}
    return pd.DataFrame(table, index=block.columns)


def person_weights(values: NDArray[np.float64], people: NDArray[np.intp]) -> NDArray[np.float64]:
    """Share of each value in its person's weight of 1, (scans, F); 0 for a missing one.

    Parameters
    ----------
    values : ndarray, (scans, F)
        NaN where missing.
    people : ndarray of int, (scans,)
        Number of each scan's person, from 0.
    """
    present = np.isfinite(values).astype(np.float64)
    counts = person_sums(present, people)[people]
    return np.divide(present, counts, out=np.zeros_like(present), where=counts > 0)


def person_sums(values: NDArray[np.float64], people: NDArray[np.intp]) -> NDArray[np.float64]:
    """Sum of the rows of each person, (people, F)."""
    sums = np.zeros((int(people.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(sums, people, values)
    return sums


def weighted_median(
    values: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Median of each column, (F,): half of the weight lies on either side.

    Where the weight can be halved between two values it is their mean, so that equal weights give
    the ordinary median.

    Parameters
    ----------
    values : ndarray, (scans, F)
        NaN only where the weight is 0.
    weights : ndarray, (scans, F)
        Not negative.
    """
    order = np.argsort(values, axis=0)
    ordered = np.take_along_axis(values, order, axis=0)
    reached = np.cumsum(np.take_along_axis(weights, order, axis=0), axis=0)
    half = reached[-1] / 2
    slack = 1e-9 * half
    low, high = (
        np.take_along_axis(ordered, (reached >= bound).argmax(axis=0)[None], axis=0)[0]
        for bound in (half - slack, half + slack)
    )
    return np.where(half > 0, (low + high) / 2, np.nan)


def combine(a: "pd.DataFrame", b: "pd.DataFrame") -> "pd.DataFrame":
    """Return the statistics of two groups of people together, from their summaries alone.

    ``n``, ``mean`` and ``sd`` are exact (Chan, Golub and LeVeque 1983). Two summaries do not
    give a ``median`` and ``mad``, so these are NaN.
    """
    import pandas as pd

    b = b.loc[a.index]
    n = a["n"] + b["n"]
    # A side without values has NaN for a mean; it weighs nothing.
    mean_a, mean_b = (side["mean"].where(side["n"] > 0, 0.0) for side in (a, b))
    squares = sum(
        (side["sd"].fillna(0.0) ** 2 * (side["n"] - 1)).clip(lower=0.0) for side in (a, b)
    )
    both = n.where(n > 0)
    mean = (mean_a * a["n"] + mean_b * b["n"]) / both
    squares = squares + (mean_b - mean_a) ** 2 * a["n"] * b["n"] / both
    lost = pd.Series(np.nan, index=a.index)
    sd = np.sqrt(squares / (n - 1).where(n > 1))
    return pd.DataFrame({"n": n, "mean": mean, "sd": sd, "median": lost, "mad": lost})


def centre_and_spread(
    table: "pd.DataFrame", *, robust: bool = False
) -> tuple["pd.Series[float]", "pd.Series[float]"]:
    """Return mean and standard deviation of every feature, or median and 1.4826 MAD.

    Parameters
    ----------
    table : DataFrame
        As `statistics` or `combine` returns it.
    robust : bool
        Whether to return the second pair.

    Raises
    ------
    InputError
        If the second pair was lost by `combine`.
    """
    if not robust:
        return table["mean"], table["sd"]
    if (table["median"].isna() & (table["n"] > 0)).any():
        raise InputError(
            "norms: merged norms have no median and MAD; keep each side's values file beside "
            "its norms and merge again, use robust=False, or fit on all scans"
        )
    return table["median"], NORMAL_MAD * table["mad"]


def z_scores(values: "pd.DataFrame", centre: Any, spread: Any) -> NDArray[np.float64]:
    """Distance from the centre in units of the spread, (scans, F); NaN where there is none."""
    distance = values.to_numpy(dtype=np.float64) - np.asarray(centre)
    unit = np.asarray(spread, dtype=np.float64)
    varies = unit > _ROUNDING * np.abs(np.asarray(centre))
    return np.asarray(distance / np.where(varies, unit, np.nan))
