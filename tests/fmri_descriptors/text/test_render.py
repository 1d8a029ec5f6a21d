import math
from itertools import pairwise

import pytest

from fmri_descriptors.registry import DESCRIPTORS
from fmri_descriptors.text.render import (
    Part,
    discourse_relation,
    most_unusual_direction,
    render_descriptor,
    render_paragraph,
)
from fmri_descriptors.text.tally import Reference, Tally
from fmri_descriptors.text.values import FeatureValue, select_patterns

ROWS = {row.name: row for row in DESCRIPTORS}
NAN = math.nan


def networks(**z):
    return [FeatureValue(f"x.{name}", 1.0, value, (name,)) for name, value in z.items()]


@pytest.mark.parametrize(
    ("phrasing", "sentence"),
    [
        (0, "modularity is 0.41 (z 1.23), above the typical range."),
        (1, "communities with a modularity of 0.41 (z 1.23), which is above the typical range."),
        (2, "measured by modularity, is 0.41 (z 1.23); this is above the typical range."),
    ],
)
def test_a_single_value_is_one_sentence(phrasing, sentence):
    values = [FeatureValue("graph.modularity", 0.4137, 1.234, ())]
    (told,) = render_descriptor(ROWS["graph_modularity"], values, phrasing)
    assert told.endswith(sentence)


def test_a_missing_value_is_said_to_be_missing():
    values = [FeatureValue("graph.modularity", NAN, NAN, ())]
    (sentence,) = render_descriptor(ROWS["graph_modularity"], values)
    assert sentence.endswith("odularity is not available for this scan.")


def test_a_value_that_the_cohort_cannot_judge_is_given_without_a_direction():
    values = [FeatureValue("graph.modularity", 0.4, NAN, ())]
    (sentence,) = render_descriptor(ROWS["graph_modularity"], values)
    assert sentence.endswith("odularity is 0.40, not comparable with the cohort.")


def test_networks_are_grouped_and_the_most_unusual_come_first():
    sentences = render_descriptor(
        ROWS["graph_network_strength"], networks(A=0.2, B=-2.5, C=1.1, D=1.7)
    )
    noun = "network strength over positive connections"
    assert sentences == [
        f"{noun} (sum of r) is well below the typical range in the B network (1.00, z -2.50).",
        (
            f"in the D (1.00, z 1.70) and C (1.00, z 1.10) networks, {noun} (sum of r) is above "
            "the typical range."
        ),
        f"{noun} is within the typical range in the A network.",
    ]


def test_when_all_are_typical_nothing_is_called_raised():
    (sentence,) = render_descriptor(ROWS["ica_falff"], networks(A=0.2, B=-0.9, C=0.1))
    assert sentence == (
        "fractional ALFF is within the typical range in all three networks, furthest from the "
        "cohort's centre in the B network (1.00, z -0.90)."
    )


def test_missing_networks_are_named_after_the_others_with_the_reason():
    sentences = render_descriptor(ROWS["ica_falff"], networks(A=2.5, B=0.1))
    reason = "no component stands for it"
    values = [*networks(A=2.5, B=0.1), FeatureValue("x.C", NAN, NAN, ("C",), "", reason)]
    with_gap = render_descriptor(ROWS["ica_falff"], values)
    assert with_gap[:2] == sentences
    assert with_gap[2:] == [f"fALFF is not available in the C network because {reason}."]


def test_what_is_missing_everywhere_for_one_reason_is_said_in_one_sentence():
    reason = "the recording was band-passed before"
    values = [FeatureValue(f"x.{name}", NAN, NAN, (name,), "", reason) for name in "ABC"]
    (sentence,) = render_descriptor(ROWS["ica_falff"], values)
    assert sentence == f"fALFF is not available for this scan because {reason}."


def test_the_highest_pairs_are_named_without_calling_them_raised():
    values = [
        FeatureValue(f"fc.{i}", i / 10, 0.0, ("A", str(i)), "mean Fisher z") for i in range(9)
    ]
    highest, lowest, summary = render_descriptor(ROWS["fc_patterns"], select_patterns(values))
    assert highest == (
        "connectivity (mean Fisher z) is highest between the A and 8 networks (0.80, z 0.00), "
        "between the A and 7 networks (0.70, z 0.00) and between the A and 6 networks (0.60, z "
        "0.00)."
    )
    assert lowest == (
        "connectivity (mean Fisher z) is lowest between the A and 0 networks (0.00, z 0.00), "
        "between the A and 1 networks (0.10, z 0.00) and between the A and 2 networks (0.20, z "
        "0.00)."
    )
    assert summary == "the extremes of connectivity are all within the typical range."


def test_the_short_form_tells_what_is_raised_and_what_is_lowered():
    values = networks(A=0.2, B=-2.5, C=1.1, D=2.7)
    for phrasing in range(3):
        raised, lowered = render_descriptor(ROWS["ica_falff"], values, phrasing, short=True)
        assert "well above" in raised.lower()
        assert "D network" in raised
        assert "well below" in lowered.lower()
        assert "B network" in lowered


