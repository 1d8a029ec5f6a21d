"""Simulated cohorts: what is planted is there, and nothing depends on the cohort's size."""

import csv
import json
import math

import numpy as np
import pytest
from scipy.stats import norm

from fmri_descriptors import InputError, Parcellation, load_parcellation, open_source
from fmri_descriptors.simulate import (
    Effect,
    SimulateSettings,
    Site,
    best_possible,
    simulate_cohort,
    write_simulation,
)
from fmri_descriptors.simulate.cohort import bold_like
from fmri_descriptors.simulate.covariance import (
    block_covariance,
    group_connectome,
    group_covariance,
)
from fmri_descriptors.simulate.subjects import Mixing, draw_subject, latent_names

AMPLITUDE = Effect(kind="amplitude", networks=("Visual",), phenotype="diagnosis", size=2.0)
LONG = Site(name="long", tr=2.0, n_frames=4000, noise=0.0)


def seven_networks(n_cortical, n_before=0):
    """A parcellation with the name and size of a Schaefer one; the order is that of its name."""
    names = ["Subcortical"] * n_before + ["Cortical"] * n_cortical
    prefix = "tian3-" if n_before else ""
    n = len(names)
    return Parcellation(
        f"{prefix}schaefer{n_cortical}-7n", [f"r{i}" for i in range(n)], names, ["B"] * n
    )


def test_a_scan_is_the_same_in_a_cohort_of_any_size():
    few, many = simulate_cohort(3, "aal2", seed=4), simulate_cohort(300, "aal2", seed=4)
    assert (few[2].timeseries == many[2].timeseries).all()
    assert few.row(2) == many.row(2)


def test_another_seed_gives_other_scans():
    first, second = (simulate_cohort(1, "aal2", seed=seed)[0].timeseries for seed in (0, 1))
    assert first.shape != second.shape or not np.allclose(first, second)


def test_two_scans_of_a_subject_share_latents_and_not_signals():
    cohort = simulate_cohort(2, "aal2", scans_per_subject=2)
    assert [scan.scan_id for scan in cohort] == [
        "sub-00001_ses-1",
        "sub-00001_ses-2",
        "sub-00002_ses-1",
        "sub-00002_ses-2",
    ]
    assert cohort.subject_of(0) == cohort.subject_of(1)
    assert not np.allclose(cohort[0].timeseries, cohort[1].timeseries)


def test_scans_are_made_only_when_asked_for():
    cohort = simulate_cohort(1_000_000, "aal2")
    scans = iter(cohort)
    assert next(scans).subject == "sub-00001"
    assert cohort[-1].subject == "sub-1000000"


def test_the_covariance_of_a_long_scan_is_that_of_its_subject(aal2):
    cohort = simulate_cohort(1, aal2, sites=[LONG])
    loadings = Mixing(aal2).loadings(cohort.subject_of(0).latents)
    found = np.corrcoef(cohort[0].timeseries.T)
    # 8000 s of signal below 0.1 Hz hold some 800 independent samples: a standard error of 0.035.
    assert np.abs(found - loadings @ loadings.T).mean() < 0.04


def test_shifting_one_amplitude_scales_that_network_alone(aal2):
    cohort = simulate_cohort(1, aal2)
    plain, louder = cohort.scan(0), cohort.scan(0, {"amplitude.Visual": 2.0})
    ratio = louder.timeseries.std(axis=0) / plain.timeseries.std(axis=0)
    visual = aal2.membership[aal2.network_names.index("Visual")]
    np.testing.assert_allclose(ratio[visual], math.exp(0.5))
    np.testing.assert_allclose(ratio[~visual], 1)


def test_latents_differ_between_the_classes_by_the_stated_size(aal2):
    """With 2000 subjects the standard error of d is 0.05."""
    subjects = [draw_subject(i, 0, aal2, [AMPLITUDE], 1) for i in range(2000)]
    latent = np.array([subject.latents["amplitude.Visual"] for subject in subjects])
    patient = np.array([s.phenotypes["diagnosis"] == "patient" for s in subjects])
    assert latent[patient].mean() - latent[~patient].mean() == pytest.approx(2.0, abs=0.15)
    assert latent[patient].std() == pytest.approx(1.0, abs=0.1)
    # The best classifier of the latent is the sign: its accuracy is Phi(d / 2).
    assert ((latent > 0) == patient).mean() == pytest.approx(norm.cdf(1.0), abs=0.03)


def test_latents_correlate_with_age_as_stated(aal2):
    effect = Effect(kind="integration", phenotype="age", size=-0.7)
    subjects = [draw_subject(i, 0, aal2, [effect], 1) for i in range(2000)]
    latent = [subject.latents["integration"] for subject in subjects]
    age = [subject.phenotypes["age"] for subject in subjects]
    assert np.corrcoef(latent, age)[0, 1] == pytest.approx(-0.7, abs=0.04)
    assert np.std(latent) == pytest.approx(1.0, abs=0.05)


