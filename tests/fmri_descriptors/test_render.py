import math
from itertools import pairwise

import pytest

from fmri_descriptors.registry import DESCRIPTORS
from fmri_descriptors.render import (
    Part,
    relation,
    render_descriptor,
    render_paragraph,
    verdict,
)
from fmri_descriptors.values import FeatureValue, select_patterns

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


def test_a_value_that_the_cohort_cannot_judge_is_given_without_a_verdict():
    values = [FeatureValue("graph.modularity", 0.4, NAN, ())]
    (sentence,) = render_descriptor(ROWS["graph_modularity"], values)
    assert sentence.endswith("odularity is 0.40, not comparable with the cohort.")


def test_networks_are_grouped_and_the_most_unusual_come_first():
    sentences = render_descriptor(
        ROWS["graph_network_strength"], networks(A=0.2, B=-2.5, C=1.1, D=1.7)
    )
    assert sentences == [
        "network strength is well below the typical range in B (1.00, z -2.50).",
        "it is above the typical range in D (1.00, z 1.70) and C (1.00, z 1.10).",
        "it is within the typical range in A.",
    ]


def test_when_all_are_typical_nothing_is_called_raised():
    (sentence,) = render_descriptor(ROWS["graph_network_strength"], networks(A=0.2, B=-0.9, C=0.1))
    assert sentence == (
        "network strength is within the typical range in all three systems, furthest from the "
        "cohort's centre in B (1.00, z -0.90)."
    )


def test_missing_networks_are_named_after_the_others():
    sentences = render_descriptor(ROWS["graph_network_strength"], networks(A=2.5, B=0.1))
    values = [*networks(A=2.5, B=0.1), FeatureValue("x.C", NAN, NAN, ("C",))]
    with_gap = render_descriptor(ROWS["graph_network_strength"], values)
    assert with_gap[:2] == sentences
    assert with_gap[2].endswith("trength is not available in C.")


def test_the_highest_pairs_are_named_without_calling_them_raised():
    values = [FeatureValue(f"fc.{i}", i / 10, 0.0, ("A", str(i))) for i in range(9)]
    text = " ".join(render_descriptor(ROWS["fc_patterns"], select_patterns(values)))
    assert text == (
        "connectivity is highest between A and 8 (0.80, z 0.00), between A and 7 (0.70, z 0.00) "
        "and between A and 6 (0.60, z 0.00). "
        "it is lowest between A and 0 (0.00, z 0.00), between A and 1 (0.10, z 0.00) and between "
        "A and 2 (0.20, z 0.00). "
        "all of these are within the typical range."
    )


def test_patterns_without_any_value_are_said_to_be_missing():
    values = [FeatureValue("fc.A-A", NAN, NAN, ("A", "A"))]
    (sentence,) = render_descriptor(ROWS["fc_patterns"], select_patterns(values))
    assert sentence == "the extremes of connectivity are not available for this scan."


def test_the_verdict_of_a_descriptor_is_that_of_its_most_unusual_value():
    assert verdict(networks(A=1.5, B=-2.5, C=NAN)) == -1
    assert verdict(networks(A=1.5, B=-0.5)) == 1
    assert verdict(networks(A=0.5)) == 0
    assert verdict(networks(A=NAN)) is None


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
def test_verdicts_relate(before, now, name):
    assert relation(before, now) == name


def test_words_before_a_sentence_take_its_capital():
    part = Part("Network strength is high. It is.", "same", joins=True)
    assert part.after("likewise") == "Likewise, network strength is high. It is."
    assert part.after("") == part.text


def test_words_are_not_put_before_a_sentence_that_cannot_take_them():
    assert Part("fALFF: high.", "same", joins=False).after("likewise") == "fALFF: high."


@pytest.mark.parametrize("how", ["same", "opposite", "other"])
@pytest.mark.parametrize("phrasing", range(6))
def test_no_connecting_words_are_used_twice_in_a_row(how, phrasing):
    parts = [Part("A.", "first", joins=True), *[Part("B.", how, joins=True)] * 8]
    words = render_paragraph("ICA", parts, phrasing)[1:]
    opening = [sentence.text.split(",")[0] for sentence in words]
    assert all(a != b for a, b in pairwise(opening))


@pytest.mark.parametrize("domain", ["FC", "gradients", "ICA", "graph"])
def test_every_domain_has_opening_words_of_its_own(domain):
    parts = [Part("A.", "first", joins=True)]
    texts = {render_paragraph(domain, parts, i)[0].text for i in range(3)}
    assert len(texts) == 3
    assert all(text.endswith(", a.") for text in texts)
