"""Graph measures against bctpy, closed forms and invariances, with and without negative edges."""

import numpy as np
import pytest

from fmri_descriptors import FeatureSettings, InputError
from fmri_descriptors.features.connectivity import correlation
from fmri_descriptors.features.graph.louvain import louvain, objective
from fmri_descriptors.features.graph.measures import (
    clustering,
    global_efficiency,
    graph_measures,
    load_bctpy,
    modularity,
    signed_clustering,
    strength,
    threshold,
)

TREATMENTS = ("drop", "absolute", "negative_sym", "negative_asym")


@pytest.fixture(scope="module")
def bct():
    return load_bctpy()


def _random_correlation(seed, n_regions=40, n_frames=60):
    rng = np.random.default_rng(seed)
    series = rng.standard_normal((n_frames, n_regions)) + rng.standard_normal((n_frames, 4)) @ (
        rng.standard_normal((4, n_regions))
    )
    return np.corrcoef(series.T)


@pytest.fixture(scope="module", params=range(8))
def signed(request):
    return threshold(_random_correlation(request.param), 0.3, "negative_asym")


@pytest.fixture(scope="module")
def real(recordings):
    return correlation(recordings["NAP_001"])


def test_clustering_equals_bctpy_to_1e_12(signed, bct):
    weights = np.maximum(signed, 0)
    np.testing.assert_allclose(clustering(weights), bct.clustering_coef_wu(weights), atol=1e-12)


def test_signed_clustering_equals_bctpys_triple_loop_to_1e_12(bct):
    weights = threshold(_random_correlation(0, n_regions=25), 0.4, "negative_asym")
    expected = bct.clustering_coef_wu_sign(weights.copy(), "costantini")
    np.testing.assert_allclose(signed_clustering(weights), expected, atol=1e-12)


def test_a_triangle_with_one_negative_edge_counts_as_negative():
    weights = np.array([[0, 0.5, 0.5], [0.5, 0, -0.5], [0.5, -0.5, 0]])
    np.testing.assert_allclose(signed_clustering(weights), -0.5)


def test_efficiency_equals_bctpy_to_1e_12(signed, bct):
    weights = np.maximum(signed, 0)
    assert global_efficiency(weights) == pytest.approx(bct.efficiency_wei(weights), abs=1e-12)


def test_symmetric_strength_is_the_sum_of_bctpys_signed_strengths(signed, bct):
    positive, negative, _, _ = bct.strengths_und_sign(signed)
    np.testing.assert_allclose(strength(signed, symmetric=True), positive + negative, atol=1e-12)


def test_asymmetric_strength_weighs_negative_edges_by_their_share(signed, bct):
    positive, negative, _, _ = bct.strengths_und_sign(signed)
    total = np.maximum(positive - negative, 1e-300)  # a region without edges has strength 0
    expected = positive - negative**2 / total
    np.testing.assert_allclose(strength(signed), expected, atol=1e-12)


def test_louvain_finds_bctpys_communities_for_the_same_seed(signed, bct):
    weights = np.maximum(signed, 0)
    for seed in range(5):
        expected, quality = bct.community_louvain(weights, seed=seed)
        found, found_quality = louvain(objective(weights), seed)
        np.testing.assert_array_equal(found, np.unique(expected, return_inverse=True)[1])
        assert found_quality == pytest.approx(quality, abs=1e-12)


@pytest.mark.parametrize("treatment", ["negative_sym", "negative_asym"])
def test_signed_modularity_equals_bctpys_for_the_same_seeds(signed, bct, treatment):
    theirs = max(bct.community_louvain(signed, B=treatment, seed=seed)[1] for seed in range(5))
    found = modularity(signed, 0, 5, symmetric=treatment == "negative_sym")
    assert found == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize(("symmetric", "theirs"), [(False, "sta"), (True, "gja")])
def test_signed_quality_of_a_partition_equals_bctpys(signed, bct, symmetric, theirs):
    communities, quality = louvain(objective(signed, symmetric=symmetric), 0)
    expected = bct.modularity_und_sign(signed, communities + 1, theirs)[1]
    assert quality == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_the_treatment_decides_which_edges_stay_and_with_which_sign(real, treatment):
    kept = threshold(real, 0.15, treatment)
    upper = np.triu_indices(94, 1)
    sizes = real[upper] if treatment == "drop" else np.abs(real[upper])
    strongest = sizes >= np.sort(sizes)[-round(0.15 * len(sizes))]
    expected = np.where(treatment.startswith("negative"), real[upper], sizes)
    np.testing.assert_array_equal(kept[upper], np.where(strongest, expected, 0))


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_the_order_of_the_regions_changes_no_graph_measure(real, treatment):
    settings = FeatureSettings(negative_edges=treatment, louvain_runs=20)
    order = np.random.default_rng(0).permutation(94)
    here = graph_measures(real, settings, 0)
    there = graph_measures(real[np.ix_(order, order)], settings, 0)
    np.testing.assert_allclose(there.strength, here.strength[order], atol=1e-12)
    assert there.global_efficiency == pytest.approx(here.global_efficiency, abs=1e-12)
    assert there.mean_clustering == pytest.approx(here.mean_clustering, abs=1e-12)
    assert there.modularity == pytest.approx(here.modularity, abs=0.01)


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_without_negative_correlations_all_strengths_and_modularities_agree(treatment):
    r = np.abs(_random_correlation(3))
    plain = graph_measures(r, FeatureSettings(), 0)
    found = graph_measures(r, FeatureSettings(negative_edges=treatment), 0)
    np.testing.assert_array_equal(found.strength, plain.strength)
    assert found.modularity == plain.modularity


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_a_masked_region_is_no_node_of_the_graph(real, treatment):
    settings = FeatureSettings(negative_edges=treatment)
    masked = real.copy()
    masked[4] = masked[:, 4] = np.nan
    others = np.delete(np.arange(94), 4)
    found = graph_measures(masked, settings, 0)
    expected = graph_measures(real[np.ix_(others, others)], settings, 0)
    assert np.isnan(found.strength[4])
    np.testing.assert_array_equal(found.strength[others], expected.strength)
    assert found.mean_clustering == expected.mean_clustering


def test_a_graph_of_negative_edges_only_has_no_modularity():
    assert np.isnan(modularity(np.eye(4) - 1, 0, 1))


def test_two_rivals_have_signed_modularity_one():
    """Asymmetric: Q+ = 1/2, and s = 1/2 of Q- = -1/2 comes off."""
    block = np.kron(np.eye(2), np.ones((5, 5)))
    weights = np.where(block > 0, 1.0, -1.0) - np.eye(10)
    share = 50 / 90
    assert modularity(weights, 0, 3) == pytest.approx(0.5 + share * 0.5)
    assert modularity(weights, 0, 3, symmetric=True) == pytest.approx(0.5)


def test_an_unknown_treatment_is_refused_by_name():
    with pytest.raises(InputError, match="negative_edges: 'keep'; give 'drop', 'absolute'"):
        FeatureSettings(negative_edges="keep")
