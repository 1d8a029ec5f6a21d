"""The next-step shift: what each brain token predicts.

B scans, W time steps, N regions.
"""

from torch import Tensor

from fmri_vqtok.errors import InputError


def next_step(grid: Tensor) -> tuple[Tensor, Tensor]:
    """Split a grid into inputs and targets of next-step prediction: same region, one step later.

    Parameters
    ----------
    grid : Tensor, shape (B, W, N, ...)

    Returns
    -------
    inputs, targets : Tensor, shape (B, W - 1, N, ...)
        ``targets[:, w]`` is what follows ``inputs[:, w]``.

    Raises
    ------
    InputError
        If the grid has a single step, so that nothing follows.
    """
    if grid.shape[1] < 2:
        raise InputError(
            "grid: 1 time step has no next step to predict; use at least 2 steps "
            "(more frames per window, or fewer frames per patch)"
        )
    return grid[:, :-1], grid[:, 1:]
