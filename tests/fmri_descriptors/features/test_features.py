"""Connectivity, graph and spectra against other libraries and closed forms."""

import sys
import warnings

import networkx as nx
import numpy as np
import pytest
from nilearn.connectome import ConnectivityMeasure
from scipy import signal
from sklearn.covariance import EmpiricalCovariance

from fmri_descriptors import FeatureSettings, InputError, Scan
from fmri_descriptors.features.connectivity import correlation, fisher_z
from fmri_descriptors.features.graph.measures import (
    global_efficiency,
    graph_measures,
    load_bctpy,
    modularity,
    threshold,
)
from fmri_descriptors.features.networks import network_means, pair_means
from fmri_descriptors.features.spectra import (
    amplitude_spectrum,
    falff,
    spectral_ratio,
    windowed_variability,
)

DEFAULTS = FeatureSettings()


@pytest.fixture(scope="module")
def real(recordings):
    return recordings["102816"]


@pytest.fixture(scope="module")
def weights(real):
    return threshold(correlation(real), 0.15)


def test_correlation_equals_numpy_to_1e_12(real):
    np.testing.assert_allclose(correlation(real), np.corrcoef(real.timeseries.T), atol=1e-12)


def test_correlation_equals_nilearns_connectivity_measure_to_1e_10(real):
    measure = ConnectivityMeasure(
        cov_estimator=EmpiricalCovariance(), kind="correlation", standardize="zscore_sample"
    )
    [expected] = measure.fit_transform([real.timeseries])
    np.testing.assert_allclose(correlation(real), expected, atol=1e-10)


def test_the_unit_of_the_signal_leaves_connectivity_unchanged(real, aal2):
    scaled = Scan(real.timeseries * np.linspace(0.01, 100, 94) - 7, 0.72, aal2, "s", "s")
    np.testing.assert_allclose(correlation(scaled), correlation(real), atol=1e-10)


def test_correlation_of_masked_regions_is_nan_and_of_the_others_unchanged(real, aal2):
    series = real.timeseries.copy()
    series[:, 5] = 7.0
    r = correlation(Scan(series, 0.72, aal2, "s", "s"))
    others = np.delete(np.arange(94), 5)
    assert np.isnan(r[5]).all()
    assert np.isnan(r[:, 5]).all()
    np.testing.assert_array_equal(
        r[np.ix_(others, others)], correlation(real)[np.ix_(others, others)]
    )


def test_copied_columns_keep_fisher_z_finite():
    assert np.isfinite(fisher_z(np.array([1.0, -1.0]))).all()


def test_pair_means_equal_a_plain_loop(real, aal2):
    edges = correlation(real)
    edges[3] = edges[:, 3] = np.nan
    got = pair_means(edges, aal2.membership)
    for a, first in enumerate(aal2.membership):
        for b, second in enumerate(aal2.membership):
            pairs = [
                edges[i, j]
                for i in np.flatnonzero(first)
                for j in np.flatnonzero(second)
                if i != j and np.isfinite(edges[i, j])
            ]
            assert got[a, b] == pytest.approx(np.mean(pairs), abs=1e-12)


def test_a_network_without_usable_region_has_no_mean(aal2):
    values = np.ones(94)
    values[aal2.membership[2]] = np.nan
    means = network_means(values, aal2.membership)
    assert np.flatnonzero(np.isnan(means)).tolist() == [2]


def test_the_threshold_keeps_the_strongest_positive_edges(real):
    r = correlation(real)
    kept = threshold(r, 0.15)
    upper = np.triu_indices(94, 1)
    n_edges = round(0.15 * len(upper[0]))
    assert (kept[upper] > 0).sum() == n_edges
    assert kept[kept > 0].min() == np.sort(r[upper])[-n_edges]


def test_negative_edges_never_count_as_positive():
    r = np.array([[1.0, -0.9, 0.2], [-0.9, 1.0, 0.1], [0.2, 0.1, 1.0]])
    np.testing.assert_allclose(threshold(r, 1.0), [[0, 0, 0.2], [0, 0, 0.1], [0.2, 0.1, 0]])


