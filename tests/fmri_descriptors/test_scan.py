import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fmri_descriptors import InputError, Scan, load_parcellation


@pytest.fixture
def series(aal2):
    return np.random.default_rng(0).standard_normal((50, 94))


def test_a_whole_scan_has_no_masked_region(aal2, series):
    assert Scan(series, 2.0, aal2, "s", "s").mask.all()


@pytest.mark.parametrize("filling", [np.nan, 0.0, 4321.5])
def test_a_missing_or_constant_region_stays_in_its_column_and_is_masked(aal2, series, filling):
    series[:, 7] = filling
    scan = Scan(series, 2.0, aal2, "s", "s")
    assert scan.timeseries.shape == (50, 94)
    assert scan.masked_labels == (aal2.labels[7],)


def test_a_constant_region_with_rounding_noise_is_masked(aal2, series):
    series[:, 7] = 9000 + np.random.default_rng(1).uniform(-1, 1, 50) * 1e-9
    assert not Scan(series, 2.0, aal2, "s", "s").mask[7]


def test_the_series_of_the_caller_is_copied_and_the_own_one_is_read_only(aal2, series):
    scan = Scan(series, 2.0, aal2, "s", "s")
    series[:] = 0
    assert scan.timeseries.any()
    with pytest.raises(ValueError, match="read-only"):
        scan.timeseries[0, 0] = 1


def _with(series, where, value):
    changed = series.copy()
    changed[where] = value
    return changed


BAD_SERIES = {
    "wrong number of regions": (
        lambda x: x[:, :90],
        r"^s: 90 regions, but parcellation 'aal2' has 94. Pass the parcellation",
    ),
    "transposed": (lambda x: x.T, "50 regions, but .* looks transposed"),
    "too few frames": (lambda x: x[:5], "5 frames; at least 16"),
    "one dimension": (lambda x: x[:, 0], r"shape \(50,\)"),
    "three dimensions": (lambda x: x[None], "frames, regions"),
    "text": (lambda x: x.astype(str).astype(object) + "x", "give real numbers"),
    "complex": (lambda x: x * 1j, "values of type complex128"),
    "ragged": (lambda x: [[1.0], [1.0, 2.0]], "rows differ in length"),
    "infinite": (lambda x: _with(x, (3, 5), np.inf), "Frontal_Mid_2_R has infinite values"),
    "NaN in some frames": (
        lambda x: _with(x, (slice(0, 3), 0), np.nan),
        "Precentral_L is NaN in 3 of 50 frames",
    ),
    "all NaN": (lambda x: x * np.nan, "every region is constant or NaN"),
    "all constant": (lambda x: x * 0 + 3, "every region is constant or NaN"),
}


@pytest.mark.parametrize("case", BAD_SERIES)
def test_bad_series_are_one_clear_line(aal2, series, case):
    change, message = BAD_SERIES[case]
    with pytest.raises(InputError, match=message) as caught:
        Scan(change(series), 2.0, aal2, "s", "s")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("tr", [0, -2.0, 720, 0.00072, None, "fast", float("nan"), float("inf")])
def test_a_tr_that_is_no_number_of_seconds_is_refused(aal2, series, tr):
    with pytest.raises(InputError, match="give the repetition time in seconds"):
        Scan(series, tr, aal2, "s", "s")


@settings(deadline=None, max_examples=50)
@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(0, 40), st.sampled_from([0, 1, 93, 94])),
        elements=st.floats(allow_nan=True, allow_infinity=True),
    )
)
def test_any_array_makes_a_scan_with_usable_regions_or_one_clear_line(series):
    try:
        scan = Scan(series, 2.0, load_parcellation("aal2"), "s", "s")
    except InputError as error:
        message = str(error)
    else:
        message = ""
        assert scan.mask.any()
        assert np.isfinite(scan.timeseries[:, scan.mask]).all()
    assert "\n" not in message
