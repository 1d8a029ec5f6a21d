"""Counts of features outside the typical range, by hand and by a normal sample."""

import numpy as np
import pandas as pd
import pytest

from fmri_descriptors import CohortNorms
from fmri_descriptors.norms.outside_counts import outside_typical_range


@pytest.fixture
def norms():
    """Norms of 50 people and four features."""
    values = np.random.default_rng(0).standard_normal((50, 4))
    ids = [f"s{i}" for i in range(50)]
    return CohortNorms().fit(pd.DataFrame(values, index=ids, columns=list("abcd")))


def test_a_z_of_one_is_outside_and_a_missing_one_is_not_counted(norms):
    z = pd.DataFrame(
        [[0.9, -1.0, 3.0, 0.0], [np.nan, 0.1, -0.2, 5.0]], index=["x", "y"], columns=list("abcd")
    )
    counts = outside_typical_range(z, norms)
    assert counts.loc["x", ["features", "outside"]].tolist() == [4, 2]
    assert counts.loc["y", ["features", "outside"]].tolist() == [3, 1]
    assert counts.loc["y", "expected"] == pytest.approx(
        counts.loc["x", "expected"] * 3 / 4, abs=0.02
    )


def test_as_many_are_expected_as_new_people_have(norms):
    random = np.random.default_rng(1)
    n_people = 400
    means, outside = [], []
    for _ in range(40):  # norms of 50 people are uncertain themselves
        frame = pd.DataFrame(random.standard_normal((50, 4)), columns=list("abcd"))
        frame.index = [f"s{i}" for i in range(50)]
        fitted = CohortNorms().fit(frame)
        people = pd.DataFrame(random.standard_normal((n_people, 4)), columns=list("abcd"))
        counts = outside_typical_range(fitted.transform(people), fitted)
        means.append(counts["expected"].mean())
        outside.append(counts["outside"].mean())
    assert np.mean(outside) == pytest.approx(np.mean(means), rel=0.03)
