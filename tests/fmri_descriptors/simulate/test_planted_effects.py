"""Raise one property of simulated scans: the right descriptors move, and their words say so.

Scans come in pairs that differ by the planted property alone (same signals, same noise), so what
moves is what it moves.
"""

import numpy as np
import pytest

from fmri_descriptors import CohortNorms, FeatureExtractor, FeatureSettings, Scan
from fmri_descriptors import describe as describe_scan
from fmri_descriptors.registry import DESCRIPTORS, row_columns
from fmri_descriptors.simulate import Site, simulate_cohort
from fmri_descriptors.text.wording import TYPICAL

N_TRAINING = 48
HELD_OUT = range(N_TRAINING, N_TRAINING + 6)
STRONG = 6.0  # standard deviations of a latent strength


@pytest.fixture(scope="module")
def cohort():
    site = Site(name="one", tr=2.0, n_frames=240, noise=0.2)
    return simulate_cohort(80, "schaefer100-7n", seed=0, effects=(), sites=[site])


@pytest.fixture(scope="module")
def model(cohort):
    training = cohort[:N_TRAINING]
    settings = FeatureSettings(louvain_runs=1, ica_components=12)
    extractor = FeatureExtractor(settings).fit(training)
    return extractor, CohortNorms().fit(extractor.transform(training))


@pytest.fixture(scope="module")
def z_scores(model):
    extractor, norms = model
    return lambda scans: norms.transform(extractor.transform(scans))


@pytest.fixture(scope="module")
def plain(cohort, z_scores):
    return z_scores([cohort[i] for i in HELD_OUT])


@pytest.fixture(scope="module")
def moved(cohort, z_scores, plain):
    """Mean change of every z-score when a latent strength is raised."""
    found = {}

    def change(latent, by=STRONG):
        if (latent, by) not in found:
            raised = z_scores([cohort.scan(i, {latent: by}) for i in HELD_OUT])
            found[latent, by] = (raised - plain).mean()
        return found[latent, by]

    return change


def moved_descriptors(change, parcellation, least):
    """Names of the descriptors of which some value moves by at least so much."""
    return {
        row.name
        for row in DESCRIPTORS
        if change[list(row_columns(row, parcellation))].abs().max() >= least
    }


def values_of(descriptors, name):
    descriptor = next(d for d in descriptors if d.name == name)
    return descriptor, {value.feature: value for value in descriptor.values}


SAYS = [
    ("segregation", "graph_modularity", "graph.modularity"),
    ("integration", "graph_global_efficiency", "graph.global_efficiency"),
    ("amplitude.Default Mode", "ica_amplitude", "ica.amplitude.Default Mode"),
    ("coupling.Visual", "fc_network_pairs", "fc.Visual-Visual"),
    ("pair.Visual-Default Mode", "fc_network_pairs", "fc.Visual-Default Mode"),
    ("pair.Visual-Default Mode", "ica_fnc", "ica.fnc.Visual-Default Mode"),
    ("gradient1", "gradient1_range", "gradient1.range"),
    ("gradient2", "gradient2_range", "gradient2.range"),
    ("gradient3", "gradient3_range", "gradient3.range"),
    ("slowness", "ica_overall_spectral_ratio", "ica.overall_spectral_ratio"),
]


@pytest.mark.parametrize(("by", "direction"), [(STRONG, "above"), (-STRONG, "below")])
@pytest.mark.parametrize(("latent", "name", "feature"), SAYS)
def test_the_text_says_what_was_planted(cohort, model, latent, name, feature, by, direction):
    """Of the held-out scans, the one that is most typical before anything is planted."""
    extractor, norms = model
    z = norms.transform(extractor.transform([cohort[i] for i in HELD_OUT]))[feature]
    index = HELD_OUT[int(np.argmin(np.abs(z.to_numpy())))]
    descriptors = describe_scan(cohort.scan(index, {latent: by}), extractor, norms)
    descriptor, values = values_of(descriptors, name)
    word = values[feature].level_word
    assert direction in word
    assert word in descriptor.text


@pytest.mark.parametrize(("latent", "name", "feature"), SAYS)
def test_raising_and_lowering_move_a_feature_in_opposite_directions(moved, latent, name, feature):
    assert moved(latent)[feature] > 0.8
    assert moved(latent, -STRONG)[feature] < -0.8


def test_one_networks_amplitude_moves_its_own_amplitude_and_the_overall_one_alone(moved):
    change = moved("amplitude.Default Mode").abs()
    assert set(change.index[change > 1e-6]) == {
        "ica.amplitude.Default Mode",
        "ica.overall_amplitude",
    }


