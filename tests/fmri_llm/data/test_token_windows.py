"""All windows of a scan as one series of steps, with what the tokens folder holds beside them."""

import datasets
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fmri_llm.data.token_windows import TokenWindows
from fmri_vqtok.processor import TimeSeriesProcessor
from fmri_vqtok.tokens.new_steps import new_steps

N_STEPS, N_REGIONS = 2, 3


def table_of(windows, new=None):
    """Table of scan s, whose code at (window, step) is 10 * window + step."""
    codes = [[[10 * k + w] * N_REGIONS for w in range(N_STEPS)] for k in windows]
    columns = {
        "scan_id": ["s"] * len(windows),
        "window": list(windows),
        "codes": codes,
        "mask": [[True, False, True]] * len(windows),
    }
    return datasets.Dataset.from_dict(columns if new is None else {**columns, "new": new})


def steps_of(scan):
    return scan.codes[:, 0].tolist()


def test_the_windows_of_a_scan_are_concatenated_in_order():
    scan = TokenWindows(table_of([2, 0, 1])).scan("s")
    assert steps_of(scan) == [0, 1, 10, 11, 20, 21]
    assert scan.region_mask.tolist() == [True, False, True]


def test_steps_with_frames_of_an_earlier_window_are_marked():
    scan = TokenWindows(table_of(range(2), new=[[True, True], [False, True]])).scan("s")
    assert scan.new_steps.tolist() == [True, True, False, True]


def test_all_steps_are_new_in_tokens_without_marks():
    assert TokenWindows(table_of(range(2))).scan("s").new_steps.all()


def test_windows_that_are_not_read_as_signal_tokens_are_counted():
    windows = TokenWindows(table_of(range(4)))
    assert (windows.n_left_out(2), windows.most_windows(2)) == (2, 2)
    assert (windows.n_left_out(None), windows.most_windows(None)) == (0, 4)


def test_scale_and_covariance_are_those_of_the_first_window():
    """Of windows that lie in disorder; only the first has a covariance."""
    values = {
        "log_amplitude": [[0.5, 0.0, -0.5]] * 2,
        "spectrum": [[-1.0, -2.0]] * 2,
        "n_seconds": [60.0] * 2,
        "tr": [2.0] * 2,
        "covariance": [None, np.eye(N_REGIONS).tolist()],
    }
    table = table_of([1, 0])
    for name, column in values.items():
        table = table.add_column(name, column)
    scan = TokenWindows(table).scan("s")
    assert scan.log_amplitude.tolist() == [0.5, 0.0, -0.5]
    assert scan.spectrum.tolist() == [-1.0, -2.0]
    assert scan.covariance.tolist() == np.eye(N_REGIONS).tolist()


def test_tokens_without_scale_and_covariance_give_none():
    scan = TokenWindows(table_of([0])).scan("s")
    assert scan.log_amplitude is scan.spectrum is scan.covariance is None


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    n_frames=st.integers(1, 24), patch=st.integers(1, 9), extra=st.integers(0, 60), data=st.data()
)
def test_new_steps_are_those_whose_frames_no_window_before_holds(n_frames, patch, extra, data):
    kind = data.draw(st.sampled_from(["cover", "all", "clip"]))
    starts = TimeSeriesProcessor(n_frames, windows=kind).starts(n_frames + extra)
    found = new_steps(starts, n_frames, patch)
    seen = set()
    for start, row in zip(starts, found, strict=True):
        for step, new in enumerate(row):
            frames = range(start + step * patch, start + min((step + 1) * patch, n_frames))
            assert new == (not seen.intersection(frames))
        seen.update(range(start, start + n_frames))
    assert seen == set(range(n_frames + extra)) or kind != "cover"
