import pytest
from jinja2.exceptions import SecurityError

from fmri_descriptors.registry import DESCRIPTORS
from fmri_descriptors.render import (
    FeatureValue,
    _environment,
    group_by_word,
    render_descriptor,
    select_patterns,
)

ROWS = {row.name: row for row in DESCRIPTORS}
NAN = float("nan")


def networks(**z):
    return [FeatureValue(f"x.{name}", 1.0, value, (name,)) for name, value in z.items()]


def test_a_single_value_is_one_sentence():
    values = [FeatureValue("graph.modularity", 0.4137, 1.234, ())]
    assert render_descriptor(ROWS["graph_modularity"], values) == [
        "Modularity is 0.41 (z 1.23), above the typical range."
    ]


def test_a_missing_value_is_said_to_be_missing():
    values = [FeatureValue("graph.modularity", NAN, NAN, ())]
    assert render_descriptor(ROWS["graph_modularity"], values) == [
        "Modularity is not available for this scan."
    ]


def test_a_value_that_the_cohort_cannot_judge_is_given_without_a_verdict():
    values = [FeatureValue("graph.modularity", 0.4, NAN, ())]
    assert render_descriptor(ROWS["graph_modularity"], values) == [
        "Modularity is 0.40, not comparable with the cohort."
    ]


def test_networks_are_grouped_and_the_most_unusual_come_first():
    sentences = render_descriptor(
        ROWS["graph_network_strength"], networks(A=0.2, B=-2.5, C=1.1, D=1.7)
    )
    assert sentences == [
        "Network strength is well below the typical range in B (1.00, z -2.50).",
        "It is above the typical range in D (1.00, z 1.70), C (1.00, z 1.10).",
        "It is within the typical range in A.",
    ]


def test_when_all_are_typical_nothing_is_called_raised():
    (sentence,) = render_descriptor(ROWS["graph_network_strength"], networks(A=0.2, B=-0.9))
    assert sentence == (
        "Network strength is within the typical range in every system; "
        "furthest from the mean: B (1.00, z -0.90)."
    )


def test_the_strongest_pairs_are_named_without_calling_them_raised():
    values = [FeatureValue(f"fc.{i}", i / 10, 0.0, ("A", str(i))) for i in range(9)]
    text = " ".join(render_descriptor(ROWS["fc_patterns"], select_patterns(values)))
    assert text == (
        "Strongest connectivity: A with 8 (0.80, z 0.00), A with 7 (0.70, z 0.00), "
        "A with 6 (0.60, z 0.00). Weakest connectivity: A with 0 (0.00, z 0.00), "
        "A with 1 (0.10, z 0.00), A with 2 (0.20, z 0.00)."
    )


def test_patterns_of_few_pairs_do_not_repeat_one():
    values = [FeatureValue(f"fc.{i}", float(i), 0.0, ("A", str(i))) for i in range(3)]
    assert [v.value for v in select_patterns(values)] == [2.0, 1.0, 0.0]


def test_patterns_without_any_value_are_said_to_be_missing():
    values = [FeatureValue("fc.A-A", NAN, NAN, ("A", "A"))]
    assert render_descriptor(ROWS["fc_patterns"], select_patterns(values)) == [
        "The extremes of connectivity are not available for this scan."
    ]


def test_unknown_values_come_last():
    assert [g.word for g in group_by_word(networks(A=NAN, B=0.1))] == [
        "within the typical range",
        "not comparable",
    ]


def test_a_pair_of_one_system_is_called_within_it():
    assert FeatureValue("fc.A-A", 1.0, 0.0, ("A", "A")).place == "within A"


def test_templates_cannot_reach_into_python():
    with pytest.raises(SecurityError):
        _environment().from_string("{{ ''.__class__.__mro__ }}").render()
