"""How many values lie outside the typical range, next to how many would by chance."""

import math

import numpy as np
import pytest

from fmri_descriptors.tally import Reference, Tally, share_outside
from fmri_descriptors.values import FeatureValue


@pytest.mark.parametrize("n_scans", [3, 7, 40])
def test_the_share_by_chance_is_that_of_new_normal_values(n_scans):
    values = np.random.default_rng(0).standard_normal((40_000, n_scans + 1))
    mean, sd = values[:, :-1].mean(axis=1), values[:, :-1].std(axis=1, ddof=1)
    outside = np.abs(values[:, -1] - mean) >= sd
    assert outside.mean() == pytest.approx(share_outside(n_scans), abs=0.01)


def test_with_many_scans_the_share_is_that_of_the_normal_distribution():
    assert share_outside(math.inf) == pytest.approx(0.3173, abs=1e-4)
    assert share_outside(10**6) == pytest.approx(share_outside(math.inf), abs=1e-5)


def test_each_feature_counts_once_and_only_where_it_can_be_judged():
    z = {"a": 1.5, "b": -2.5, "c": 0.5, "d": math.nan}
    values = [FeatureValue(name, 1.0, value) for name, value in z.items()]
    tally = Tally.of([*values, values[0]], None)
    assert (tally.n_values, tally.n_outside) == (3, 2)


def test_a_small_reference_lets_more_be_outside_by_chance():
    assert [Tally(100, 0, Reference(n)).n_by_chance for n in (3, 7, 1000)] == [48, 39, 32]
    assert Tally(100, 0).n_by_chance == 32
    assert Tally(2, 0).n_by_chance == 1
