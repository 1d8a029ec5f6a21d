"""All answers of one method to one task as arrays, and their scores."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fmri_instruct.evaluation.intervals import FEW_SUBJECTS, Interval, clopper_pearson, newcombe_auc
from fmri_instruct.evaluation.metrics import UNPARSED, accuracy, area, auc, balanced_accuracy

if TYPE_CHECKING:
    from fmri_instruct.evaluation.intervals import SubjectBootstrap
    from fmri_instruct.evaluation.scores import ScanAnswer

METRICS = ("accuracy", "balanced_accuracy", "auc")


@dataclass(frozen=True, eq=False)
class AnswerTable:
    """Answers of one method, in order of scan id.

    Parameters
    ----------
    scan_ids, subjects : tuple of str, (n,)
        Scan and subject of each row.
    truth, given : ndarray of int, (n,)
        Numbers of the true and the given answers; -1 is unparsed.
    probabilities : ndarray, (n, K), or None
        Of each candidate; None where answers were read from free text.
    """

    scan_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    truth: NDArray[np.intp]
    given: NDArray[np.intp]
    probabilities: NDArray[np.float64] | None

    @classmethod
    def of(cls, answers: Sequence["ScanAnswer"], candidates: Sequence[str]) -> "AnswerTable":
        """Collect answers whose candidates are known."""
        number: dict[str | None, int] = {answer: k for k, answer in enumerate(candidates)}
        rows = sorted(answers, key=lambda answer: answer.scan_id)
        known = [row.probabilities for row in rows if row.probabilities is not None]
        whole = np.array([[each[c] for c in candidates] for each in known])
        return cls(
            tuple(row.scan_id for row in rows),
            tuple(row.subject for row in rows),
            np.array([number[row.truth] for row in rows], dtype=np.intp),
            np.array([number.get(row.answer, UNPARSED) for row in rows], dtype=np.intp),
            whole if len(known) == len(rows) else None,
        )

    @property
    def classes(self) -> NDArray[np.intp]:
        """Numbers of the answers that are true of some scan."""
        return np.unique(self.truth)

    def only(self, scan_ids: set[str]) -> "AnswerTable":
        """Return the rows of some scans."""
        rows = np.flatnonzero([scan_id in scan_ids for scan_id in self.scan_ids])
        return replace(
            self,
            scan_ids=tuple(self.scan_ids[i] for i in rows),
            subjects=tuple(self.subjects[i] for i in rows),
            truth=self.truth[rows],
            given=self.given[rows],
            probabilities=None if self.probabilities is None else self.probabilities[rows],
        )

    def score(self, metric: str, rows: NDArray[np.intp]) -> float | None:
        """Score of some rows, averaged over the classes of the whole table.

        Parameters
        ----------
        metric : str
            One of `METRICS`.
        rows : ndarray of int
            Row numbers; a row that was drawn twice counts twice.

        Returns
        -------
        float or None
            None where it is undefined: no probabilities, or a class is absent from the rows.
        """
        truth = self.truth[rows]
        if metric == "accuracy":
            return accuracy(truth, self.given[rows])
        if metric == "balanced_accuracy":
            return balanced_accuracy(truth, self.given[rows], self.classes)
        if self.probabilities is None:
            return None
        return auc(truth, self.probabilities[rows], self.classes)

    def interval(self, metric: str, bootstrap: "SubjectBootstrap") -> Interval | None:
        """Score with its interval: percentiles of resamples, or exact where subjects are few.

        Bounds of an average over classes are the averages of the classes' bounds, each at a level
        that all of them hold together (Bonferroni).

        Returns
        -------
        Interval or None
            None where the score is undefined.
        """
        found = bootstrap.interval(lambda rows: self.score(metric, rows), self.subjects)
        if found is None or len(set(self.subjects)) >= FEW_SUBJECTS:
            return found
        exact, kind = self._proportion_bounds(metric, bootstrap.level), "clopper-pearson"
        if metric == "auc":
            exact, kind = self._auc_bounds(bootstrap.level), "newcombe"
        # Scans weigh in the score, subjects in the bounds: the score belongs to its own interval.
        return Interval(found.value, min(exact[0], found.value), max(exact[1], found.value), kind)

    def _proportion_bounds(self, metric: str, level: float) -> tuple[float, float]:
        """Bounds of the part of subjects that were answered rightly, or its mean over classes."""
        groups = [np.ones(len(self.truth), dtype=bool)]
        if metric == "balanced_accuracy":
            groups = [self.truth == k for k in self.classes]
        shared = _shared(level, len(groups))
        low, high = np.mean([clopper_pearson(*self._hits(g), shared) for g in groups], axis=0)
        return float(low), float(high)

    def _hits(self, rows: NDArray[np.bool_]) -> tuple[float, int]:
        """Subjects among some rows that were answered rightly, and how many there are."""
        subjects = np.array(self.subjects)[rows]
        right = (self.given == self.truth)[rows]
        hits = [right[subjects == subject].mean() for subject in np.unique(subjects)]
        return float(np.sum(hits)), len(hits)

    def _auc_bounds(self, level: float) -> tuple[float, float]:
        whole = np.asarray(self.probabilities)
        asked = [1] if whole.shape[1] == 2 else self.classes
        subjects = np.array(self.subjects)
        bounds = []
        for k in asked:
            positive = self.truth == k
            ours, others = (len(np.unique(subjects[rows])) for rows in (positive, ~positive))
            shared = _shared(level, len(asked))
            bounds.append(newcombe_auc(area(positive, whole[:, k]), ours, others, shared))
        low, high = np.mean(bounds, axis=0)
        return float(low), float(high)


def _shared(level: float, n: int) -> float:
    """Level of each of n intervals that hold together at a level."""
    return 1 - (1 - level) / n
