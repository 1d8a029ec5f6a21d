"""Which windows of a scan are read as signal tokens, and which of their steps are targets.

B scans, W time steps of all windows of a scan, N regions.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from fmri_llm.brain_input.scans import BrainScans

__all__ = ["SignalSteps", "signal_steps", "spread"]


class SignalSteps(NamedTuple):
    """Steps of some scans that are read as signal tokens.

    Attributes
    ----------
    codes : Tensor of int64, shape (B, W', N)
    step_mask : Tensor of bool, shape (B, W')
        False for padding.
    follows : Tensor of bool, shape (B, W')
        True for a step whose frames directly follow those of the step before and are in no
        earlier step: a target of next-step prediction.
    """

    codes: Tensor
    step_mask: Tensor
    follows: Tensor


def spread(n_windows: int, most: int | None) -> list[int]:
    """Choose at most `most` windows, evenly from the first to the last, or the middle one."""
    if most is None or n_windows <= most:
        return list(range(n_windows))
    if most == 1:
        return [n_windows // 2]
    return [round(k * (n_windows - 1) / (most - 1)) for k in range(most)]


def signal_steps(scans: BrainScans, window_steps: int, max_windows: int | None) -> SignalSteps:
    """Take the steps of at most `max_windows` windows of each scan, spread evenly over it.

    Parameters
    ----------
    scans : BrainScans
    window_steps : int
        Steps of a window.
    max_windows : int or None
        None for all windows.

    Returns
    -------
    SignalSteps
    """
    n_windows = (-(-scans.step_mask.sum(1) // window_steps)).tolist()
    if max_windows is None or max(n_windows) <= max_windows:
        return SignalSteps(scans.codes, scans.step_mask, scans.new_steps)
    rows = [_steps_and_gaps(n, window_steps, max_windows) for n in n_windows]
    device = scans.codes.device
    place = pad_sequence([steps for steps, _ in rows], batch_first=True).to(device)
    after_gap = pad_sequence([gaps for _, gaps in rows], batch_first=True).to(device)
    shown = pad_sequence([torch.ones_like(gaps) for _, gaps in rows], batch_first=True).to(device)
    place = place.clamp(max=scans.codes.shape[1] - 1)
    codes = scans.codes.gather(1, place[..., None].expand(-1, -1, scans.codes.shape[2]))
    step_mask = scans.step_mask.gather(1, place) & shown
    return SignalSteps(codes, step_mask, scans.new_steps.gather(1, place) & ~after_gap)


def _steps_and_gaps(n_windows: int, window_steps: int, most: int) -> tuple[Tensor, Tensor]:
    """Numbers of the steps of the chosen windows, and which of them come after a gap."""
    windows = torch.tensor(spread(n_windows, most))
    steps = (windows[:, None] * window_steps + torch.arange(window_steps)).flatten()
    return steps, steps.diff(prepend=steps[:1] - 2) != 1
