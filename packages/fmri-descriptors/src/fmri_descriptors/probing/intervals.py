"""Intervals of scores: resampled subjects, and exact ones where there are few.

``fmri_instruct.scoring.intervals`` holds the same rules for answers; neither package imports the
other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEW_SUBJECTS = 20
"""Below this many subjects the intervals of proportions are exact, and those of areas scores."""

Statistic = Callable[[NDArray[np.intp]], float]
Bounds = Callable[[float], tuple[float, float]]


@dataclass(frozen=True)
class Interval:
    """A score and its interval.

    Parameters
    ----------
    value, low, high : float
        Score of all scans, and the bounds.
    kind : str
        ``"bootstrap"`` (percentiles), ``"clopper-pearson"`` or ``"newcombe"``.
    """

    value: float
    low: float
    high: float
    kind: str = "bootstrap"


def bootstrap(
    statistics: Mapping[str, Statistic],
    subjects: NDArray[np.object_],
    *,
    resamples: int,
    level: float,
    seed: int,
) -> dict[str, Interval]:
    """Return scores with percentile intervals over resampled subjects.

    All statistics, of all methods, see the same resamples for the same seed and subjects.

    Parameters
    ----------
    statistics : mapping of str to callable
        Each takes row numbers; NaN where it is undefined, which leaves the resample out.
    subjects : ndarray, (n,)
        Subject of each row; one is drawn with all of its rows.
    resamples : int
        Number of resamples.
    level : float
        Level of the interval, such as 0.95.
    seed : int
        Seed of the resamples.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.
    """
    names, of_row = np.unique(subjects.astype(str), return_inverse=True)
    rows = [np.flatnonzero(of_row == k) for k in range(len(names))]
    chance = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in statistics}
    for _ in range(resamples):
        picked = np.concatenate([rows[i] for i in chance.integers(len(rows), size=len(rows))])
        for name, statistic in statistics.items():
            drawn[name].append(statistic(picked))
    everything = np.arange(len(subjects))
    tails = [(1 - level) / 2, (1 + level) / 2]
    found = {}
    for name, statistic in statistics.items():
        defined = [value for value in drawn[name] if np.isfinite(value)]
        value = statistic(everything)
        low, high = np.quantile(defined, tails) if defined else (np.nan, np.nan)
        found[name] = Interval(value, float(low), float(high))
    return found


def exact_where_few(
    found: Mapping[str, Interval],
    exact: Mapping[str, tuple[str, Bounds]],
    n_subjects: int,
    level: float,
) -> dict[str, Interval]:
    """Put bounds that hold for few subjects in the place of percentiles.

    A percentile interval of 20 subjects or fewer is too narrow, and has no width at 0 and 1.

    Parameters
    ----------
    found : mapping of str to Interval
        As of `bootstrap`.
    exact : mapping of str to (str, callable)
        By score, the kind of its bounds, and what gives them for a level.
    n_subjects : int
        From `FEW_SUBJECTS` on, nothing changes.
    level : float
        Level of the intervals.
    """
    if n_subjects >= FEW_SUBJECTS:
        return dict(found)
    intervals = dict(found)
    for name, (kind, bounds) in exact.items():
        value = found[name].value
        low, high = bounds(level)
        # Scans weigh in the score, subjects in the bounds: a score belongs to its own interval.
        intervals[name] = Interval(value, min(low, value), max(high, value), kind)
    return intervals


def clopper_pearson(hits: float, total: float, level: float) -> tuple[float, float]:
    """Return the exact interval of a proportion; (0, 1) without a trial.

    Parameters
    ----------
    hits, total : float
        Successes and trials. A fraction of a success, from a subject with several scans of which
        some were predicted rightly, is interpolated by the beta distribution.
    level : float
        Level of the interval, such as 0.95.

    References
    ----------
    Clopper & Pearson (1934), Biometrika 26, 404-413.
    """
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = beta.ppf(tail, hits, total - hits + 1) if hits > 0 else 0.0
    high = beta.ppf(1 - tail, hits + 1, total - hits) if hits < total else 1.0
    return float(low), float(high)


def newcombe_auc(
    area: float, n_positive: int, n_negative: int, level: float
) -> tuple[float, float]:
    """Return the score interval of an area under the ROC curve, with a width at 0 and 1 too.

    Parameters
    ----------
    area : float
        The area.
    n_positive, n_negative : int
        Subjects of the class and of the others, at least one each.
    level : float
        Level of the interval, such as 0.95.

    References
    ----------
    Newcombe (2006), Statistics in Medicine 25, 559-573, method 5: the bounds are the areas whose
    own standard error puts the observed one at the quantile.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    quantile = norm.ppf((1 + level) / 2)
    size = (n_positive + n_negative) / 2 - 1

    def excess(theta: float) -> float:
        spread = 1 + size * (1 - theta) / (2 - theta) + size * theta / (1 + theta)
        variance = theta * (1 - theta) * spread / (n_positive * n_negative)
        return float((area - theta) ** 2 - quantile**2 * variance)

    edge = 1e-9  # at an area of 0 or 1 the equation has a second root there
    low = brentq(excess, 0, min(area, 1 - edge)) if area > 0 else 0.0
    high = brentq(excess, max(area, edge), 1) if area < 1 else 1.0
    return float(low), float(high)
