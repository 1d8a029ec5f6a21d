"""How many values lie outside the typical range, next to how many would by chance."""

import math

from fmri_descriptors.text.tally import Reference, Tally
from fmri_descriptors.text.values import FeatureValue


def test_each_feature_counts_once_and_only_where_it_can_be_judged():
    z = {"a": 1.5, "b": -2.5, "c": 0.5, "d": math.nan}
    values = [FeatureValue(name, 1.0, value) for name, value in z.items()]
    tally = Tally.of([*values, values[0]], None)
    assert (tally.n_values, tally.n_outside) == (3, 2)


def test_a_small_reference_lets_more_be_outside_by_chance():
    assert [Tally(100, 0, Reference(n)).n_by_chance for n in (3, 7, 1000)] == [48, 39, 32]
    assert Tally(100, 0).n_by_chance == 32
    assert Tally(2, 0).n_by_chance == 1
