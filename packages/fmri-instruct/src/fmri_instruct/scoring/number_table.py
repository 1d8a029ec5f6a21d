"""All numbers that one method gave to a continuous task as arrays, and their scores."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fmri_instruct.scoring.answer_table import ScanAnswer
from fmri_instruct.scoring.intervals import Interval, SubjectBootstrap
from fmri_instruct.scoring.number_metrics import mean_absolute_error, pearson, spearman
from fmri_instruct.tasks.kinds import NUMBER_METRICS

_SCORES = {"mae": mean_absolute_error, "pearson": pearson, "spearman": spearman}


@dataclass(frozen=True, eq=False)
class NumberTable:
    """Numbers of one method, in order of scan id.

    Parameters
    ----------
    scan_ids, subjects : tuple of str, (n,)
        Scan and subject of each row.
    truth, given : ndarray of float, (n,)
        True and predicted numbers.
    """

    scan_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    truth: NDArray[np.float64]
    given: NDArray[np.float64]

    metrics = NUMBER_METRICS
    widest = 2.0  # largest difference between two correlations

    @classmethod
    def of(cls, answers: Sequence[ScanAnswer]) -> "NumberTable | None":
        """Collect the numbers of answers; None where one has none, such as one of free text."""
        rows = sorted(answers, key=lambda answer: answer.scan_id)
        truth = [row.true_number for row in rows if row.true_number is not None]
        given = [row.number for row in rows if row.number is not None]
        if not rows or len(truth) < len(rows) or len(given) < len(rows):
            return None
        return cls(
            tuple(row.scan_id for row in rows),
            tuple(row.subject for row in rows),
            np.array(truth),
            np.array(given),
        )

    def only(self, scan_ids: set[str]) -> "NumberTable":
        """Return the rows of some scans."""
        rows = np.flatnonzero([scan_id in scan_ids for scan_id in self.scan_ids])
        return NumberTable(
            tuple(self.scan_ids[i] for i in rows),
            tuple(self.subjects[i] for i in rows),
            self.truth[rows],
            self.given[rows],
        )

    def score(self, metric: str, rows: NDArray[np.intp]) -> float | None:
        """Score of some rows.

        Parameters
        ----------
        metric : str
            One of `NUMBER_METRICS`.
        rows : ndarray of int
            Row numbers; a row that was drawn twice counts twice.

        Returns
        -------
        float or None
            None for a correlation with a constant.
        """
        return _SCORES[metric](self.truth[rows], self.given[rows])

    def interval(self, metric: str, bootstrap: SubjectBootstrap) -> Interval | None:
        """Score with its interval of percentiles over resampled subjects, None if undefined."""
        return bootstrap.interval(
            lambda rows: self.score(metric, rows), self.subjects, limits=(-1.0, 1.0)
        )

    def exchangeable(self) -> "NumberTable":
        """Return the table itself: numbers of two methods are on one scale."""
        return self

    def mixed(self, other: "NumberTable", rows: NDArray[np.bool_]) -> "NumberTable":
        """Return this table with the numbers of another in some rows."""
        return replace(self, given=np.where(rows, other.given, self.given))