def test_an_effect_on_one_phenotype_leaves_the_others_independent(aal2):
    subjects = [draw_subject(i, 0, aal2, [AMPLITUDE], 1) for i in range(2000)]
    latent = [subject.latents["amplitude.Visual"] for subject in subjects]
    male = [subject.phenotypes["sex"] == "male" for subject in subjects]
    assert abs(np.corrcoef(latent, male)[0, 1]) < 0.08


def test_the_best_score_of_two_effects_is_that_of_their_joint_distance():
    pair = Effect(kind="pair", networks=("A", "B"), phenotype="diagnosis", size=1.5)
    best = best_possible([AMPLITUDE, pair], "diagnosis")
    assert best.size == pytest.approx(2.5)
    assert best.scores["balanced_accuracy"] == pytest.approx(norm.cdf(1.25))
    assert best.scores["auc"] == pytest.approx(norm.cdf(2.5 / math.sqrt(2)))


def test_the_best_score_without_an_effect_is_chance():
    assert best_possible([AMPLITUDE], "sex").scores == {"balanced_accuracy": 0.5, "auc": 0.5}
    assert best_possible([AMPLITUDE], "age").scores == {"r2": 0.0}


def test_the_best_r2_of_one_correlation_is_its_square():
    effect = Effect(kind="integration", phenotype="age", size=0.6)
    assert best_possible([effect], "age").scores["r2"] == pytest.approx(0.36)


@pytest.mark.parametrize("tr", [0.72, 2.0])
def test_the_spectrum_falls_like_one_over_f_below_the_corner(tr):
    series = bold_like(np.random.default_rng(0).standard_normal((6000, 40)), tr, 0.1)
    power = (np.abs(np.fft.rfft(series, axis=0)) ** 2).mean(axis=1)
    frequencies = np.fft.rfftfreq(6000, tr)
    low, high, beyond = (
        power[(frequencies > a) & (frequencies < b)].mean()
        for a, b in ((0.019, 0.021), (0.038, 0.042), (0.2, 0.25))
    )
    # f / (f^2 + 0.008^2) / (1 + (f / 0.1)^2) at 0.02 and 0.04 Hz.
    assert low / high == pytest.approx(2.002, rel=0.15)
    assert beyond < 0.05 * low
    assert series.std() == pytest.approx(1, abs=0.02)


def test_a_schaefer_parcellation_starts_from_the_connectome_of_brainspace():
    measured = group_covariance(seven_networks(100))
    assert (measured == group_connectome(100)).all()
    assert np.linalg.eigvalsh(measured)[0] > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("scale", [100, 400])
def test_the_group_connectome_is_that_which_brainspace_loads(scale):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from brainspace.datasets import load_group_fc
    assert (group_connectome(scale) == load_group_fc("schaefer", scale=scale)).all()


def test_subcortex_before_a_measured_cortex_stays_a_correlation_matrix():
    covariance = group_covariance(seven_networks(100, n_before=20))
    np.testing.assert_allclose(covariance.diagonal(), 1)
    assert (covariance[20:, 20:] == group_connectome(100)).all()
    assert np.linalg.eigvalsh(covariance)[0] > 0.05


def test_blocks_couple_most_within_a_network_and_less_the_further_apart():
    r = block_covariance(("a", "a", "b", "c"))[0]
    assert r[1] > r[2] > r[3] > 0


def test_latents_are_named_once_each(aal2):
    names = latent_names(aal2)
    # Nine amplitudes, nine couplings, 36 pairs and six of the whole brain.
    assert len(names) == len(set(names)) == 60


def test_the_written_table_is_read_as_the_same_scans(tmp_path, aal2):
    settings = SimulateSettings(n_subjects=3, effects=(AMPLITUDE,))
    write_simulation(tmp_path, settings, seed=5)
    cohort = simulate_cohort(3, aal2, seed=5, effects=[AMPLITUDE])
    for recording, scan, row in zip(
        open_source(str(tmp_path / "scans.tsv")).recordings,
        cohort,
        map(cohort.row, range(3)),
        strict=True,
    ):
        read = recording.scan(aal2)
        assert (read.scan_id, read.tr, read.site) == (scan.scan_id, scan.tr, scan.site)
        np.testing.assert_allclose(read.timeseries, scan.timeseries, rtol=1e-6)
        assert dict(recording.phenotypes) == {k: row[k] for k in ("sex", "diagnosis", "age")}


