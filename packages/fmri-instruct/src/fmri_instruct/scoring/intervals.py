"""Intervals of scores: resampled subjects, exact ones for few of them, and the exchange test.

``fmri_descriptors.probing.intervals`` has the same rules; neither package imports the other, and a
test of contracts holds them equal.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import beta, norm

FEW_SUBJECTS = 20
"""Below this many held-out subjects, intervals of proportions are exact, those of areas score
intervals."""

Statistic = Callable[[NDArray[np.intp]], float | None]
Exchanged = Callable[[NDArray[np.bool_]], float | None]


@dataclass(frozen=True)
class Interval:
    """A score and its confidence interval.

    Parameters
    ----------
    value, low, high : float
        The score of the held-out scans, and the bounds.
    kind : str
        ``"bootstrap"`` (percentiles over resampled subjects), ``"clopper-pearson"`` or
        ``"newcombe"``.
    dropped : int
        Resamples in which the score was undefined; they take no part in the bounds.
    """

    value: float
    low: float
    high: float
    kind: str = "bootstrap"
    dropped: int = 0

    def to_dict(self) -> dict[str, float | str]:
        """Return the interval as ``scores.json`` holds it."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "kind": self.kind,
            "dropped_resamples": self.dropped,
        }


class SubjectBootstrap:
    """Resamples of subjects, drawn once so that everything compared is scored on the same ones.

    Parameters
    ----------
    subjects : sequence of hashable
        The subjects, in any order and as often as they occur; each counts once.
    resamples : int
        Number of resamples; in each, as many subjects are drawn with replacement as there are.
    level : float
        Level of the intervals, such as 0.95.
    seed : int
        Seed of the resamples.

    Attributes
    ----------
    draws : ndarray of int, (resamples, S)
        Numbers of the drawn subjects, in the order of their sorted names.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.
    """

    def __init__(
        self, subjects: Sequence[Hashable], *, resamples: int, level: float, seed: int
    ) -> None:
        self.subjects = sorted(set(subjects), key=str)
        self.level = level
        rng = np.random.default_rng(seed)
        n = len(self.subjects)
        self.draws = np.array([rng.integers(n, size=n) for _ in range(resamples)])

    def interval(
        self,
        statistic: Statistic,
        owners: Sequence[Hashable],
        limits: tuple[float, float] = (0.0, 1.0),
    ) -> Interval | None:
        """Score with its percentile interval.

        Parameters
        ----------
        statistic : callable
            Takes the row numbers of a resample, returns the score or None where it is undefined.
        owners : sequence of hashable, (n,)
            Subject of each row. A subject is drawn with all of its rows.
        limits : tuple of float
            Smallest and largest possible score: the interval where no resample has a score.

        Returns
        -------
        Interval or None
            None if the score of the rows themselves is undefined.
        """
        value = statistic(np.arange(len(owners)))
        if value is None:
            return None
        drawn = [statistic(rows) if len(rows) else None for rows in self._rows(owners)]
        defined = [score for score in drawn if score is not None]
        low, high = np.quantile(defined, self._tails) if defined else limits
        return Interval(value, float(low), float(high), dropped=len(drawn) - len(defined))

    @property
    def _tails(self) -> list[float]:
        return [(1 - self.level) / 2, (1 + self.level) / 2]

    def _rows(self, owners: Sequence[Hashable]) -> Iterator[NDArray[np.intp]]:
        by_subject: dict[Hashable, list[int]] = {subject: [] for subject in self.subjects}
        for row, subject in enumerate(owners):
            by_subject[subject].append(row)
        rows = [np.asarray(by_subject[subject], dtype=np.intp) for subject in self.subjects]
        for draw in self.draws:
            yield np.concatenate([rows[i] for i in draw])


def clopper_pearson(hits: float, total: float, level: float) -> tuple[float, float]:
    """Exact interval of a proportion.

    Parameters
    ----------
    hits, total : float
        Successes and trials. A fraction of a success, from a subject with several scans of which
        some were answered correctly, is interpolated by the beta distribution.
    level : float
        Level of the interval, such as 0.95.

    Returns
    -------
    tuple of float
        Lower and upper bound; (0, 1) without a trial.

    References
    ----------
    Clopper & Pearson (1934), Biometrika 26, 404-413.
    """
    tail = (1 - level) / 2
    low = beta.ppf(tail, hits, total - hits + 1) if hits > 0 else 0.0
    high = beta.ppf(1 - tail, hits + 1, total - hits) if hits < total else 1.0
    return float(low), float(high)


def newcombe_auc(
    area: float, n_positive: int, n_negative: int, level: float
) -> tuple[float, float]:
    """Score interval of an area under the ROC curve, which has a width at 0 and 1 too.

    Parameters
    ----------
    area : float
        The area.
    n_positive, n_negative : int
        Subjects of the class and of the others, at least one each.
    level : float
        Level of the interval, such as 0.95.

    Returns
    -------
    tuple of float
        Lower and upper bound.

    References
    ----------
    Newcombe (2006), Statistics in Medicine 25, 559-573, method 5: the bounds are the areas whose
    own standard error puts the observed one at the quantile.
    """
    quantile = norm.ppf((1 + level) / 2)
    size = (n_positive + n_negative) / 2 - 1

    def excess(theta: float) -> float:
        spread = 1 + size * (1 - theta) / (2 - theta) + size * theta / (1 + theta)
        variance = theta * (1 - theta) * spread / (n_positive * n_negative)
        return (area - theta) ** 2 - quantile**2 * variance

    edge = 1e-9  # at an area of 0 or 1 the equation has a second root there
    low = brentq(excess, 0, min(area, 1 - edge)) if area > 0 else 0.0
    high = brentq(excess, max(area, edge), 1) if area < 1 else 1.0
    return float(low), float(high)


def exchange_test(difference: Exchanged, n_subjects: int, *, draws: int, seed: int) -> float | None:
    """Probability, if two methods were equally good, of a difference at least as large.

    If it did not matter which of the two methods gave a subject's answers, exchanging them would
    not change the distribution of the difference between their scores.

    Parameters
    ----------
    difference : callable
        Takes a mask of the subjects whose answers are exchanged, (S,), and returns the difference
        of the scores, or None where it is undefined.
    n_subjects : int
        S.
    draws : int
        Exchanges that are tried; where there are no more than this, all of them, and the
        probability is exact.
    seed : int
        Seed of the exchanges.

    Returns
    -------
    float or None
        Two-sided; None if the difference itself is undefined.

    References
    ----------
    Good (2005), Permutation, Parametric and Bootstrap Tests of Hypotheses, chapter 3.
    """
    observed = difference(np.zeros(n_subjects, dtype=bool))
    if observed is None:
        return None
    every = n_subjects < 60 and 2**n_subjects <= draws
    found = [difference(mask) for mask in _exchanges(n_subjects, draws, seed, every=every)]
    extreme = sum(abs(d) >= abs(observed) - 1e-12 for d in found if d is not None)
    defined = sum(d is not None for d in found)
    # Random exchanges hold the observed one once more, so that none is impossible.
    return extreme / defined if every else (1 + extreme) / (1 + defined)


def _exchanges(
    n_subjects: int, draws: int, seed: int, *, every: bool
) -> Iterator[NDArray[np.bool_]]:
    if every:
        for mask in islice(product((False, True), repeat=n_subjects), draws):
            yield np.array(mask)
        return
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield rng.random(n_subjects) < 0.5
