"""A region counts as empty in both packages that judge it, or in neither."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import detrend

from fmri_descriptors import Parcellation, Scan
from fmri_vqtok import TimeSeriesProcessor

T = 64


def signal(rng):
    return rng.normal(size=T)


def detrended_constant(rng):
    return detrend(np.full(T, rng.uniform(10, 10_000)))


def detrended_constant_in_single_precision(rng):
    level = rng.uniform(300, 1000)
    rounded = (np.full(T, level) + rng.normal(scale=level * 3e-8, size=T)).astype(np.float32)
    return detrend(rounded.astype(np.float64))


def spikes_on_nothing(rng):
    series = np.zeros(T)
    series[rng.integers(T, size=3)] = rng.normal(size=3)
    return series


EMPTY = {
    "constant": lambda rng: np.full(T, rng.uniform(-5, 5)),
    "missing": lambda _: np.full(T, np.nan),
    "detrended constant": detrended_constant,
    "detrended constant, single precision": detrended_constant_in_single_precision,
    "spikes on nothing": spikes_on_nothing,
    "filtered constant": lambda rng: 1e-15 * rng.normal(size=T).cumsum(),
}
PRESENT = {
    "signal": signal,
    "one voxel in a hundred": lambda rng: 0.01 * signal(rng),
    "signal with a spike": lambda rng: np.append(signal(rng)[1:], 1e6),
    "signal on a high level": lambda rng: 10_000 + signal(rng),
    "loud signal": lambda rng: 100 * signal(rng),
}
KINDS = EMPTY | PRESENT


def masks(series):
    """What each package says of the regions of a recording."""
    labels = [f"r{i}" for i in range(series.shape[1])]
    own = Parcellation("own", labels, ["net"] * len(labels), ["L"] * len(labels))
    _, mask = TimeSeriesProcessor(32, 2.0)(series, 2.0)
    return Scan(series, 2.0, own, "s", "s").mask.tolist(), mask.tolist()


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    present=st.lists(st.sampled_from(list(PRESENT)), min_size=1, max_size=4),
    empty=st.lists(st.sampled_from(list(EMPTY)), max_size=9),
    seed=st.integers(0, 1000),
    unit=st.sampled_from([1.0, 1e-6, 1e5]),
)
def test_both_packages_mask_what_is_empty_and_keep_what_is_not(present, empty, seed, unit):
    """Also where most regions are empty, and whatever the unit of the recording."""
    rng = np.random.default_rng(seed)
    kinds = [*present, *empty]
    series = unit * np.stack([KINDS[kind](rng) for kind in kinds], axis=1)
    expected = [kind in PRESENT for kind in kinds]
    assert masks(series) == (expected, expected)


@pytest.mark.parametrize("tr", [0.72, 2.0, 3.0])
def test_resampling_gives_no_empty_region_a_signal(tr):
    rng = np.random.default_rng(0)
    series = np.stack([signal(rng), detrended_constant(rng), spikes_on_nothing(rng)], axis=1)
    windows, mask = TimeSeriesProcessor(16, 2.0)(series, tr)
    assert mask.tolist() == [True, False, False]
    assert not windows[..., 1:].any()
