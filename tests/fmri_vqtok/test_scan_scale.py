"""What normalisation takes out of a scan."""

import json

import numpy as np
import pytest

from fmri_vqtok.errors import InputError
from fmri_vqtok.processor import TimeSeriesProcessor
from fmri_vqtok.scan_scale import N_BANDS

TR = 2.0


def noise(seed, n_frames=200, n_regions=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_frames, n_regions)) * rng.uniform(1, 30, size=n_regions)


def fitted(scans, sites, units=None):
    processor = TimeSeriesProcessor(80, TR)
    return processor.fit(scans, [TR] * len(scans), sites, units)


def log_iqr(scan):
    low, high = np.percentile(scan, [25, 75], axis=0)
    return np.log((high - low) / 1.349)


SITES = ["Oslo", "Oslo", "Bergen", "Bergen", None]
SCANS = [noise(seed) for seed in range(5)]


@pytest.mark.parametrize(
    ("site", "companions"),
    [("Oslo", [0, 1]), ("Bergen", [2, 3]), ("never seen", range(5)), (None, range(5))],
)
def test_amplitude_is_relative_to_the_training_scans_of_the_site_or_to_all(site, companions):
    scan = noise(7)
    expected = log_iqr(scan) - np.mean([log_iqr(SCANS[k]) for k in companions], axis=0)
    found = fitted(SCANS, SITES).scale(scan, TR, site)
    assert found.log_amplitude == pytest.approx(expected, abs=1e-5)


def test_a_scan_of_twice_the_amplitude_differs_by_the_logarithm_of_two():
    processor = fitted(SCANS, SITES)
    once, twice = (processor.scale(factor * SCANS[0], TR, "Oslo") for factor in (1, 2))
    assert twice.log_amplitude - once.log_amplitude == pytest.approx(np.log(2), abs=1e-5)
    assert twice.spectrum == pytest.approx(once.spectrum, abs=1e-5)


def test_the_units_of_a_site_change_no_amplitude():
    scaled = [
        10 * scan if site == "Oslo" else scan for scan, site in zip(SCANS, SITES, strict=True)
    ]
    plain = fitted(SCANS, SITES).scale(SCANS[1], TR, "Oslo")
    other = fitted(scaled, SITES).scale(scaled[1], TR, "Oslo")
    assert other.log_amplitude == pytest.approx(plain.log_amplitude, abs=1e-5)


def test_series_that_were_standardised_before_get_their_amplitude_from_their_units():
    units = [scan.std(axis=0) for scan in SCANS]
    standardised = [scan / unit for scan, unit in zip(SCANS, units, strict=True)]
    plain = fitted(SCANS, SITES).scale(SCANS[2], TR, "Bergen")
    other = fitted(standardised, SITES, units).scale(standardised[2], TR, "Bergen", units[2])
    assert other.log_amplitude == pytest.approx(plain.log_amplitude, abs=1e-5)


def test_a_missing_region_is_0_and_does_not_count_in_the_mean_of_its_site():
    without = [scan.copy() for scan in SCANS]
    without[0][:, 1] = 7.0
    found = fitted(without, SITES).scale(SCANS[1], TR, "Oslo")
    assert found.log_amplitude[1] == pytest.approx(0, abs=1e-6)  # the only one that has it
    assert fitted(without, SITES).scale(without[0], TR, "Oslo").log_amplitude[1] == 0


def test_a_region_that_no_scan_of_the_site_has_is_compared_with_all_sites():
    without = [scan.copy() for scan in SCANS]
    for k in (0, 1):
        without[k][:, 1] = np.nan
    expected = log_iqr(SCANS[0])[1] - np.mean([log_iqr(SCANS[k])[1] for k in (2, 3, 4)])
    found = fitted(without, SITES).scale(SCANS[0], TR, "Oslo")
    assert found.log_amplitude[1] == pytest.approx(expected, abs=1e-5)


