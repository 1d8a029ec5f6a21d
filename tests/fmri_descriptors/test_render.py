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
        (
            "Network strength (sum of correlations) is well below the typical range in "
            "B (1.00, z -2.50)."
        ),
        "It is above the typical range in D (1.00, z 1.70), C (1.00, z 1.10).",
        "It is within the typical range in A.",
    ]


def test_when_all_are_typical_nothing_is_called_raised():
    (sentence,) = render_descriptor(ROWS["graph_network_strength"], networks(A=0.2, B=-0.9))
    assert sentence == (
        "Network strength (sum of correlations) is within the typical range in every system; "
        "furthest from the mean: B (1.00, z -0.90)."
    )


def test_the_highest_pairs_are_named_without_calling_them_raised():
    values = [FeatureValue(f"fc.{i}", i / 10, 0.0, ("A", str(i))) for i in range(9)]
    text = " ".join(render_descriptor(ROWS["fc_patterns"], select_patterns(values)))
    assert text == (
        "Highest connectivity (Fisher-transformed r) in this scan: A with 8 (0.80, z 0.00), "
        "A with 7 (0.70, z 0.00), A with 6 (0.60, z 0.00). "
        "Lowest connectivity: A with 0 (0.00, z 0.00), A with 1 (0.10, z 0.00), "
        "A with 2 (0.20, z 0.00)."
    )


def test_a_negative_extreme_is_called_low_and_not_weak():
    values = [FeatureValue(f"fc.{r}", r, 0.0, ("A", "B")) for r in (-0.7, 0.1)]
    sentences = render_descriptor(ROWS["fc_patterns"], select_patterns(values))
    assert sentences[1] == "Lowest connectivity: A with B (-0.70, z 0.00)."


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("gradient1_range", "Principal gradient range (diffusion units) is 1.00"),
        ("ica_overall_amplitude", "Overall temporal amplitude (units of the recording) is 1.00"),
        ("ica_overall_spectral_ratio", "Overall spectral ratio is 1.00"),
        ("graph_modularity", "Modularity is 1.00"),
    ],
)
def test_a_sentence_gives_the_unit_where_there_is_one(name, start):
    (sentence,) = render_descriptor(ROWS[name], [FeatureValue("x", 1.0, 0.0, ())])
    assert sentence.startswith(start)


def test_a_list_of_systems_ends_in_and():
    sentences = render_descriptor(
        ROWS["graph_network_strength"], networks(A=0.3, B=0.2, C=0.1, D=3.0, E=NAN, F=NAN)
    )
    assert sentences[1:] == [
        "It is within the typical range in A, B and C.",
        "It is not available in E and F.",
    ]


def test_one_pair_is_not_called_pairs():
    z = (3.0, 0.1, NAN)
    values = [FeatureValue(f"fc.{i}", 1.0, z[i], ("A", str(i))) for i in range(3)]
    assert render_descriptor(ROWS["fc_network_pairs"], values)[1:] == [
        "It is within the typical range for 1 other pair.",
        "It is not available for 1 pair of systems.",
    ]


def test_pairs_are_other_pairs_only_after_some_were_named():
    values = [FeatureValue(f"fc.{i}", 1.0, z, ("A", str(i))) for i, z in enumerate((0.1, 0.2, NAN))]
    assert render_descriptor(ROWS["ica_fnc"], values)[0] == (
        "Functional network connectivity (Fisher-transformed r) is within the typical range for "
        "2 pairs."
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
