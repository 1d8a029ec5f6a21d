"""Plant an effect in a scan, and read its direction back from the text."""

import re

import numpy as np
import pytest

from fmri_descriptors import CohortNorms, FeatureExtractor, describe
from fmri_descriptors.text.wording import LEVEL_WORDS, TYPICAL, UNKNOWN


@pytest.fixture(scope="module")
def model(simulate):
    training = [simulate(seed, network=0.6) for seed in range(12)]
    extractor = FeatureExtractor().fit(training)
    return extractor, CohortNorms().fit(extractor.transform(training))


@pytest.fixture(scope="module")
def texts(model):
    """Texts of a scan by descriptor name."""

    def read(scan):
        return {d.name: d.text for d in describe(scan, *model)}

    return read


def words_for(text, networks, numbers=r"\("):
    """The words of the first sentence that gives numbers of a network or pair."""
    place = re.compile(rf"{' and '.join(networks)}(?: networks?)? {numbers}")
    sentence = next(s for s in text.split(". ") if place.search(s)).lower()
    return next(
        words for words in (*LEVEL_WORDS[:1], LEVEL_WORDS[4], *LEVEL_WORDS) if words in sentence
    )


def test_raising_modularity_makes_the_text_say_above(texts, simulate):
    assert "above the typical range" in texts(simulate(50, network=1.2))["graph_modularity"]


def test_lowering_modularity_makes_the_text_say_below(texts, simulate):
    assert "below the typical range" in texts(simulate(50, network=0.3))["graph_modularity"]


def test_raising_what_all_regions_share_makes_the_graph_more_efficient(texts, simulate):
    read = texts(simulate(51, network=0.6, common=1.5))
    assert "well above the typical range" in read["graph_global_efficiency"]


def test_raising_what_all_regions_share_raises_connectivity_between_systems(texts, simulate):
    read = texts(simulate(51, network=0.6, common=1.5))
    assert "well above the typical range" in read["fc_network_pairs"].split(". ")[0]


@pytest.mark.parametrize(("factor", "direction"), [(3.0, "above"), (0.3, "below")])
def test_one_systems_amplitude_moves_its_own_sentence(texts, simulate, factor, direction):
    text = texts(simulate(52, network=0.6, gain={"Temporal": factor}))["ica_amplitude"]
    assert words_for(text, ["Temporal"]) == f"well {direction} the typical range"


def test_one_systems_amplitude_moves_no_other_feature(model, simulate):
    extractor, norms = model
    plain, louder = (
        norms.transform(extractor.transform([scan])).iloc[0]
        for scan in (
            simulate(52, network=0.6),
            simulate(52, network=0.6, gain={"Temporal": 3.0}),
        )
    )
    moved = set(plain.index[np.abs(louder - plain) > 1e-6])
    assert moved == {"ica.amplitude.Temporal", "ica.overall_amplitude"}


def test_coupling_a_pair_raises_that_pair_and_says_so(texts, simulate):
    text = texts(simulate(53, network=0.6, couple=("Visual", "Parietal")))["fc_network_pairs"]
    assert "above" in words_for(text, ["Visual", "Parietal"])


def test_coupling_a_pair_raises_its_network_connectivity(model, simulate):
    extractor, norms = model
    z = norms.transform(
        extractor.transform([simulate(53, network=0.6, couple=("Visual", "Parietal"))])
    ).iloc[0]
    assert z["ica.fnc.Visual-Parietal"] > 2


def test_stronger_networks_widen_the_first_gradient(model, simulate):
    extractor, norms = model
    z = norms.transform(extractor.transform([simulate(54, network=1.2)])).iloc[0]
    assert z["gradient1.range"] > 1


def test_slower_courses_raise_falff(model, simulate, aal2):
    from fmri_descriptors import Scan

    extractor, norms = model
    scan = simulate(55, network=0.6)
    averaged = scan.timeseries[1:] + 0.5 * scan.timeseries[:-1]
    slow = Scan(averaged, 2.0, aal2, "slow", "slow")
    z = norms.transform(extractor.transform([slow])).iloc[0]
    assert (z[z.index.str.startswith("ica.falff.")].dropna() > 2).all()


def test_the_same_kind_of_scan_reads_mostly_within_range(model, simulate):
    """Of a normal cohort's z-scores, 68 % lie within 1; few training scans widen the rest."""
    extractor, norms = model
    z = norms.transform(extractor.transform([simulate(s, network=0.6) for s in range(60, 66)]))
    assert 0.5 < (z.abs() < 1).to_numpy().mean() < 0.85


def test_every_number_and_word_in_a_text_belongs_to_a_value(model, simulate):
    """The words beside a value are those of its z, in every descriptor."""
    from fmri_descriptors.text.wording import number, z_number

    for descriptor in describe(simulate(56, network=0.9), *model):
        for value in descriptor.values:
            shown = re.escape(f"({number(value.value)}, z {z_number(value.z)})")
            networks = list(dict.fromkeys(value.networks))
            listed = rf"{' and '.join(networks)}(?: networks?)? {shown}"
            if networks and re.search(listed, descriptor.text) and descriptor.name != "fc_patterns":
                assert words_for(descriptor.text, networks, shown) == value.level_word


def test_a_masked_system_is_called_not_available(texts, simulate, aal2):
    from fmri_descriptors import Scan

    series = simulate(57, network=0.6).timeseries.copy()
    series[:, aal2.membership[aal2.network_names.index("Visual")]] = np.nan
    read = texts(Scan(series, 2.0, aal2, "m", "m"))
    assert "not available in the Visual network" in read["graph_network_strength"]
    assert "not available for nine network connections" in read["fc_network_pairs"]
    assert TYPICAL != UNKNOWN


@pytest.mark.parametrize("treatment", ["drop", "negative_sym", "negative_asym"])
def test_raising_modularity_shows_however_negative_edges_are_treated(simulate, treatment):
    from fmri_descriptors import FeatureSettings

    settings = FeatureSettings(negative_edges=treatment)
    extractor = FeatureExtractor(settings).fit([simulate(seed, network=0.6) for seed in range(3)])
    weak, strong = (
        extractor.transform([simulate(70, network=weight)])["graph.modularity"].item()
        for weight in (0.4, 1.2)
    )
    assert strong > weak + 0.05
