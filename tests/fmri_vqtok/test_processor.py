import json

import numpy as np
import pytest
import torch

from fmri_vqtok.errors import InputError
from fmri_vqtok.processor import TimeSeriesProcessor


def sinusoid(hz, tr, n_frames):
    return np.sin(2 * np.pi * hz * tr * np.arange(n_frames))[:, None]


def strongest_hz(series, tr):
    power = np.abs(np.fft.rfft(series * np.hanning(len(series)))) ** 2
    return np.fft.rfftfreq(len(series), tr)[power.argmax()]


@pytest.mark.parametrize("tr", [0.72, 0.735, 0.8, 2.0, 2.5, 3.0])
def test_a_sinusoid_keeps_its_frequency_at_the_target_tr(tr):
    n_frames = round(2400 / tr)
    series, _ = TimeSeriesProcessor(160, 2.0).normalise(sinusoid(0.05, tr, n_frames), tr)
    resolution = 1 / (2.0 * len(series))
    assert abs(strongest_hz(series[:, 0].numpy(), 2.0) - 0.05) < resolution


@pytest.mark.parametrize("tr", [0.72, 0.735, 1.1, 1.4, 2.2])
def test_resampling_hits_the_target_tr_within_a_thousandth(tr):
    n_frames = 5000
    series, _ = TimeSeriesProcessor(100, 2.0).normalise(
        np.random.default_rng(0).normal(size=(n_frames, 1)), tr
    )
    assert n_frames * tr / len(series) == pytest.approx(2.0, rel=1e-3)


def test_what_the_target_tr_cannot_show_does_not_come_back_as_an_alias():
    # 0.45 Hz is above the 0.25 Hz that a TR of 2 s can show; without a filter it would fold
    # to 0.05 Hz at full strength. The slow wave beside it sets the scale.
    tr, n_frames = 0.72, 4000
    mixed = sinusoid(0.45, tr, n_frames) + sinusoid(0.1, tr, n_frames)
    series, _ = TimeSeriesProcessor(160, 2.0).normalise(mixed, tr)
    windowed = series[:, 0].numpy() * np.hanning(len(series))
    power = np.abs(np.fft.rfft(windowed)) ** 2
    hz = np.fft.rfftfreq(len(series), 2.0)
    assert power[np.abs(hz - 0.05) < 0.01].sum() < 1e-4 * power[np.abs(hz - 0.1) < 0.01].sum()


def test_regions_are_centred_by_the_median_and_scaled_by_the_interquartile_range():
    values = np.random.default_rng(0).gamma(1.0, size=(400, 3)) * [1, 10, 100] + 5
    series, _ = TimeSeriesProcessor(100, 2.0).normalise(values, 2.0)
    quartiles = np.percentile(series.numpy(), [25, 50, 75], axis=0)
    assert quartiles[1] == pytest.approx(0, abs=1e-5)
    assert quartiles[2] - quartiles[0] == pytest.approx(1.349, rel=1e-4)


def test_extreme_values_are_clipped_at_eight():
    values = np.random.default_rng(0).normal(size=(100, 1))
    values[50] = 1e6
    series, _ = TimeSeriesProcessor(100, 2.0).normalise(values, 2.0)
    assert series.max() == 8.0


@pytest.mark.parametrize("fault", [7.0, np.nan])
def test_a_missing_region_stays_in_its_column_as_zeros_and_is_masked(fault):
    values = np.random.default_rng(0).normal(size=(120, 4))
    values[:, 2] = fault
    windows, mask = TimeSeriesProcessor(60, 2.0)(values, 2.0)
    assert mask.tolist() == [True, True, False, True]
    assert windows.shape == (2, 60, 4)
    assert not windows[..., 2].any()


def test_a_site_seen_in_training_is_scaled_to_unit_power():
    rng = np.random.default_rng(0)
    heavy = [rng.standard_t(3, size=(500, 5)) for _ in range(3)]
    light = [rng.uniform(size=(500, 5)) for _ in range(3)]
    processor = TimeSeriesProcessor(100, 2.0, clip=1e9)
    processor.fit(heavy + light, [2.0] * 6, ["heavy"] * 3 + ["light"] * 3)
    for site, scans in (("heavy", heavy), ("light", light)):
        power = np.mean([processor.normalise(x, 2.0, site)[0].square().mean() for x in scans])
        assert power == pytest.approx(1, rel=1e-4)


def test_normalising_a_scan_that_was_not_fitted_changes_no_statistic():
    rng = np.random.default_rng(0)
    processor = TimeSeriesProcessor(100, 2.0).fit([rng.normal(size=(200, 3))], [2.0], ["a"])
    before = json.dumps(processor.to_dict())
    processor(rng.normal(size=(200, 3)) ** 3, 2.0, "a")
    processor(rng.normal(size=(200, 3)) ** 3, 2.0, "never seen")
    assert json.dumps(processor.to_dict()) == before


def test_a_short_recording_is_interpolated_linearly_and_said_to_be():
    ramp = np.linspace(0, 1, 20)[:, None]
    processor = TimeSeriesProcessor(50, 2.0)
    windows, _ = processor(ramp, 2.0)
    assert windows.shape == (1, 50, 1)
    # A straight line stays straight: its second difference is zero.
    assert windows[0, :, 0].diff(n=2).abs().max() < 1e-5
    assert processor.stretches(20, 2.0)
    assert not processor.stretches(50, 2.0)


def test_a_random_window_is_a_part_of_the_series_and_a_function_of_the_generator():
    series = torch.arange(100.0)[:, None]
    processor = TimeSeriesProcessor(30, 2.0)
    first, again = (processor.random_window(series, np.random.default_rng(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(first.diff(dim=0), torch.ones(29, 1))


def test_a_processor_read_back_gives_the_same_windows():
    rng = np.random.default_rng(0)
    scan = rng.normal(size=(300, 3))
    processor = TimeSeriesProcessor(40, 2.0).fit([scan], [0.72], ["a"])
    read = TimeSeriesProcessor.from_dict(json.loads(json.dumps(processor.to_dict())))
    assert torch.equal(read(scan, 0.72, "a")[0], processor(scan, 0.72, "a")[0])


@pytest.mark.parametrize("tr", [0.0, -1.0, float("nan")])
def test_a_repetition_time_that_is_no_time_is_refused(tr):
    with pytest.raises(InputError, match=r"tr: .*seconds, above 0"):
        TimeSeriesProcessor()(np.zeros((10, 2)), tr)


def test_a_series_of_one_dimension_is_refused():
    with pytest.raises(InputError, match=r"shape \(10,\)"):
        TimeSeriesProcessor()(np.zeros(10), 2.0)
