"""Statistics of a cohort without one person, for each person in turn."""

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.norms.robust_z_scores import (
    NORMAL_MAD,
    person_sums,
    person_weights,
    weighted_median,
)

_CANCELLED = 1e-6  # share of the squares below which their difference has lost its digits


def leave_one_out(
    values: NDArray[np.float64], people: NDArray[np.intp], *, robust: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre and spread of all others, for each person, (people, F) each.

    They equal those of `statistics` over the rows of the other people. Mean and standard
    deviation follow in closed form: with n people, mean M, squares Q = sum over people of the
    mean of (x - M)^2, and a person's mean a and part d of Q,

        M' = (n M - a) / (n - 1)    and    Q' = Q - d - (n - 1) (M - M')^2.

    Parameters
    ----------
    values : ndarray, (scans, F)
        NaN where missing.
    people : ndarray of int, (scans,)
        Number of each scan's person, from 0, all numbers used.
    robust : bool
        Median and 1.4826 MAD instead of mean and standard deviation.

    Returns
    -------
    centre, spread : ndarray, (people, F)
        NaN where fewer than two others have a value, or one for the robust pair.
    """
    return _medians(values, people) if robust else _means(values, people)


def _means(
    values: NDArray[np.float64], people: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    weights, filled = person_weights(values, people), np.nan_to_num(values)
    present = person_sums(weights, people).round()
    own = person_sums(weights * filled, people)
    total = np.maximum(present.sum(axis=0), 1)
    mean = own.sum(axis=0) / total
    part = person_sums(weights * (filled - mean) ** 2, people)
    others = present.sum(axis=0) - present
    centre = (own.sum(axis=0) - own) / np.where(others > 0, others, np.nan)
    squares = part.sum(axis=0) - part - others * (mean - centre) ** 2
    for person, column in np.argwhere(squares < _CANCELLED * part.sum(axis=0)):
        kept = people != person
        distances = (filled[kept, column] - centre[person, column]) ** 2
        squares[person, column] = (weights[kept, column] * distances).sum()
    return centre, np.sqrt(squares / np.where(others > 1, others - 1, np.nan))


def _medians(
    values: NDArray[np.float64], people: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    weights = person_weights(values, people)
    shape = (int(people.max(initial=-1)) + 1, values.shape[1])
    centre, spread = np.empty(shape), np.empty(shape)
    for person in range(shape[0]):
        kept = people != person
        centre[person] = weighted_median(values[kept], weights[kept])
        spread[person] = weighted_median(np.abs(values[kept] - centre[person]), weights[kept])
    return centre, NORMAL_MAD * spread
