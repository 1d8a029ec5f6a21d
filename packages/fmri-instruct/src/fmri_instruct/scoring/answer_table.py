"""All answers of one method to one task as arrays, and their scores."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from fmri_instruct.scoring.intervals import (
    FEW_SUBJECTS,
    Interval,
    SubjectBootstrap,
    clopper_pearson,
    newcombe_auc,
)
from fmri_instruct.scoring.metrics import (
    UNPARSED,
    ReliabilityBin,
    accuracy,
    auc,
    balanced_accuracy,
    expected_calibration_error,
    macro_f1,
    reliability,
)
from fmri_instruct.tasks.kinds import CLASS_METRICS

METRICS = CLASS_METRICS


@dataclass(frozen=True, kw_only=True)
class ScanAnswer:
    """One method's answer to one task about one scan.

    Parameters
    ----------
    scan_id, subject : str
        Who was scanned.
    task : str
        Task name.
    paradigm : str or None
        ``single``, ``multi``, ``open``, or ``context`` for a single question whose prompt tells
        something beside the scan; None for a baseline, which reads no prompt.
    truth : str
        The true answer.
    answer : str or None
        The given answer; None if the text could not be parsed.
    probabilities : dict of str to float, or None
        By candidate; None where the answer was read from free text.
    text : str or None
        The generated text, where there is one.
    first_named : float or None
        Part of the prompts in which the answer listed first was the most probable; None where no
        prompt lists answers.
    by_wording : list of dict of str to float, or None
        `probabilities` of each wording by itself; None where there are none.
    true_number, number : float or None
        Of a continuous task: the true number, and the given one (the expected value over the bins,
        or what a regression predicts); None where the answer was read from free text.
    """

    scan_id: str
    subject: str
    task: str
    paradigm: str | None
    truth: str
    answer: str | None
    probabilities: dict[str, float] | None
    text: str | None = None
    first_named: float | None = None
    by_wording: list[dict[str, float]] | None = None
    true_number: float | None = None
    number: float | None = None


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

    metrics = METRICS
    widest = 1.0  # largest difference between two scores

    @classmethod
    def of(cls, answers: Sequence[ScanAnswer], candidates: Sequence[str]) -> "AnswerTable":
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
            One of `METRICS` or of `fmri_instruct.tasks.kinds.CALIBRATION_METRICS`.
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
        if metric == "macro_f1":
            return macro_f1(truth, self.given[rows], self.classes)
        if self.probabilities is None:
            return None
        if metric == "ece":
            sure = self.probabilities[rows].max(axis=1)
            return expected_calibration_error(sure, truth == self.given[rows])
        return auc(truth, self.probabilities[rows], self.classes)

    def interval(self, metric: str, bootstrap: SubjectBootstrap) -> Interval | None:
        """Score with its interval: percentiles of resamples, or exact where subjects are few.

        Bounds of a balanced accuracy and of a macro F1 are the means of the classes' bounds, each
        at a level at which all hold together (Bonferroni); those of an AUC over several classes are
        of the rarest class against the rest. A calibration error has no exact interval: resamples
        of few answers have larger errors than the answers themselves.

        Returns
        -------
        Interval or None
            None where the score is undefined.
        """
        found = bootstrap.interval(lambda rows: self.score(metric, rows), self.subjects)
        if found is None:
            return None
        if metric == "ece":
            low, high = min(found.low, found.value), max(found.high, found.value)
            return replace(found, low=low, high=high)
        if len(set(self.subjects)) >= FEW_SUBJECTS:
            return found
        exact, kind = self._proportion_bounds(metric, bootstrap.level), "clopper-pearson"
        if metric == "auc":
            exact, kind = self._auc_bounds(found.value, bootstrap.level), "newcombe"
        # The score counts scans, the bounds count subjects: the score is inside its own interval.
        return Interval(found.value, min(exact[0], found.value), max(exact[1], found.value), kind)

    def confusion(self, n_candidates: int) -> NDArray[np.intp]:
        """Count scans by true and given answer, (K, K + 1); the last column is unparsed."""
        counts = np.zeros((n_candidates, n_candidates + 1), dtype=np.intp)
        np.add.at(counts, (self.truth, self.given), 1)  # unparsed is -1: the last column
        return counts

    def reliability(self) -> list[ReliabilityBin]:
        """Accuracy by confidence; none without probabilities."""
        if self.probabilities is None:
            return []
        return reliability(self.probabilities.max(axis=1), self.truth == self.given)

    def exchangeable(self) -> "AnswerTable":
        """Return ranks for probabilities: the same areas, and comparable between methods."""
        if self.probabilities is None:
            return self
        return replace(self, probabilities=rankdata(self.probabilities, axis=0))

    def mixed(self, other: "AnswerTable", rows: NDArray[np.bool_]) -> "AnswerTable":
        """Return this table with the answers of another in some rows."""
        given = np.where(rows, other.given, self.given)
        if self.probabilities is None or other.probabilities is None:
            return replace(self, given=given, probabilities=None)
        probabilities = np.where(rows[:, None], other.probabilities, self.probabilities)
        return replace(self, given=given, probabilities=probabilities)

    def _proportion_bounds(self, metric: str, level: float) -> tuple[float, float]:
        """Bounds of the share of correctly answered subjects, or of a mean over classes."""
        groups = [np.ones(len(self.truth), dtype=bool)]
        if metric == "balanced_accuracy":
            groups = [self.truth == k for k in self.classes]
        elif metric == "macro_f1":
            groups = [(self.truth == k) | (self.given == k) for k in self.classes]
        shared = 1 - (1 - level) / len(groups)
        bounds = np.array([clopper_pearson(*self._hits(g), shared) for g in groups])
        if metric == "macro_f1":
            # Of the scans that are of a class or called so, a share J is both: F1 = 2 J / (1 + J).
            bounds = 2 * bounds / (1 + bounds)
        low, high = bounds.mean(axis=0)
        return float(low), float(high)

    def _hits(self, rows: NDArray[np.bool_]) -> tuple[float, int]:
        """Correctly answered subjects among some rows, and how many subjects there are."""
        subjects = np.array(self.subjects)[rows]
        right = (self.given == self.truth)[rows]
        hits = [right[subjects == subject].mean() for subject in np.unique(subjects)]
        return float(np.sum(hits)), len(hits)

    def _auc_bounds(self, auc: float, level: float) -> tuple[float, float]:
        """Bounds of an area, those of the rarest class against the rest where it is a mean."""
        subjects = np.array(self.subjects)
        counts = [len(np.unique(subjects[self.truth == k])) for k in self.classes]
        rarest = self.classes[int(np.argmin(counts))]
        n_others = len(np.unique(subjects[self.truth != rarest]))
        return newcombe_auc(auc, min(counts), n_others, level)
