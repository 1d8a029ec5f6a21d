"""The published template: where it fits, and the order of its regions."""

from pathlib import Path

import brainspace
import numpy as np
import pytest
from brainspace.datasets import load_group_fc

from fmri_descriptors import FeatureExtractor, FeatureSettings, InputError, Parcellation, Scan
from fmri_descriptors.features.gradients.template import gradient_template, schaefer400_connectivity

SETTINGS = FeatureSettings(gradient_template="schaefer400", ica_components=7, louvain_runs=1)


def _parcellation(name, n_regions):
    networks = [f"network{i * 7 // n_regions}" for i in range(n_regions)]
    return Parcellation(name, [f"r{i}" for i in range(n_regions)], networks, ["L"] * n_regions)


@pytest.fixture(scope="module")
def whole():
    return _parcellation("tian3-schaefer400-7n", 450)


@pytest.fixture(scope="module")
def scans(whole):
    """Noise with the covariance of the group connectome, below it 50 regions of their own."""
    root = np.linalg.cholesky(load_group_fc("schaefer", scale=400) + 0.3 * np.eye(400))
    rng = np.random.default_rng(0)
    series = [
        np.hstack([rng.standard_normal((160, 50)), rng.standard_normal((160, 400)) @ root.T])
        for _ in range(2)
    ]
    return [Scan(x, 2.0, whole, f"s{i}", f"s{i}") for i, x in enumerate(series)]


def test_the_connectome_fills_the_cortex_and_leaves_the_rest_empty(whole):
    connectivity = schaefer400_connectivity(whole)
    np.testing.assert_array_equal(connectivity[50:, 50:], load_group_fc("schaefer", scale=400))
    assert np.isnan(connectivity[:50]).all()


def test_a_template_of_the_cortex_is_the_same_with_and_without_subcortex(whole):
    cortex = gradient_template(np.empty(0), _parcellation("schaefer400-7n", 400), SETTINGS)
    np.testing.assert_array_equal(gradient_template(np.empty(0), whole, SETTINGS)[50:], cortex)


def test_the_connectome_is_in_seven_network_order():
    """Networks of the sizes of Schaefer et al. (2018), in that order, are its blocks.

    Edges within networks exceed those between by 0.165; with the same parcels in 17-network
    order they would by 0.095 only.
    """
    sizes = [31, 37, 23, 22, 13, 22, 52, 30, 40, 23, 25, 13, 30, 39]  # left, then right
    networks = np.repeat([*range(7), *range(7)], sizes)
    upper = np.triu_indices(400, 1)
    edges = load_group_fc("schaefer", scale=400)[upper]
    within = networks[upper[0]] == networks[upper[1]]
    assert edges[within].mean() - edges[~within].mean() == pytest.approx(0.165, abs=0.005)


def test_the_surface_numbers_the_left_hemisphere_first():
    folder = Path(brainspace.__file__).parent / "datasets" / "parcellations"
    labels = np.loadtxt(folder / "schaefer_400_conte69.csv", dtype=int)
    np.testing.assert_array_equal(np.unique(labels[:32492]), np.arange(201))


def test_every_region_of_a_scan_gets_a_gradient_aligned_to_the_template(whole, scans):
    extractor = FeatureExtractor(SETTINGS).fit(scans)
    features = extractor.transform(scans[:1])
    assert features.filter(like="gradient").notna().all(axis=None)
    assert np.isnan(extractor.template_[:50]).all()


def test_another_parcellation_is_refused_with_those_that_fit(aal2):
    with pytest.raises(
        InputError, match=r"'schaefer400' has no regions of 'aal2' \(94\); use scha"
    ):
        schaefer400_connectivity(aal2)


def test_an_unknown_template_is_refused():
    with pytest.raises(InputError, match="gradient_template: 'mni'; give 'cohort' or 'schaefer"):
        FeatureSettings(gradient_template="mni")
