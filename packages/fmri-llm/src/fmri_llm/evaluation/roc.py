"""Area under the ROC curve, without torch, for every package that scores answers."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def roc_auc(is_positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Area under the ROC curve; 0.5, nothing told apart, where there is a single class.

    Parameters
    ----------
    is_positive : ndarray of bool, shape (n,)
    scores : ndarray, shape (n,)
        Higher for positive ones; equal scores count as half.
    """
    n_positive = int(is_positive.sum())
    n_pairs = n_positive * (len(scores) - n_positive)
    if n_pairs == 0:
        return 0.5
    ranks = rankdata(scores)[is_positive].sum()
    return float((ranks - n_positive * (n_positive + 1) / 2) / n_pairs)
