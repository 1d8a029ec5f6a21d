import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

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


def test_a_short_scan_is_upsampled_linearly_and_reported():
    ramp = np.linspace(0, 1, 20)[:, None]
    processor = TimeSeriesProcessor(50, 2.0)
    windows, _ = processor(ramp, 2.0)
    assert windows.shape == (1, 50, 1)
    # A straight line stays straight: its second difference is zero.
    assert windows[0, :, 0].diff(n=2).abs().max() < 1e-5
    assert processor.is_upsampled(20, 2.0)
    assert not processor.is_upsampled(50, 2.0)


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


@settings(max_examples=60, deadline=None)
@given(
    n_frames=st.integers(2, 130),
    n_regions=st.integers(1, 4),
    tr=st.floats(0.3, 4.0),
    kind=st.sampled_from([np.float16, np.float32, np.float64, np.int16]),
)
def test_any_scan_becomes_finite_windows_of_the_asked_shape(n_frames, n_regions, tr, kind):
    rng = np.random.default_rng(n_frames)
    recording = (100 * rng.normal(size=(n_frames, n_regions))).astype(kind)
    processor = TimeSeriesProcessor(40, 2.0)
    windows, mask = processor(recording, tr)
    assert windows.dtype == torch.float32
    assert windows.shape[1:] == (40, n_regions)
    assert mask.shape == (n_regions,)
    assert windows.abs().max() <= 8
    n_series = len(processor.normalise(recording, tr)[0])
    if processor.is_upsampled(n_frames, tr):
        assert n_series == 40
    else:
        assert n_series == pytest.approx(n_frames * tr / 2.0, abs=1 + 5e-4 * n_frames * tr)
    assert len(windows) == n_series // 40


