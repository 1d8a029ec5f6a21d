"""The model against each baseline, on the same scans and the same resamples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fmri_instruct.scoring.answer_table import METRICS, AnswerTable
from fmri_instruct.scoring.intervals import Interval, SubjectBootstrap, exchange_test
from fmri_instruct.scoring.number_table import NumberTable

Table = TypeVar("Table", AnswerTable, NumberTable)

HIGHER, LOWER, UNDECIDED = "higher", "lower", "undecided"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Difference between two methods' scores.

    Parameters
    ----------
    method, baseline : str
        Their names.
    metric : str
        What was compared.
    difference : Interval
        Score of the method minus that of the baseline, with its paired bootstrap interval.
    p : float
        Two-sided, from exchanging the methods' answers by subject.
    n_subjects : int
        Subjects that both answered.
    verdict : str
        ``"higher"`` or ``"lower"`` where the interval excludes zero and `p` is at most one minus
        its level; else ``"undecided"``.
    """

    method: str
    baseline: str
    metric: str
    difference: Interval
    p: float
    n_subjects: int
    verdict: str

    def to_dict(self) -> dict[str, object]:
        """Return the comparison as ``scores.json`` holds it."""
        return {
            "method": self.method,
            "baseline": self.baseline,
            "metric": self.metric,
            **self.difference.to_dict(),
            "p": self.p,
            "n_subjects": self.n_subjects,
            "verdict": self.verdict,
        }


def compare_all(
    methods: Mapping[str, Table],
    baselines: Mapping[str, Table],
    bootstrap: SubjectBootstrap,
    seed: int,
    metrics: Sequence[str] = METRICS,
) -> list[Comparison]:
    """Compare each method with each baseline by each metric that both have.

    Parameters
    ----------
    methods, baselines : mapping of str to AnswerTable, or of str to NumberTable
        By name.
    bootstrap : SubjectBootstrap
        Resamples of all subjects of the task; every comparison uses the same ones.
    seed : int
        Seed of the exchanges.
    metrics : sequence of str
        Scores of these tables.

    Returns
    -------
    list of Comparison
        By method, baseline and metric, in the order given.
    """
    found = []
    for name, table in methods.items():
        for baseline, other in baselines.items():
            common = set(table.scan_ids) & set(other.scan_ids)
            ours, theirs = table.only(common), other.only(common)
            for metric in metrics:
                compared = _compare(ours, theirs, metric, bootstrap, seed)
                if compared is not None:
                    difference, p = compared
                    found.append(
                        Comparison(
                            method=name,
                            baseline=baseline,
                            metric=metric,
                            difference=difference,
                            p=p,
                            n_subjects=len(set(ours.subjects)),
                            verdict=_direction(difference, p, bootstrap.level),
                        )
                    )
    return found


def _compare(
    ours: Table, theirs: Table, metric: str, bootstrap: SubjectBootstrap, seed: int
) -> tuple[Interval, float] | None:
    def difference(rows: NDArray[np.intp]) -> float | None:
        return _minus(ours.score(metric, rows), theirs.score(metric, rows))

    interval = bootstrap.interval(difference, ours.subjects, limits=(-ours.widest, ours.widest))
    if interval is None:
        return None
    subjects, of_row = np.unique(np.array(ours.subjects), return_inverse=True)
    first, second, every = ours.exchangeable(), theirs.exchangeable(), np.arange(len(of_row))

    def exchanged(mask: NDArray[np.bool_]) -> float | None:
        rows = mask[of_row]
        one, other = first.mixed(second, rows), second.mixed(first, rows)
        return _minus(one.score(metric, every), other.score(metric, every))

    draws = len(bootstrap.draws)
    p = exchange_test(exchanged, len(subjects), draws=draws, seed=seed)
    return None if p is None else (interval, p)


def _minus(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or theirs is None else ours - theirs


def _direction(difference: Interval, p: float, level: float) -> str:
    if p > 1 - level:
        return UNDECIDED
    if difference.low > 0:
        return HIGHER
    return LOWER if difference.high < 0 else UNDECIDED
