"""What a recording cannot show is left out with the reason, and the rest of it is measured."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.signal import butter, sosfiltfilt

from fmri_descriptors import FeatureExtractor, FeatureSettings, Parcellation, Scan
from fmri_descriptors.features.availability import (
    FILTERED,
    TOO_FEW_REGIONS,
    TOO_SHORT,
    TOO_SLOW,
    shown_bands,
    unavailable_spectra,
    why_missing,
)
from fmri_descriptors.features.filtering import was_filtered

DEFAULTS = FeatureSettings()
QUICK = FeatureSettings(louvain_runs=1)


def filtered(scan, low, high, order):
    """The scan after a Butterworth filter forth and back; None for an open end."""
    nyquist = 0.5 / scan.tr
    ends = [end / nyquist for end in (low, high) if end]
    kind = "bandpass" if low and high else "lowpass" if high else "highpass"
    sections = butter(order, ends if len(ends) == 2 else ends[0], kind, output="sos")
    return with_series(scan, sosfiltfilt(sections, scan.timeseries, axis=0))


def with_series(scan, series, tr=None):
    return Scan(series, tr or scan.tr, scan.parcellation, scan.scan_id, scan.subject)


def thinned(scan, step):
    """Every so many-th frame: the recording of a slower scanner, aliases included."""
    return with_series(scan, scan.timeseries[::step], scan.tr * step)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_no_real_recording_counts_as_filtered(recordings, step):
    """TR 0.72 to 6 s."""
    assert not any(was_filtered(thinned(scan, step)) for scan in recordings.values())


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize(
    "ends",
    [(0.01, 0.1), (0.008, 0.09), (0.009, 0.08), (0.02, 0.06), (None, 0.1), (None, 0.08)],
    ids=str,
)
def test_a_band_passed_or_low_passed_recording_is_recognised(recordings, ends, order):
    assert all(was_filtered(filtered(scan, *ends, order)) for scan in recordings.values())


@pytest.mark.parametrize("order", [1, 2, 4])
def test_a_high_pass_below_the_band_changes_nothing_and_one_within_it_is_recognised(
    recordings, order
):
    for scan in recordings.values():
        assert not was_filtered(filtered(scan, 0.008, None, order))
        assert was_filtered(filtered(scan, 0.08, None, max(order, 2)))


@pytest.mark.parametrize("tr", [1.0, 2.0, 2.5, 3.0])
def test_a_simulated_recording_is_told_from_its_filtered_self_at_any_tr(simulate, tr):
    scan = simulate(3, n_frames=200, tr=tr)
    assert not was_filtered(scan)
    assert was_filtered(filtered(scan, 0.01, 0.1, 2))


def test_regions_count_alike_whatever_their_amplitude(simulate):
    """One loud region that was not filtered does not hide that all others were."""
    scan = simulate(1)
    series = filtered(scan, 0.01, 0.1, 2).timeseries.copy()
    series[:, 0] *= 1000
    assert was_filtered(with_series(scan, series))


@pytest.fixture(scope="module")
def scans(simulate):
    return [simulate(seed, n_frames=150) for seed in range(4)]


@pytest.fixture(scope="module")
def extractor(scans):
    return FeatureExtractor(QUICK).fit(scans)


def spectral(columns):
    return [c for c in columns if "spectral_ratio" in c or "falff" in c]


def odd_scan(scan, kind):
    if kind == FILTERED:
        return filtered(scan, 0.01, 0.1, 2)
    if kind == TOO_SLOW:
        return with_series(scan, scan.timeseries, tr=5.0)
    return with_series(scan, scan.timeseries[:45])


@pytest.mark.parametrize("reason", [FILTERED, TOO_SLOW, TOO_SHORT])
def test_only_the_spectral_features_are_missing_and_the_reason_is_kept(extractor, scans, reason):
    odd = odd_scan(scans[0], reason)
    features = extractor.transform([odd, scans[1]])
    row = features.loc[odd.scan_id]
    assert set(row.index[row.isna()]) == set(spectral(row.index))
    assert features.loc[scans[1].scan_id].notna().all()
    reasons = features.attrs["reasons"]
    assert list(reasons) == [odd.scan_id]
    assert {why_missing(c, reasons[odd.scan_id]) for c in spectral(row.index)} == {reason}
    assert why_missing("ica.amplitude.Visual", reasons[odd.scan_id]) == ""


def test_a_slow_scan_among_the_training_scans_changes_no_band_of_the_others(scans):
    slow = with_series(scans[3], scans[3].timeseries, tr=5.0)
    fitted = FeatureExtractor(QUICK).fit([*scans[:3], slow])
    assert fitted.measured_with_ == QUICK
    assert fitted.transform([slow])[spectral(fitted.get_feature_names_out())].isna().all(axis=None)


@pytest.mark.parametrize(
    ("trs", "total", "high"),
    [
        ([2.0, 0.72], 0.25, 0.25),
        ([2.5, 2.2, 1.0], 0.2, 0.2),
        ([3.0, 2.0], 1 / 6, 0.25),
        ([3.0, 3.0], 1 / 6, 0.25),
        ([5.0, 2.0], 0.25, 0.25),
    ],
)
def test_bands_end_at_the_lowest_nyquist_frequency_that_is_high_enough(trs, total, high):
    shown = shown_bands(trs, DEFAULTS)
    assert (shown.falff_total_hz, shown.ratio_high_hz) == pytest.approx((total, high))


def test_a_cohort_of_tr_3_s_has_falff_and_says_why_it_has_no_spectral_ratio(simulate):
    scan = simulate(0, n_frames=150, tr=3.0)
    reasons = unavailable_spectra(scan, shown_bands([3.0], DEFAULTS))
    assert set(reasons) == {"ica.spectral_ratio", "ica.overall_spectral_ratio"}
    assert set(reasons.values()) == {TOO_SLOW}


def test_the_bands_of_the_training_scans_are_saved_with_the_extractor(simulate, tmp_path):
    scans = [simulate(seed, n_frames=150, tr=2.2) for seed in range(3)]
    fitted = FeatureExtractor(QUICK).fit(scans)
    fitted.save(tmp_path)
    loaded = FeatureExtractor.load(tmp_path)
    assert loaded.measured_with_.falff_total_hz == pytest.approx(0.5 / 2.2)
    assert loaded.settings == QUICK
    pd.testing.assert_frame_equal(loaded.transform(scans[:1]), fitted.transform(scans[:1]))


def test_a_scan_with_few_regions_keeps_its_connectivity(extractor, scans):
    series = scans[0].timeseries.copy()
    series[:, 11:] = np.nan
    scan = with_series(scans[0], series)
    features = extractor.transform([scan])
    assert np.isfinite(features.loc[scan.scan_id, "fc.Sensorimotor-Sensorimotor"])
    assert np.isfinite(features.loc[scan.scan_id, "graph.modularity"])
    lost = features.filter(regex=r"^(gradient|ica)")
    assert lost.isna().all(axis=None)
    reasons = features.attrs["reasons"][scan.scan_id]
    assert {why_missing(column, reasons) for column in lost} == {TOO_FEW_REGIONS}


EIGHT_COMPONENTS = FeatureSettings(louvain_runs=1, ica_components=8, gradient_components=3)


@pytest.fixture(scope="module")
def partly_silent():
    """Eighty regions in eight networks, of which the first seven have a course of their own.

    Without their mean over the regions, seven courses are six: one network goes without.
    """
    labels, names = [f"R{i}" for i in range(80)], [f"net {i // 10}" for i in range(80)]
    parcellation = Parcellation("eighty", labels, names, ["L"] * 80)
    rng = np.random.default_rng(0)
    outlines = parcellation.membership[:7].astype(float)

    def make(number):
        courses = rng.standard_normal((300, 7))
        series = courses @ outlines + 0.3 * rng.standard_normal((300, 80))
        return Scan(series, 2.0, parcellation, f"s{number}", f"s{number}")

    return [make(number) for number in range(6)]


def test_a_network_without_a_component_that_resembles_it_has_no_component_features(
    partly_silent, tmp_path
):
    fitted = FeatureExtractor(EIGHT_COMPONENTS).fit(partly_silent)
    features = fitted.transform(partly_silent)
    fitted.save(tmp_path)
    rows = json.loads((tmp_path / "extractor.json").read_text())["ica_components"]
    unused = [row["network"] for row in rows if not row["used"]]
    lost = [c for c in features if c.startswith("ica.") and any(name in c for name in unused)]
    assert features[lost].isna().all(axis=None)
    assert features.drop(columns=lost).notna().all(axis=None)
    assert set(fitted.reasons_) == set(lost)
    assert unused == [
        row["network"] for row in rows if row["overlap"] < 0.3 and row["energy_inside"] < 0.5
    ]
    assert len(unused) == 1
    assert sorted(row["energy_inside"] for row in rows)[2:] > [0.8] * 6


def test_where_no_component_reaches_a_threshold_the_rest_is_measured(partly_silent):
    settings = replace(EIGHT_COMPONENTS, ica_least_overlap=0.999, ica_least_energy=0.999)
    features = FeatureExtractor(settings).fit(partly_silent).transform(partly_silent)
    ica = [column for column in features if column.startswith("ica.")]
    assert features[ica].isna().all(axis=None)
    assert features.drop(columns=ica).notna().all(axis=None)
