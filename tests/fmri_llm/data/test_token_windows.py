"""All windows of a scan as one series of steps: order, what is left out, what may be predicted."""

import datasets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmri_llm.data.token_windows import TokenWindows, in_order, spread
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


def test_a_window_that_goes_on_where_the_one_before_ends_is_predicted_from_it():
    scan = TokenWindows(table_of(range(2))).scan("s")
    assert scan.follows.tolist() == [False, True, True, True]


def test_steps_with_frames_of_an_earlier_window_are_no_targets():
    scan = TokenWindows(table_of(range(2), new=[[True, True], [False, True]])).scan("s")
    assert scan.follows.tolist() == [False, True, False, True]


def test_the_first_step_after_a_left_out_window_is_no_target():
    windows = TokenWindows(table_of(range(4)))
    scan = windows.scan("s", max_windows=2)
    assert steps_of(scan) == [0, 1, 30, 31]
    assert scan.follows.tolist() == [False, True, False, True]
    assert windows.n_left_out(2) == 2
    assert windows.most_windows(2) == 2


@pytest.mark.parametrize(
    ("most", "expected"), [(None, [0, 1, 2, 3, 4]), (5, [0, 1, 2, 3, 4]), (3, [0, 2, 4]), (1, [2])]
)
def test_windows_are_left_out_evenly(most, expected):
    assert spread(5, most) == expected
    assert in_order(np.arange(5).reshape(5, 1, 1), most)[:, 0].tolist() == expected


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