def test_a_region_that_no_training_scan_has_is_0():
    without = [scan.copy() for scan in SCANS]
    for scan in without:
        scan[:, 1] = 0.0
    assert fitted(without, SITES).scale(SCANS[0], TR, "Oslo").log_amplitude[1] == 0


def test_a_scan_without_a_present_region_has_no_amplitude_and_equal_shares_of_power():
    found = fitted(SCANS, SITES).scale(np.zeros((200, 4)), TR, "Oslo")
    assert not found.log_amplitude.any()
    assert np.exp(found.spectrum) == pytest.approx(1 / N_BANDS)


def sine(band, tr, n_frames):
    """Sine in the middle of a band of the spectrum at the target repetition time."""
    hz = (band + 0.5) / N_BANDS / (2 * TR)
    return np.sin(2 * np.pi * hz * tr * np.arange(n_frames) + 0.3)[:, None] * np.ones(4)


@pytest.mark.parametrize("band", [0, 3, 7])
def test_the_power_of_a_sine_is_in_its_band(band):
    shares = np.exp(fitted(SCANS, SITES).scale(sine(band, TR, 200), TR).spectrum)
    assert shares[band] > 0.99


@pytest.mark.parametrize("tr", [0.72, 1.0, 3.0])
def test_the_band_of_a_sine_does_not_depend_on_the_repetition_time(tr):
    shares = np.exp(fitted(SCANS, SITES).scale(sine(2, tr, round(400 / tr)), tr).spectrum)
    assert shares.argmax() == 2


def test_a_short_scan_that_is_upsampled_keeps_its_frequencies():
    processor = fitted(SCANS, SITES)
    assert processor.is_upsampled(40, TR)
    shares = np.exp(processor.scale(sine(5, TR, 40), TR).spectrum)
    assert shares.argmax() == 5


def test_shares_of_power_sum_to_one_and_those_of_white_noise_are_equal():
    shares = np.exp(fitted(SCANS, SITES).scale(noise(3, 4000), TR).spectrum)
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert shares == pytest.approx(1 / N_BANDS, rel=0.1)


def test_shares_are_means_over_the_regions_whatever_their_units():
    mixed = np.concatenate([sine(1, TR, 200)[:, :2], 1e3 * sine(6, TR, 200)[:, :2]], axis=1)
    shares = np.exp(fitted(SCANS, SITES).scale(mixed, TR).spectrum)
    assert shares[[1, 6]] == pytest.approx(0.5, abs=0.05)


def test_length_and_repetition_time_are_those_of_the_recording():
    found = fitted(SCANS, SITES).scale(noise(0, 300), 0.72)
    assert (found.n_seconds, found.tr) == (pytest.approx(216), 0.72)


def test_a_processor_read_back_takes_out_the_same():
    without = [scan.copy() for scan in SCANS]
    without[0][:, 1] = without[1][:, 1] = np.nan  # a mean that is not known
    processor = fitted(without, SITES)
    text = json.dumps(processor.to_dict(), allow_nan=False)
    read = TimeSeriesProcessor.from_dict(json.loads(text))
    for site in ("Oslo", "Bergen", None):
        before, after = (one.scale(SCANS[0], TR, site) for one in (processor, read))
        assert np.array_equal(before.log_amplitude, after.log_amplitude)


def test_a_processor_saved_before_amplitudes_were_kept_takes_out_nothing_and_stays_as_it_is():
    state = fitted(SCANS, SITES).to_dict()
    del state["site_log_amplitude"], state["pooled_log_amplitude"]
    read = TimeSeriesProcessor.from_dict(state)
    assert read.scale(SCANS[0], TR, "Oslo") is None
    assert read.to_dict() == state


def test_training_scans_of_different_numbers_of_regions_are_refused():
    with pytest.raises(InputError, match="scans of 3 and of 4 regions; give scans of one"):
        fitted([noise(0), noise(1, n_regions=3)], [None, None])