@settings(max_examples=40, deadline=None)
@given(
    n_frames=st.integers(3, 130),
    offset=st.floats(-1e4, 1e4),
    kind=st.sampled_from([np.float16, np.float32, np.float64, np.int16]),
)
def test_the_inverse_gives_the_scan_back_at_any_length(n_frames, offset, kind):
    rng = np.random.default_rng(n_frames)
    recording = (offset + 50 * rng.normal(size=(n_frames, 3))).astype(kind)
    processor = TimeSeriesProcessor(60, 2.0, clip=1e6)
    processor.fit([rng.normal(size=(90, 3)) ** 3], [2.0], ["a"])
    series, _, scaling = processor.normalise_with_scaling(recording, 2.0, "a")
    back = processor.inverse(series, scaling)
    assert back.shape == recording.shape
    assert np.allclose(back, recording.astype(np.float64), rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("site", ["a", "never seen", None])
def test_windows_go_back_to_the_units_of_the_scan(site):
    rng = np.random.default_rng(0)
    processor = TimeSeriesProcessor(50, 2.0, clip=100.0)
    processor.fit([rng.normal(size=(90, 4)) ** 3], [2.0], ["a"])
    recording = rng.normal(1000.0, 25.0, size=(100, 4))
    series, _, scaling = processor.normalise_with_scaling(recording, 2.0, site)
    assert np.allclose(scaling.undo(processor.cut(series)).reshape(100, 4), recording, rtol=1e-6)


def test_a_resampled_series_goes_back_to_its_units_at_the_target_tr():
    recording = 500 + 30 * sinusoid(0.02, 1.0, 400)
    processor = TimeSeriesProcessor(100, 2.0)
    series, _, scaling = processor.normalise_with_scaling(recording, 1.0)
    inner = slice(20, 180)
    expected = 500 + 30 * sinusoid(0.02, 2.0, 200)
    assert np.abs(scaling.undo(series) - expected)[inner].max() < 0.1


def test_what_was_clipped_comes_back_as_the_limit():
    recording = np.random.default_rng(0).normal(size=(100, 1))
    recording[50] = 1e6
    series, _, scaling = TimeSeriesProcessor(100, 2.0).normalise_with_scaling(recording, 2.0)
    assert scaling.undo(series)[50] == pytest.approx(8 * scaling.spread + scaling.center)


def test_the_inverse_gives_constant_regions_their_constant_and_broken_ones_nan():
    recording = np.random.default_rng(0).normal(size=(60, 3))
    recording[:, 1], recording[3, 2] = 7.0, np.inf
    processor = TimeSeriesProcessor(60, 2.0)
    series, _, scaling = processor.normalise_with_scaling(recording, 2.0)
    back = processor.inverse(series, scaling)
    assert np.all(back[:, 1] == 7.0)
    assert np.isnan(back[:, 2]).all()


def test_the_inverse_of_a_resampled_scan_is_refused():
    processor = TimeSeriesProcessor(10, 2.0)
    series, _, scaling = processor.normalise_with_scaling(sinusoid(0.05, 1.0, 100), 1.0)
    with pytest.raises(InputError, match=r"resampled by 1/2, .* call scaling.undo"):
        processor.inverse(series, scaling)


def test_the_inverse_of_a_part_of_a_scan_is_refused():
    processor = TimeSeriesProcessor(10, 2.0)
    series, _, scaling = processor.normalise_with_scaling(sinusoid(0.05, 2.0, 25), 2.0)
    with pytest.raises(InputError, match="series: 20 frames; give all 25"):
        processor.inverse(series[:20], scaling)


@pytest.mark.parametrize(("tr", "up", "down"), [(0.72, 9, 25), (3.0, 3, 2), (1.0, 1, 2)])
def test_resampling_is_scipys_polyphase_filter(tr, up, down):
    recording = np.random.default_rng(0).normal(size=(300, 2)).cumsum(axis=0)
    expected = resample_poly(recording, up, down, axis=0, padtype="line")
    processor = TimeSeriesProcessor(20, 2.0, clip=1e9)
    series, _, scaling = processor.normalise_with_scaling(recording, tr)
    assert np.allclose(scaling.undo(series), expected, atol=1e-4)


def test_a_spike_in_one_scan_is_not_taken_for_the_scale_of_its_site():
    rng = np.random.default_rng(0)
    scans = [rng.normal(size=(200, 5)) for _ in range(4)]
    plain = TimeSeriesProcessor(100, 2.0).fit(scans, [2.0] * 4, ["a"] * 4)
    scans[0][7] = 1e5
    spiked = TimeSeriesProcessor(100, 2.0).fit(scans, [2.0] * 4, ["a"] * 4)
    assert spiked.site_scale_["a"] == pytest.approx(plain.site_scale_["a"], rel=0.1)


def test_a_scan_without_a_present_region_counts_towards_no_site():
    rng = np.random.default_rng(0)
    scan, empty = rng.normal(size=(200, 3)) ** 3, np.zeros((200, 3))
    alone = TimeSeriesProcessor(100, 2.0).fit([scan], [2.0], ["a"])
    processor = TimeSeriesProcessor(100, 2.0).fit([scan, empty], [2.0] * 2, ["a", "b"])
    assert processor.to_dict() == alone.to_dict()
    windows, mask = processor(empty, 2.0, "b")
    assert not mask.any()
    assert not windows.any()


def test_a_site_of_one_scan_has_its_own_scale_and_an_unseen_one_that_of_all():
    rng = np.random.default_rng(0)
    scans = [rng.standard_t(5, size=(300, 4)), rng.uniform(size=(300, 4))]
    processor = TimeSeriesProcessor(100, 2.0).fit(scans, [2.0] * 2, ["heavy", "light"])
    heavy, light = processor.site_scale_["heavy"], processor.site_scale_["light"]
    assert heavy > 1 > light
    assert processor.pooled_scale_ == pytest.approx(((heavy**2 + light**2) / 2) ** 0.5)
    ratio = processor(scans[1], 2.0, "light")[0] / processor(scans[1], 2.0, "unseen")[0]
    assert torch.allclose(ratio, torch.tensor(processor.pooled_scale_ / light), rtol=1e-4)


def test_training_scans_without_any_signal_are_refused():
    with pytest.raises(InputError, match="2 scans, and no region that varies"):
        TimeSeriesProcessor().fit([np.zeros((20, 2))] * 2, [2.0] * 2)


def test_clipping_takes_the_first_frames_only():
    recording = np.random.default_rng(0).normal(size=(170, 3))
    (first, mask), (every, same) = (
        TimeSeriesProcessor(50, 2.0, windows=windows)(recording, 2.0) for windows in ("clip", "all")
    )
    assert len(every) == 3
    assert torch.equal(first, every[:1])
    assert torch.equal(mask, same)


def test_windows_of_another_kind_are_refused():
    with pytest.raises(InputError, match=r"windows: 'clipp'; .* did you mean 'clip'"):
        TimeSeriesProcessor(windows="clipp")


def test_a_saved_processor_without_the_windows_option_takes_all():
    state = TimeSeriesProcessor(40, 2.0, windows="clip").to_dict()
    assert TimeSeriesProcessor.from_dict(state).windows == "clip"
    del state["windows"]
    assert TimeSeriesProcessor.from_dict(state).windows == "all"


@pytest.mark.parametrize("tr", [0.0, -1.0, float("nan")])
def test_a_repetition_time_that_is_no_time_is_refused(tr):
    with pytest.raises(InputError, match=r"tr: .*seconds, above 0"):
        TimeSeriesProcessor()(np.zeros((10, 2)), tr)


def test_a_series_of_one_dimension_is_refused():
    with pytest.raises(InputError, match=r"shape \(10,\)"):
        TimeSeriesProcessor()(np.zeros(10), 2.0)


@pytest.mark.parametrize(
    ("n_frames", "starts"), [(50, [0]), (100, [0, 50]), (101, [0, 50, 51]), (149, [0, 50, 99])]
)
def test_covering_windows_follow_each_other_and_end_with_the_scan(n_frames, starts):
    processor = TimeSeriesProcessor(50, 2.0, windows="cover")
    series = torch.arange(n_frames, dtype=torch.float32)[:, None]
    assert processor.cut(series)[:, 0, 0].tolist() == starts