def test_weights_lie_in_zero_to_one_with_a_zero_diagonal(weights):
    assert weights.min() == 0
    assert weights.max() <= 1
    assert not weights.diagonal().any()


def test_global_efficiency_equals_bctpy_to_1e_12(weights):
    assert global_efficiency(weights) == pytest.approx(
        load_bctpy().efficiency_wei(weights), abs=1e-12
    )


def test_global_efficiency_uses_the_weights(weights):
    assert global_efficiency(weights / 2) == pytest.approx(global_efficiency(weights) / 2)


def test_global_efficiency_counts_unconnected_pairs_as_zero():
    weights = np.zeros((4, 4))
    weights[0, 1] = weights[1, 0] = 0.5
    assert global_efficiency(weights) == pytest.approx(0.5 / 6)


def test_clustering_equals_networkx_up_to_its_normalisation_by_the_largest_weight(real, weights):
    graph = nx.from_numpy_array(weights)
    got = graph_measures(correlation(real), DEFAULTS, seed=0).mean_clustering
    assert got == pytest.approx(
        nx.average_clustering(graph, weight="weight") * weights.max(), abs=1e-10
    )


def test_network_strength_equals_bctpy(real, weights):
    got = graph_measures(correlation(real), DEFAULTS, seed=0).strength
    np.testing.assert_allclose(got, load_bctpy().strengths_und(weights), atol=1e-12)


def test_two_equal_cliques_have_modularity_one_half():
    block = np.ones((5, 5)) - np.eye(5)
    weights = np.kron(np.eye(2), block)
    assert modularity(weights, seed=0, runs=3) == pytest.approx(0.5)


def test_modularity_is_that_of_its_partition_and_at_least_the_networks_own(weights, aal2):
    own = [set(np.flatnonzero(row)) for row in aal2.membership]
    graph = nx.from_numpy_array(weights)
    assert modularity(weights, seed=0, runs=5) >= nx.community.modularity(graph, own)


def test_modularity_is_the_same_for_the_same_seed_and_never_falls_with_more_runs(weights):
    assert modularity(weights, 3, 2) == modularity(weights, 3, 2)
    assert modularity(weights, 3, 8) >= modularity(weights, 3, 2)


def test_a_graph_without_edges_has_no_modularity():
    assert np.isnan(modularity(np.zeros((4, 4)), 0, 1))


