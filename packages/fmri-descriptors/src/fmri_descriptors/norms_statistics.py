"""Statistics of feature columns, and what two summaries give together."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

STATISTICS = ("n", "mean", "sd", "median", "mad")

_BLOCK = 64  # columns at a time, so that a large cohort is never copied whole


def statistics(features: "pd.DataFrame") -> "pd.DataFrame":
    """Return n, mean, sd, median and MAD of each column; missing values do not count.

    Parameters
    ----------
    features : DataFrame
        One row a scan, one column a feature.

    Returns
    -------
    DataFrame
        One row a feature, columns `STATISTICS`; ``sd`` has n - 1 in the denominator. NaN where
        there are too few values.
    """
    import pandas as pd

    starts = range(0, features.shape[1], _BLOCK)
    return pd.concat([_of_block(features.iloc[:, i : i + _BLOCK]) for i in starts])


def _of_block(block: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    median = block.median()
    table = {
        "n": block.count().astype(np.int64),
        "mean": block.mean(),
        "sd": block.std(ddof=1),
        "median": median,
        "mad": (block - median).abs().median(),
    }
    return pd.DataFrame(table)


def combine(a: "pd.DataFrame", b: "pd.DataFrame") -> "pd.DataFrame":
    """Return the statistics of two groups of scans together, from their summaries alone.

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