@pytest.mark.parametrize(
    ("negative_edges", "words"),
    [
        ("drop", "positive connections"),
        ("absolute", "connections of either sign, taken as positive"),
        ("negative_sym", "positive less negative connections"),
        ("negative_asym", "positive less down-weighted negative connections"),
    ],
)
@pytest.mark.parametrize("phrasing", range(3))
def test_strength_says_which_connections_it_sums(negative_edges, words, phrasing):
    sentences = render_descriptor(
        ROWS["graph_network_strength"],
        networks(A=1.2, B=-2.5, C=0.5),
        phrasing,
        negative_edges=negative_edges,
    )
    assert all(words in sentence for sentence in sentences)


@pytest.mark.parametrize("phrasing", range(3))
def test_graph_measures_over_other_edges_say_so_and_efficiency_stays_with_positive_ones(phrasing):
    value = [FeatureValue("x", 0.4, 1.2)]
    edges = "connections of either sign, taken as positive"
    for name, words in (
        ("graph_modularity", edges),
        ("graph_mean_clustering", edges),
        ("graph_global_efficiency", "positive connections"),
    ):
        (text,) = render_descriptor(ROWS[name], value, phrasing, negative_edges="absolute")
        assert words in text
        assert "connections" not in render_descriptor(ROWS[name], value, phrasing)[0]


def test_patterns_without_any_value_are_said_to_be_missing():
    values = [FeatureValue("fc.A-A", NAN, NAN, ("A", "A"))]
    (sentence,) = render_descriptor(ROWS["fc_patterns"], select_patterns(values))
    assert sentence == "the extremes of connectivity are not available for this scan."


def test_the_direction_of_a_descriptor_is_that_of_its_most_unusual_value():
    assert most_unusual_direction(networks(A=1.5, B=-2.5, C=NAN)) == -1
    assert most_unusual_direction(networks(A=1.5, B=-0.5)) == 1
    assert most_unusual_direction(networks(A=0.5)) == 0
    assert most_unusual_direction(networks(A=NAN)) is None


@pytest.mark.parametrize(
    ("before", "now", "name"),
    [
        (1, 1, "same"),
        (0, 0, "same"),
        (1, -1, "opposite"),
        (-1, 1, "opposite"),
        (0, 1, "other"),
        (None, 1, "other"),
        (None, None, "other"),
    ],
)
def test_two_directions_have_a_discourse_relation(before, now, name):
    assert discourse_relation(before, now) == name


def test_words_before_a_sentence_take_its_capital():
    part = Part("Network strength is high. It is.", "same", joins=True)
    assert part.join("likewise") == "Likewise, network strength is high. It is."
    assert part.join("") == part.text


def test_words_are_not_put_before_a_sentence_that_cannot_take_them():
    assert Part("fALFF: high.", "same", joins=False).join("likewise") == "fALFF: high."


@pytest.mark.parametrize("how", ["same", "opposite"])
def test_no_connecting_words_are_used_twice_in_a_row(how):
    parts = [Part("A.", "first", joins=True), *[Part("B.", how, joins=True)] * 8]
    for phrasing in range(6):
        words = render_paragraph("ICA", parts, phrasing)[1:]
        opening = [sentence.text.split(",")[0] for sentence in words]
        assert all(a != b for a, b in pairwise(opening))


def test_what_is_joined_leans_on_what_stands_before_and_nothing_else_does():
    parts = [Part("A.\nB.", how, joins=True) for how in ("first", "other", "opposite")]
    told = render_paragraph("FC", parts, 0)
    assert [(s.text, s.standalone) for s in told] == [
        *[("A.", True), ("B.", True)] * 2,
        *[("By contrast, a.", False), ("B.", True)],
    ]


@pytest.mark.parametrize("phrasing", range(3))
@pytest.mark.parametrize("domain", ["FC", "gradients", "ICA", "graph"])
def test_a_paragraph_opens_with_how_much_is_outside_and_how_much_would_be_by_chance(
    domain, phrasing
):
    parts = [Part("A.", "first", joins=True)]
    tally = Tally(100, 13, Reference(7))
    opening = render_paragraph(domain, parts, phrasing, tally=tally)[0]
    assert opening.standalone
    assert all(
        words in opening.text.lower()
        for words in ("thirteen", "one hundred", "seven training subjects", "thirty-nine", "chance")
    )


def test_an_opening_keeps_its_grammar_where_one_or_none_is_outside():
    parts = [Part("A.", "first", joins=True)]
    expected = ("none of nine graph measures lie ", "one of nine graph measures lies ")
    for n_outside, words in enumerate(expected):
        opening = render_paragraph("graph", parts, 1, tally=Tally(9, n_outside))[0].text
        assert words in opening