def test_bctpy_is_loaded_without_a_warning(monkeypatch, tmp_path):
    """Compiled anew, as on the day it was installed: that is when Python warns."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "bct"]:
        monkeypatch.delitem(sys.modules, name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = load_bctpy()
    assert (loaded.__name__, [str(warning.message) for warning in caught]) == ("bct", [])


@pytest.mark.parametrize("n_frames", [240, 241])
def test_the_spectrum_equals_scipys_periodogram(n_frames):
    x = np.random.default_rng(0).standard_normal((n_frames, 3)).cumsum(axis=0)
    frequencies, power = signal.periodogram(x, fs=1 / 0.72, detrend="linear", axis=0)
    got_frequencies, amplitudes = amplitude_spectrum(x, 0.72)
    np.testing.assert_allclose(got_frequencies, frequencies, atol=1e-12)
    scale = amplitudes[5] ** 2 / power[5]
    np.testing.assert_allclose(amplitudes[1:] ** 2, scale * power[1:], rtol=1e-9)


@pytest.mark.parametrize("scan_id", ["102816", "NAP_013"])
def test_falff_and_spectral_ratio_equal_scipy_at_the_scans_own_tr(recordings, scan_id):
    scan = recordings[scan_id]
    frequencies, power = signal.periodogram(
        scan.timeseries, fs=1 / scan.tr, detrend="linear", axis=0
    )

    def band(low, high):
        return (frequencies >= low) & (frequencies <= high + 1e-9)

    amplitude = np.sqrt(power)
    expected = amplitude[band(0.01, 0.08)].sum(axis=0) / amplitude[band(1e-9, 0.25)].sum(axis=0)
    np.testing.assert_allclose(falff(scan.timeseries, scan.tr, DEFAULTS), expected, rtol=1e-9)
    expected = power[band(1e-9, 0.1)].sum(axis=0) / power[band(0.15, 0.25)].sum(axis=0)
    np.testing.assert_allclose(
        spectral_ratio(scan.timeseries, scan.tr, DEFAULTS), expected, rtol=1e-9
    )


def _band_limited(tr, seconds=1440):
    """The same physical signal, a slow and a faster wave without trend, seen at a TR."""
    t = np.arange(0, seconds, tr)[:, None]
    return np.cos(2 * np.pi * 0.05 * t) + 0.3 * np.cos(2 * np.pi * 0.2 * t)


def test_the_same_signal_has_the_same_spectral_features_at_both_trs():
    slow, fast = _band_limited(2.0), _band_limited(0.72)
    assert falff(slow, 2.0, DEFAULTS)[0] == pytest.approx(1 / 1.3, rel=0.02)
    assert falff(fast, 0.72, DEFAULTS)[0] == pytest.approx(1 / 1.3, rel=0.02)
    assert spectral_ratio(slow, 2.0, DEFAULTS)[0] == pytest.approx(1 / 0.09, rel=0.02)
    assert spectral_ratio(fast, 0.72, DEFAULTS)[0] == pytest.approx(1 / 0.09, rel=0.02)


def test_a_wrong_tr_would_show():
    fast = _band_limited(0.72)
    assert falff(fast, 2.0, DEFAULTS)[0] != pytest.approx(1 / 1.3, rel=0.02)


def test_white_noise_has_the_band_widths_as_ratio():
    x = np.random.default_rng(0).standard_normal((1200, 200))
    assert falff(x, 0.72, DEFAULTS).mean() == pytest.approx(0.07 / 0.25, rel=0.02)
    assert spectral_ratio(x, 0.72, DEFAULTS).mean() == pytest.approx(1.0, rel=0.03)


def test_a_tr_of_two_seconds_shows_a_wave_at_its_nyquist_frequency():
    frames = np.arange(720)[:, None]
    at_nyquist = 0.3 * (-1.0) ** frames
    slow = np.cos(2 * np.pi * 0.05 * 2.0 * frames)
    rms = 1 / np.sqrt(2)  # of the slow wave
    assert falff(slow + at_nyquist, 2.0, DEFAULTS)[0] == pytest.approx(rms / (rms + 0.3), rel=0.02)


def test_a_steady_course_varies_less_than_one_that_swells():
    rng = np.random.default_rng(0)
    steady = rng.standard_normal((600, 1))
    swelling = steady * np.linspace(0.1, 2, 600)[:, None]
    variability = windowed_variability(np.hstack([steady, swelling]), 1.0, 60.0)
    assert variability[1] > 3 * variability[0]


def test_a_longer_scan_of_the_same_process_is_not_more_variable():
    """Noise in windows of 30 frames: a standard deviation varies by about 1 / sqrt(58)."""
    x = np.random.default_rng(0).standard_normal((1200, 400))
    expected = 1 / np.sqrt(2 * (30 - 1))
    for n_frames in (90, 119, 300, 1200):
        got = windowed_variability(x[:n_frames], 2.0, 60.0)
        assert np.sqrt((got**2).mean()) == pytest.approx(expected, rel=0.08)


def test_variability_does_not_depend_on_the_unit():
    x = np.random.default_rng(0).standard_normal((300, 2))
    np.testing.assert_allclose(
        windowed_variability(x, 2.0, 60.0), windowed_variability(50 * x, 2.0, 60.0)
    )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"graph_density": 0}, "graph_density: 0; give more than 0"),
        ({"gradient_sparsity": 1.0}, "gradient_sparsity: 1.0"),
        ({"gradient_components": 2}, "give at least 3"),
        ({"louvain_runs": 0}, "louvain_runs: 0; give at least 1"),
        ({"falff_high_hz": 0.3}, "give rising frequencies"),
        ({"ratio_split_hz": 0.2}, "give rising frequencies"),
        ({"window_seconds": 0}, "window_seconds: 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting, message):
    with pytest.raises(InputError, match=message):
        FeatureSettings(**setting)
