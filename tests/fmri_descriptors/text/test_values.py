import math

import pytest

from fmri_descriptors.text.values import (
    FeatureValue,
    cite,
    group_by_word,
    locations,
    select_patterns,
    short_groups,
)
from fmri_descriptors.text.wording import count

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
    assert group_by_word(networks(A=0.2, B=-0.9, C=0.1))[0].scope == "in all three networks"
    assert group_by_word(pairs(5))[0].scope == "for all five network connections"


def test_the_scope_leaves_out_what_cannot_be_compared():
    groups = group_by_word(networks(A=0.2, B=-0.9, C=0.1, D=NAN))
    assert groups[0].scope == "in all three comparable networks"


def test_several_groups_hold_nowhere_everywhere():
    assert {g.scope for g in group_by_word(networks(A=0.2, B=-1.9, C=0.1))} == {""}


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ((), ""),
        (("A",), "in the A network"),
        (("A", "A"), "within the A network"),
        (("A", "B"), "between the A and B networks"),
    ],
)
def test_a_place_is_said_as_a_sentence_says_it(where, place):
    assert FeatureValue("x", 1.0, 0.0, where).location == place


def test_a_value_that_cannot_be_judged_is_shown_without_z():
    value = FeatureValue("x", 0.4, NAN)
    assert (value.shown, value.numbers) == ("0.40", "(0.40)")


def test_networks_beyond_the_first_three_are_cited_by_name_and_called_less_so():
    assert cite(networks(A=5, B=4, C=3, D=2.4, E=2.2)) == (
        "in the A (1.00, z 5.00), B (1.00, z 4.00) and C (1.00, z 3.00) networks and, less so, in "
        "the D and E networks"
    )


def test_no_network_alone_is_left_without_its_number():
    assert cite(networks(A=5, B=4, C=3, D=2)) == (
        "in the A (1.00, z 5.00), B (1.00, z 4.00), C (1.00, z 3.00) and D (1.00, z 2.00) networks"
    )


def test_networks_that_are_not_judged_are_not_called_less_so():
    assert cite(networks(A=NAN, B=NAN, C=NAN, D=NAN, E=NAN)).endswith(
        "C (1.00) networks and in the D and E networks"
    )


def test_many_networks_are_counted_rather_than_named():
    many = [FeatureValue("x", 1.0, 1.5, (f"N{i}",)) for i in range(17)]
    assert locations(many) == "in seventeen networks"
    assert locations(many[:9], 17) == "in nine of the seventeen networks"
    assert cite(many).endswith(" networks and, less so, in fourteen more")
    assert locations(many[:3]) == "in the N0, N1 and N2 networks"


def test_many_pairs_are_counted_rather_than_named():
    assert locations(pairs(32), 45) == "for thirty-two of the forty-five network connections"
    assert locations(pairs(2)) == "between the A and N0 networks and between the A and N1 networks"


@pytest.mark.parametrize("n", [4, 36, 153])
def test_every_pair_is_cited_or_counted(n):
    assert cite(pairs(3)).count("(") == 3
    assert cite(pairs(n)).endswith(f" (0.10, z 0.00) and for {count(n - 2)} more connections")


def test_the_short_form_has_the_most_unusual_group_of_each_direction():
    groups = group_by_word(networks(A=0.2, B=-2.5, C=1.1, D=2.7, E=-1.2))
    assert [group.values[0].networks[0] for group in short_groups(groups)] == ["D", "B"]
    (typical,) = short_groups(group_by_word(networks(A=0.2, B=-0.5)))
    assert typical.typical


def test_patterns_are_the_highest_then_the_lowest():
    assert [v.value for v in select_patterns(pairs(9))] == [0.8, 0.7, 0.6, 0.0, 0.1, 0.2]


def test_patterns_of_few_pairs_do_not_repeat_one():
    assert [v.value for v in select_patterns(pairs(3))] == [0.2, 0.1, 0.0]


def test_patterns_leave_missing_values_out():
    assert select_patterns([FeatureValue("fc.A-A", NAN, NAN, ("A", "A"))]) == []