def test_the_written_latents_are_those_planted(tmp_path):
    write_simulation(tmp_path, SimulateSettings(n_subjects=2, effects=(AMPLITUDE,)), seed=5)
    cohort = simulate_cohort(2, "aal2", seed=5, effects=[AMPLITUDE])
    rows = csv.DictReader((tmp_path / "latents.tsv").read_text().splitlines(), delimiter="\t")
    assert [float(row["amplitude.Visual"]) for row in rows] == [
        cohort.subject_of(i).latents["amplitude.Visual"] for i in range(2)
    ]


def test_the_best_possible_score_is_told_and_written(tmp_path):
    told = write_simulation(tmp_path, SimulateSettings(n_subjects=1, effects=(AMPLITUDE,)))
    assert "diagnosis balanced accuracy 0.841, auc 0.921" in told
    document = json.loads((tmp_path / "simulation.json").read_text())
    assert document["best_possible"]["diagnosis"]["auc"] == pytest.approx(norm.cdf(math.sqrt(2)))


def test_an_interrupted_simulation_ends_with_the_same_bytes(tmp_path, tree):
    settings = SimulateSettings(n_subjects=4)
    for name in ("whole", "resumed"):
        (tmp_path / name).mkdir()
    write_simulation(tmp_path / "whole", settings)
    stopped = StopIteration()

    def stop(done, _):
        raise stopped

    with pytest.raises(StopIteration):
        write_simulation(tmp_path / "resumed", settings, progress=stop)
    (tmp_path / "resumed/series/sub-00002_ses-1.npy").unlink()
    write_simulation(tmp_path / "resumed", settings)
    assert tree(tmp_path / "resumed") == tree(tmp_path / "whole")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "speed"}, "kind: 'speed'; give one of amplitude"),
        ({"phenotype": "height"}, "phenotype: 'height'"),
        ({"networks": ()}, "name 1 of them"),
        ({"kind": "pair", "networks": ("A", "A")}, "name 2 of them, each once"),
        ({"phenotype": "age", "size": 1.0}, "a correlation between -1 and 1"),
        ({"size": float("nan")}, "a finite number"),
    ],
)
def test_an_effect_that_makes_no_sense_is_refused_in_one_line(values, message):
    whole = {"kind": "amplitude", "networks": ("A",), "phenotype": "diagnosis", "size": 1.0}
    with pytest.raises(InputError, match=message) as caught:
        Effect(**whole | values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_subjects": 0}, "n_subjects: 0; give at least 1"),
        ({"sites": ()}, r"sites: \(\); give at least 1"),
        ({"sites": (LONG, LONG)}, "sites: long occurs 2 times"),
        ({"effects": (AMPLITUDE, AMPLITUDE)}, r"effects: amplitude\.Visual occurs 2 times"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        SimulateSettings(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tr": 0.0}, "tr: 0.0; give more than 0"),
        ({"n_frames": 5}, "at least 16"),
        ({"noise": 1.0}, "noise"),
    ],
)
def test_a_site_that_makes_no_sense_is_refused(values, message):
    with pytest.raises(InputError, match=message):
        Site(**{"name": "s", "tr": 2.0, "n_frames": 100, "noise": 0.1} | values)


def test_an_effect_on_a_network_that_is_not_there_names_those_that_are():
    effect = Effect(kind="amplitude", networks=("Limbic",), phenotype="sex", size=1)
    with pytest.raises(InputError, match="'Limbic' is not in parcellation 'aal2'; give one of"):
        simulate_cohort(1, "aal2", effects=[effect])


def test_a_shift_of_an_unknown_latent_is_refused():
    with pytest.raises(InputError, match="'loudness' is no latent strength"):
        simulate_cohort(1, "aal2").scan(0, {"loudness": 1})


def test_a_cut_parcellation_with_the_name_of_a_whole_one_is_refused():
    part = Parcellation("schaefer400-7n", ["a", "b"], ["A", "A"], ["L", "R"])
    with pytest.raises(InputError, match="2 regions, but its name says 400"):
        group_covariance(part)


@pytest.mark.parametrize("name", ["schaefer100-7n", "schaefer400-7n"])
def test_the_group_connectome_is_in_the_order_of_the_parcellation(name):
    """Regions of one network are more alike; in another order of the networks less so."""
    regions = load_parcellation(name)
    covariance = group_covariance(regions)

    def contrast(networks):
        same = networks[:, None] == networks
        np.fill_diagonal(same, val=False)
        other = networks[:, None] != networks
        return covariance[same].mean() - covariance[other].mean()

    networks = np.asarray(regions.networks)
    shifted = [contrast(np.roll(networks, by)) for by in range(3, len(networks) - 3, 3)]
    assert contrast(networks) > max(shifted)


def test_the_default_parcellation_of_450_regions_can_be_simulated():
    scan = simulate_cohort(1, "tian3-schaefer400-7n")[0]
    assert scan.timeseries.shape[1] == 450
    assert scan.mask.all()
