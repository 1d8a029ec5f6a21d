"""How many features of a scan lie outside the typical range, beside what chance would put there."""

from typing import TYPE_CHECKING

import numpy as np

from fmri_descriptors.norms.chance import expected_outside
from fmri_descriptors.norms.cohort_norms import CohortNorms

if TYPE_CHECKING:
    import pandas as pd


def outside_typical_range(z: "pd.DataFrame", norms: CohortNorms) -> "pd.DataFrame":
    """Count, for each scan, the features that reach a z-score of 1 in size.

    Parameters
    ----------
    z : DataFrame
        Z-scores, one row a scan.
    norms : CohortNorms
        What the scans were compared with.

    Returns
    -------
    DataFrame
        Rows as in `z`; ``features`` with a z-score, how many of them are ``outside``, and how many
        are ``expected`` there by chance (see `expected_outside`).
    """
    import pandas as pd

    judged = z.notna().to_numpy()
    n_people = norms.table_.loc[z.columns, "n"].to_numpy()
    # Few scans miss other features than the rest, so few expectations are computed.
    kinds, kind_of_scan = np.unique(judged, axis=0, return_inverse=True)
    expected = np.array([expected_outside(n_people[kind]) for kind in kinds])
    return pd.DataFrame(
        {
            "features": judged.sum(axis=1),
            "outside": (z.abs() >= 1).sum(axis=1),
            "expected": expected[kind_of_scan.ravel()].round(2),
        },
        index=z.index,
    )
