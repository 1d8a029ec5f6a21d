"""No sentence has a word of another quantity: nouns, kinds of edges and frequencies are held.

The table below is written from the definitions of the descriptors, and knows no template: for each
descriptor the words that only it may use, and those without which a sentence does not name it.
"""

import re

import pytest

from fmri_descriptors.registry import DESCRIPTORS, ORDINALS
from fmri_descriptors.text.render import EDGES, render_descriptor
from fmri_descriptors.text.templating import package_templates
from fmri_descriptors.text.values import FeatureValue, select_patterns


def words_in(text):
    """Words of a text; of "typical range" neither, as it stands in every sentence."""
    return set(re.findall(r"[a-z]+", text.lower().replace("typical range", "")))


COMMON = words_in(
    "a all among an and are as at below above by centre closest cohort comes edge for from "
    "furthest has have in is it its less lies more of one so takes than that the these this to "
    "value values "
    "well which whole with within z connections network networks between nine eight seven six "
    "five four three two thirty s"
)


def _whole(needed):
    """What a sentence about the mean over the networks needs besides."""
    phrases = ("overall", "averaged over the networks", "as a whole")
    return ",".join(f"{phrase}|{needed}" for phrase in phrases)


CONNECTIVITY = "connectivity mean fisher functional"
SPREAD = {
    "values": ("gradient value position along connectivity diffusion units", "{} gradient"),
    "range": ("gradient ends end range diffusion units", "range|{} gradient"),
    "variance": (
        "gradient variance regions spread along across squared diffusion units",
        "variance|{} gradient",
    ),
}
WORDS = {
    "fc_network_pairs": (CONNECTIVITY, "connectivity"),
    "fc_patterns": (
        f"{CONNECTIVITY} extremes highest lowest scan found ranked first last are",
        "connectivity",
    ),
    **{
        f"gradient{number}_{name}": (f"{words} {ordinal}", needed.format(ordinal))
        for number, ordinal in enumerate(ORDINALS, start=1)
        for name, (words, needed) in SPREAD.items()
    },
    "ica_amplitude": ("component components amplitude units recording are", "amplitude"),
    "ica_variability": (
        "component components variability over time coefficient variation are",
        "variability|over time",
    ),
    "ica_spectral_ratio": (
        "spectral ratio slow fast power components are",
        "ratio of slow to fast power,spectral ratio of components",
    ),
    "ica_fnc": (
        "functional connectivity fnc coupling components fisher are",
        "functional network connectivity,coupling of the components",
    ),
    "ica_falff": (
        "falff fractional alff share slow fluctuations amplitude are",
        "alff,share of slow fluctuations",
    ),
    "ica_overall_amplitude": (
        "overall averaged over component components amplitude units recording an",
        _whole("amplitude|units of the recording"),
    ),
    "ica_overall_variability": (
        "overall averaged over components variability time coefficient variation",
        _whole("variability|over time"),
    ),
    "ica_overall_spectral_ratio": (
        "overall averaged over components spectral ratio slow fast power",
        _whole("spectral ratio|slow to fast") + ",as a whole|spectral ratio",
    ),
    "graph_network_strength": (
        "strength sum r over positive connections are",
        "strength|positive connections",
    ),
    "graph_modularity": (
        "modularity connectome divides into communities separation measured",
        "modularity",
    ),
    "graph_global_efficiency": (
        "global efficiency paths regions give connectome",
        "global efficiency",
    ),
    "graph_mean_clustering": (
        "average averaged clustering coefficient neighbouring regions cluster over",
        "cluster|coefficient",
    ),
}
NAMES = [f"Q{letter}" for letter in "abcdefghi"]
SPREADS = ([0.1] * 9, [2.5, 1.5, 0.5, -1.5, -2.5, 0.0, 0.3, -0.2, 0.9])


def places(row):
    if row.kind == "value":
        return [()]
    if row.kind == "networks":
        return [(name,) for name in NAMES]
    return [(NAMES[0], name) for name in NAMES[1:]]


def sentences(row, negative_edges="drop"):
    """Every sentence of every phrasing, where all is typical and where all words occur."""
    for zs in SPREADS:
        values = [
            FeatureValue(f"x.{i}", 0.5 - i / 10, z, place, row.unit)
            for i, (z, place) in enumerate(zip(zs, places(row), strict=False))
        ]
        chosen = select_patterns(values) if row.kind == "patterns" else values
        for phrasing in range(package_templates().n_phrasings(row.name)):
            yield from render_descriptor(row, chosen, phrasing, negative_edges=negative_edges)


@pytest.mark.parametrize("row", DESCRIPTORS, ids=lambda row: row.name)
def test_no_sentence_has_a_word_that_its_quantity_does_not_allow(row):
    allowed = COMMON | set(WORDS[row.name][0].split())
    for sentence in sentences(row):
        assert words_in(re.sub(r"\bQ[a-i]\b", "", sentence)) <= allowed, sentence


@pytest.mark.parametrize("row", DESCRIPTORS, ids=lambda row: row.name)
def test_every_sentence_names_its_quantity(row):
    """Commas part alternatives, and bars part what must all be there."""
    alternatives = [option.split("|") for option in WORDS[row.name][1].split(",")]
    for sentence in sentences(row):
        text = sentence.lower().replace("typical range", "")
        assert any(all(words in text for words in option) for option in alternatives), sentence


@pytest.mark.parametrize("negative_edges", EDGES)
def test_only_graph_sentences_about_negative_edges_speak_of_them(negative_edges):
    spoken = {
        row.name
        for row in DESCRIPTORS
        if any(
            "negative" in text or "either sign" in text for text in sentences(row, negative_edges)
        )
    }
    signed = {"graph_network_strength", "graph_modularity", "graph_mean_clustering"}
    assert spoken == (set() if negative_edges == "drop" else signed)
