import math

import pytest

from fmri_descriptors.values import (
    FeatureValue,
    cite,
    group_by_word,
    places,
    select_patterns,
)
from fmri_descriptors.wording import count

NAN = math.nan


def networks(**z):
    return [FeatureValue(f"x.{name}", 1.0, value, (name,)) for name, value in z.items()]


def pairs(n, z=0.0):
    return [FeatureValue(f"fc.A-{i}", i / 10, z, ("A", f"N{i}")) for i in range(n)]


def test_unknown_values_are_in_no_group():
    assert [g.word for g in group_by_word(networks(A=NAN, B=0.1))] == ["within the typical range"]


def test_the_group_of_the_most_unusual_value_comes_first():
    groups = group_by_word(networks(A=0.2, B=-2.5, C=1.1, D=1.7))
    assert [[v.networks[0] for v in group.values] for group in groups] == [["B"], ["D", "C"], ["A"]]


def test_one_group_of_all_says_where_it_holds():
    assert group_by_word(networks(A=0.2, B=-0.9, C=0.1))[0].scope == "in all three systems"
    assert group_by_word(pairs(5))[0].scope == "for all five connections"


def test_the_scope_leaves_out_what_cannot_be_compared():
    groups = group_by_word(networks(A=0.2, B=-0.9, C=0.1, D=NAN))
    assert groups[0].scope == "in all three comparable systems"


def test_several_groups_hold_nowhere_everywhere():
    assert {g.scope for g in group_by_word(networks(A=0.2, B=-1.9, C=0.1))} == {""}


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ((), ""),
        (("A",), "in A"),
        (("A", "A"), "within A"),
        (("A", "B"), "between A and B"),
    ],
)
def test_a_place_is_said_as_a_sentence_says_it(where, place):
    assert FeatureValue("x", 1.0, 0.0, where).place == place


def test_a_value_that_cannot_be_judged_is_shown_without_z():
    value = FeatureValue("x", 0.4, NAN)
    assert (value.shown, value.numbers) == ("0.40", "(0.40)")


def test_networks_beyond_the_first_three_are_cited_by_name():
    assert cite(networks(A=1, B=2, C=3, D=4, E=5)) == (
        "in A (1.00, z 1.00), B (1.00, z 2.00), C (1.00, z 3.00), D and E"
    )


def test_more_than_three_pairs_are_counted_beyond_the_second():
    assert cite(pairs(36)).endswith("between A and N1 (0.10, z 0.00) and thirty-four more")
    assert cite(pairs(2)) == "between A and N0 (0.00, z 0.00) and between A and N1 (0.10, z 0.00)"


def test_many_networks_are_counted_rather_than_named():
    many = [FeatureValue("x", 1.0, 0.0, (f"N{i}",)) for i in range(17)]
    assert places(many) == "in seventeen other systems"
    assert places(many, other=False) == "in seventeen systems"
    assert cite(many).endswith("and fourteen more")
    assert places(many[:3]) == "in N0, N1 and N2"


def test_many_pairs_are_counted_rather_than_named():
    assert places(pairs(32)) == "for thirty-two other connections"
    assert places(pairs(2)) == "between A and N0 and between A and N1"


@pytest.mark.parametrize("n", [4, 36, 153])
def test_every_pair_is_cited_or_counted(n):
    assert cite(pairs(n)).endswith(f" and {count(n - 2)} more")


def test_patterns_are_the_highest_then_the_lowest():
    assert [v.value for v in select_patterns(pairs(9))] == [0.8, 0.7, 0.6, 0.0, 0.1, 0.2]


def test_patterns_of_few_pairs_do_not_repeat_one():
    assert [v.value for v in select_patterns(pairs(3))] == [0.2, 0.1, 0.0]


def test_patterns_leave_missing_values_out():
    assert select_patterns([FeatureValue("fc.A-A", NAN, NAN, ("A", "A"))]) == []
