"""Steps of overlapping windows that have frames of no earlier window."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def new_steps(starts: Sequence[int], n_frames: int, patch_frames: int) -> NDArray[np.bool_]:
    """Which steps of a scan's windows hold frames that are in no earlier window.

    Next-step prediction of the others could be copied from the earlier windows.

    Parameters
    ----------
    starts : sequence of int
        First frame of each of V windows, in ascending order.
    n_frames : int
        T, frames of a window.
    patch_frames : int
        P, frames per step.

    Returns
    -------
    ndarray of bool, shape (V, W)

    Examples
    --------
    >>> new_steps([0, 4, 5], n_frames=4, patch_frames=2).tolist()
    [[True, True], [True, True], [False, False]]
    """
    first = np.asarray(starts)[:, None]
    end_of_previous = np.concatenate([[0], first[:-1, 0] + n_frames])[:, None]
    return first + np.arange(0, n_frames, patch_frames) >= end_of_previous
