"""Steps of overlapping windows that show volumes for the first time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def new_steps(starts: Sequence[int], n_frames: int, patch_frames: int) -> NDArray[np.bool_]:
    """Which steps of a recording's windows hold frames that no window before has shown.

    Predicting one that is not new would be copying, where the windows before are in sight.

    Parameters
    ----------
    starts : sequence of int
        First frame of each of V windows, in ascending order.
    n_frames : int
        T, frames of a window.
    patch_frames : int
        P, frames of a step.

    Returns
    -------
    ndarray of bool, shape (V, W)

    Examples
    --------
    >>> new_steps([0, 4, 5], n_frames=4, patch_frames=2).tolist()
    [[True, True], [True, True], [False, False]]
    """
    first = np.asarray(starts)[:, None]
    shown_until = np.concatenate([[0], first[:-1, 0] + n_frames])[:, None]
    return first + np.arange(0, n_frames, patch_frames) >= shown_until
