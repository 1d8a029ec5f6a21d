"""Probabilities of the classes that a classifier knows, as those of all possible answers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["align_classes"]


def align_classes(
    probabilities: NDArray[np.float64], classes: Sequence[str], candidates: Sequence[str]
) -> NDArray[np.float64]:
    """Probabilities over all candidates; an answer never seen in training gets 0.

    Parameters
    ----------
    probabilities : (n, K') ndarray
        Over `classes`.
    classes : sequence of str
        Answers seen in training.
    candidates : sequence of str
        All K possible answers.

    Returns
    -------
    (n, K) ndarray
    """
    full = np.zeros((len(probabilities), len(candidates)))
    full[:, [list(candidates).index(k) for k in classes]] = probabilities
    return full
