"""Which windows of a scan are read as signal tokens, and which of their steps may be predicted."""

import pytest
import torch

from fmri_llm.brain_input.scans import BrainScans
from fmri_llm.brain_input.signal_windows import signal_steps, spread

WINDOW_STEPS, N_REGIONS = 2, 3


def scans(*n_windows, new_steps=None):
    """Batch of scans whose code at (scan, window, step) is 100 * scan + 10 * window + step."""
    most = max(n_windows) * WINDOW_STEPS
    codes = torch.zeros(len(n_windows), most, N_REGIONS, dtype=torch.long)
    step_mask = torch.zeros(len(n_windows), most, dtype=torch.bool)
    for scan, n in enumerate(n_windows):
        steps = [100 * scan + 10 * w + k for w in range(n) for k in range(WINDOW_STEPS)]
        codes[scan, : len(steps)] = torch.tensor(steps)[:, None]
        step_mask[scan, : len(steps)] = True
    return BrainScans.of(codes, step_mask=step_mask, new_steps=new_steps)


def read(found, scan=0):
    """Codes of the steps that are no padding, and whether each of them is a target."""
    mask = found.step_mask[scan]
    return found.codes[scan, mask, 0].tolist(), found.follows[scan, mask].tolist()


@pytest.mark.parametrize(
    ("most", "expected"), [(None, [0, 1, 2, 3, 4]), (5, [0, 1, 2, 3, 4]), (3, [0, 2, 4]), (1, [2])]
)
def test_windows_are_left_out_evenly(most, expected):
    assert spread(5, most) == expected
    steps, _ = read(signal_steps(scans(5), WINDOW_STEPS, most))
    assert steps == [10 * window + step for window in expected for step in range(WINDOW_STEPS)]


def test_a_window_that_goes_on_where_the_one_before_ends_is_predicted_from_it():
    _, follows = read(signal_steps(scans(2), WINDOW_STEPS, None))
    assert follows[1:] == [True, True, True]


def test_the_first_step_after_a_left_out_window_is_no_target():
    steps, follows = read(signal_steps(scans(4), WINDOW_STEPS, 2))
    assert steps == [0, 1, 30, 31]
    assert follows == [False, True, False, True]


@pytest.mark.parametrize("most", [None, 2, 3])
def test_steps_with_frames_of_an_earlier_window_are_no_targets(most):
    new_steps = torch.tensor([[True, True, True, True, False, True]])
    steps, follows = read(signal_steps(scans(3, new_steps=new_steps), WINDOW_STEPS, most))
    assert not follows[steps.index(20)]
    assert follows[steps.index(21)]


@pytest.mark.parametrize("most", [1, 2, 3, 6, None])
def test_scans_of_a_batch_are_read_as_each_alone(most):
    lengths = (5, 2, 1, 4)
    together = scans(*lengths)
    found = signal_steps(together, WINDOW_STEPS, most)
    assert found.codes.shape[1] == min(most or 5, 5) * WINDOW_STEPS
    for scan, n in enumerate(lengths):
        own = slice(0, n * WINDOW_STEPS)
        alone = signal_steps(
            BrainScans.of(together.codes[scan : scan + 1, own]), WINDOW_STEPS, most
        )
        steps, follows = read(found, scan)
        own_steps, own_follows = read(alone)
        assert steps == own_steps
        # Nothing comes before the first step, so its mark has no effect.
        assert follows[1:] == own_follows[1:]


def test_steps_of_a_shorter_scan_are_padded_and_no_targets_there():
    found = signal_steps(scans(5, 1), WINDOW_STEPS, 3)
    assert found.step_mask[1].tolist() == [True, True, False, False, False, False]