def test_one_pairs_coupling_moves_that_pair_most_of_all_pairs(moved):
    change = moved("pair.Visual-Default Mode").abs()
    for stem in ("fc.", "ica.fnc."):
        assert change[change.index.str.startswith(stem)].idxmax() == f"{stem}Visual-Default Mode"


def test_one_networks_coupling_moves_its_own_connectivity_most(moved):
    assert moved("coupling.Visual").abs().idxmax() == "fc.Visual-Visual"


def test_one_networks_coupling_moves_its_own_strength_most_of_all_strengths(moved):
    change = moved("coupling.Visual").abs()
    strengths = change[change.index.str.startswith("graph.network_strength.")]
    assert strengths.idxmax() == "graph.network_strength.Visual"


def test_segregation_moves_modularity_up_and_efficiency_not_up(moved):
    change = moved("segregation")
    assert change["graph.modularity"] > 1
    assert change["graph.global_efficiency"] < 0.5


def test_integration_moves_efficiency_most_of_the_global_graph_measures(moved):
    change = moved("integration")
    graph = ["graph.global_efficiency", "graph.modularity", "graph.mean_clustering"]
    assert change[graph].idxmax() == "graph.global_efficiency"
    assert change["graph.modularity"] < 0


@pytest.mark.parametrize("number", [1, 2, 3])
def test_stretching_a_gradient_moves_its_own_range_most_of_the_three(moved, number):
    change = moved(f"gradient{number}")
    ranges = change[[f"gradient{k}.range" for k in (1, 2, 3)]]
    assert ranges.idxmax() == f"gradient{number}.range"


def test_slower_signals_move_spectral_descriptors_and_no_connectivity(moved, cohort):
    names = moved_descriptors(moved("slowness"), cohort.parcellation, least=1.5)
    assert {"ica_spectral_ratio", "ica_falff", "ica_overall_spectral_ratio"} <= names
    assert names <= {
        "ica_spectral_ratio",
        "ica_falff",
        "ica_overall_spectral_ratio",
        # Slower signals have fewer independent frames a window.
        "ica_variability",
        "ica_overall_variability",
    }


def phase_shuffled(scan, seed):
    """A surrogate with the scan's spectra and covariance (Prichard and Theiler 1994)."""
    mean = scan.timeseries.mean(axis=0)
    spectrum = np.fft.rfft(scan.timeseries - mean, axis=0)
    turn = np.random.default_rng(seed).uniform(0, 2 * np.pi, (len(spectrum), 1))
    turn[0] = turn[-1] = 0  # 0 Hz and, for even T, the last frequency are real
    series = np.fft.irfft(spectrum * np.exp(1j * turn), n=scan.n_frames, axis=0)
    return Scan(series + mean, scan.tr, scan.parcellation, scan.scan_id, scan.subject)


@pytest.fixture(scope="module")
def surrogate_z(cohort, z_scores):
    return z_scores([phase_shuffled(cohort[i], seed=i) for i in range(N_TRAINING, 80)])


def test_a_phase_shuffled_scan_reads_typical_as_often_as_it_should(surrogate_z):
    """For a normal feature 68.3 % of z-scores lie within 1; features of one scan go together.

    So the unit is the scan: 32 of them, and the bound is three standard errors of their mean,
    and 0.03 more as some features have heavier tails than the normal distribution.
    """
    share = (surrogate_z.abs() < 1).mean(axis=1)
    error = share.std() / np.sqrt(len(share))
    assert abs(share.mean() - 0.683) < 3 * error + 0.03


def test_a_phase_shuffled_scan_is_well_above_or_below_as_seldom_as_it_should(surrogate_z):
    share = (surrogate_z.abs() >= 2).mean(axis=1)
    assert abs(share.mean() - 0.0455) < 3 * share.std() / np.sqrt(len(share)) + 0.01


def test_the_words_of_phase_shuffled_scans_are_typical_as_often_as_the_z_scores(cohort, model):
    extractor, norms = model
    words = [
        value.level_word
        for i in HELD_OUT
        for descriptor in describe_scan(phase_shuffled(cohort[i], seed=i), extractor, norms)
        for value in descriptor.values
    ]
    assert 0.5 < np.mean([word == TYPICAL for word in words]) < 0.85


def test_shuffling_phases_leaves_connectivity_and_its_words_as_they_were(cohort, z_scores):
    scan = cohort[N_TRAINING]
    z = z_scores([scan]).iloc[0] - z_scores([phase_shuffled(scan, seed=0)]).iloc[0]
    kept = z[z.index.str.match(r"fc\.|graph\.global|graph\.mean|graph\.network|gradient")]
    assert kept.abs().max() < 1e-6
