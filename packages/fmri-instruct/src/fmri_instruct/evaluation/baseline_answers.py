"""The baselines' answers about held-out scans, fitted on the training scans of the same task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmri_instruct.answers.probabilities import most_probable
from fmri_instruct.baselines.blind import MajorityClass, TrainingMean
from fmri_instruct.baselines.boosting import BoostedClassifier, BoostedRegressor
from fmri_instruct.baselines.classes import align_classes
from fmri_instruct.baselines.linear import LinearClassifier, LinearRegressor
from fmri_instruct.baselines.scan_features import FeatureTable
from fmri_instruct.prompts.instructions import Instruction
from fmri_instruct.scoring.answer_table import ScanAnswer
from fmri_instruct.scoring.scores import Method
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks.bins import bin_number
from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.labels import fitted_bins
from fmri_instruct.tasks.sources import source_names

__all__ = [
    "Baseline",
    "LabelledScans",
    "baseline_methods",
    "baselines_of",
    "features_of",
    "fitted_answers",
    "labelled_scans",
    "true_answers",
]


@dataclass(frozen=True)
class Baseline:
    """A method and what it sees.

    Parameters
    ----------
    name : str
        As the table of scores calls it.
    kind : str or None
        Of the features that it sees; None for none.
    make : callable
        Makes the estimator, given the settings and the seed of the inner folds.
    """

    name: str
    kind: str | None
    make: Callable[[EvaluateSettings, int], Any]


def _logistic(settings: EvaluateSettings, seed: int) -> LinearClassifier:
    return LinearClassifier(settings.regularisation, seed)


def _ridge(settings: EvaluateSettings, seed: int) -> LinearRegressor:
    return LinearRegressor(settings.regularisation, seed)


CLASSIFIERS = (
    Baseline("majority class", None, lambda _settings, _seed: MajorityClass()),
    Baseline("connectome + logistic regression", "connectome", _logistic),
    Baseline("tangent-space connectome + logistic regression", "tangent", _logistic),
    Baseline(
        "descriptors + gradient boosting", "descriptors", lambda _, seed: BoostedClassifier(seed)
    ),
)
REGRESSORS = (
    Baseline("training mean", None, lambda _settings, _seed: TrainingMean()),
    Baseline("connectome + ridge regression", "connectome", _ridge),
    Baseline("tangent-space connectome + ridge regression", "tangent", _ridge),
    Baseline(
        "descriptors + gradient boosting", "descriptors", lambda _, seed: BoostedRegressor(seed)
    ),
)


@dataclass(frozen=True, eq=False)
class LabelledScans:
    """Scans that have a label for a task, as rows of a table of features.

    Parameters
    ----------
    task : Task
        What is asked.
    seen, unseen : list of int
        Rows to fit on, and rows to ask about.
    targets : list
        Answers of the rows to fit on; of a continuous task numbers.
    truth : mapping of str to str
        True answers of the scans that are asked about, by scan id.
    numbers : mapping of str to float
        Of a continuous task: true numbers by scan id.
    """

    task: Task
    seen: list[int]
    unseen: list[int]
    targets: list[Any]
    truth: Mapping[str, str]
    numbers: Mapping[str, float]


def true_answers(instructions: Sequence[Instruction], task: str) -> dict[str, str]:
    """Collect true answers to one task by scan id, from conversations of any paradigm.

    Parameters
    ----------
    instructions : sequence of Instruction
        Of one split.
    task : str
        Task name.

    Returns
    -------
    dict of str to str
    """
    answers = {}
    for instruction in instructions:
        if isinstance(instruction.answer, dict):
            if task in instruction.answer:
                answers[instruction.scan_id] = instruction.answer[task]
        elif instruction.task == task:
            answers[instruction.scan_id] = instruction.answer
    return answers


def labelled_scans(
    task: Task,
    train: Sequence[Instruction],
    held_out: Sequence[Instruction],
    table: FeatureTable,
    numbers: Mapping[str, float] | None = None,
) -> LabelledScans:
    """Find the scans that have a label for a task.

    Parameters
    ----------
    task : Task
        What is asked.
    train, held_out : sequence of Instruction
        Training and test instructions; they show which scans have a label.
    table : FeatureTable
        Of the cohort.
    numbers : mapping of str to float, optional
        Of a continuous task: the true number by scan id.

    Returns
    -------
    LabelledScans
    """
    known, truth = true_answers(train, task.name), true_answers(held_out, task.name)
    of_scan: Mapping[str, Any] = (numbers or {}) if task.kind == "continuous" else known
    seen = table.rows("train", known)
    return LabelledScans(
        task,
        seen,
        table.rows("test", truth),
        [of_scan[table.scan_ids[row]] for row in seen],
        truth,
        numbers or {},
    )


def baselines_of(task: Task, table: FeatureTable) -> list[Baseline]:
    """Baselines for a task whose features are in a table.

    Parameters
    ----------
    task : Task
        What is asked.
    table : FeatureTable
        Of the cohort.

    Returns
    -------
    list of Baseline
    """
    every = REGRESSORS if task.kind == "continuous" else CLASSIFIERS
    return [each for each in every if each.kind is None or each.kind in table.features]


def baseline_methods(
    task: Task,
    train: Sequence[Instruction],
    held_out: Sequence[Instruction],
    table: FeatureTable,
    settings: EvaluateSettings,
    seed: int,
    numbers: Mapping[str, float] | None = None,
) -> list[Method]:
    """Answers of all baselines to one task.

    Parameters
    ----------
    task : Task
        What is asked.
    train, held_out : sequence of Instruction
        Training and test instructions; they show which scans have a label.
    table : FeatureTable
        From `fmri_instruct.baselines.scan_features.read_features`. Only training scans are fitted
        on.
    settings : EvaluateSettings
        The fixed penalty.
    seed : int
        Seed of the inner folds.
    numbers : mapping of str to float, optional
        Of a continuous task: the true number by scan id.

    Returns
    -------
    list of Method
        The one that sees no scan first.
    """
    scans = labelled_scans(task, train, held_out, table, numbers)
    return [_method(each, scans, table, settings, seed) for each in baselines_of(task, table)]


def features_of(
    kind: str | None, task: Task, table: FeatureTable
) -> tuple[NDArray[np.float64], str | None]:
    """Features of a kind, without any that the task's answers are made of.

    Parameters
    ----------
    kind : str or None
        Of `FeatureTable.features`; None for no features.
    task : Task
        What is asked.
    table : FeatureTable
        Of the cohort.

    Returns
    -------
    features : (n, F) ndarray
        Of all rows of the table.
    note : str or None
        What was left out.
    """
    if kind is None:
        return np.zeros((len(table.scan_ids), 0)), None
    features = table.features[kind]
    # A phenotype may bear the name of a descriptor by chance alone.
    source = source_names(task.label) if getattr(task.label, "zscore", None) else ()
    names = table.columns.get(kind, ())
    kept = [place for place, name in enumerate(names) if name not in source]
    if not names or len(kept) == len(names):
        return features, None
    return features[:, kept], f"without {source[0]}, of which the answers are made"


def fitted_answers(
    fitted: Any,
    features: NDArray[np.float64],
    scans: Sequence[tuple[str, str]],
    labelled: LabelledScans,
) -> list[ScanAnswer]:
    """Answers of a fitted estimator about scans.

    Parameters
    ----------
    fitted : estimator
        A classifier, or for a continuous task a regressor.
    features : (n, F) ndarray
        Of the scans.
    scans : sequence of (str, str)
        Scan id and subject of each.
    labelled : LabelledScans
        With the truth about them.

    Returns
    -------
    list of ScanAnswer
    """
    if not scans:
        return []
    task = labelled.task
    if task.kind == "continuous":
        predicted = fitted.predict(features).tolist()
        pairs = zip(scans, predicted, strict=True)
        return [_number_answer(*scan, number, labelled) for scan, number in pairs]
    known = fitted.classes_.tolist()
    rows = align_classes(fitted.predict_proba(features), known, task.candidates)
    return [_answer(*scan, row, labelled) for scan, row in zip(scans, rows, strict=True)]


def _method(
    baseline: Baseline,
    scans: LabelledScans,
    table: FeatureTable,
    settings: EvaluateSettings,
    seed: int,
) -> Method:
    features, left_out = features_of(baseline.kind, scans.task, table)
    subjects = [table.subjects[row] for row in scans.seen]
    fitted = baseline.make(settings, seed).fit(features[scans.seen], scans.targets, subjects)
    asked = [(table.scan_ids[row], table.subjects[row]) for row in scans.unseen]
    notes = [note for note in (fitted.how, left_out) if note]
    return Method(
        name=baseline.name,
        answers=fitted_answers(fitted, features[scans.unseen], asked, scans),
        note="; ".join(notes) or None,
        baseline=True,
    )


def _answer(
    scan_id: str, subject: str, row: NDArray[np.float64], labelled: LabelledScans
) -> ScanAnswer:
    probabilities = dict(zip(labelled.task.candidates, map(float, row), strict=True))
    return ScanAnswer(
        scan_id=scan_id,
        subject=subject,
        task=labelled.task.name,
        paradigm=None,
        truth=labelled.truth[scan_id],
        answer=most_probable(probabilities),
        probabilities=probabilities,
    )


def _number_answer(
    scan_id: str, subject: str, number: float, labelled: LabelledScans
) -> ScanAnswer:
    task = labelled.task
    return ScanAnswer(
        scan_id=scan_id,
        subject=subject,
        task=task.name,
        paradigm=None,
        truth=labelled.truth[scan_id],
        answer=task.candidates[bin_number(number, fitted_bins(task).edges)],
        probabilities=None,
        true_number=labelled.numbers[scan_id],
        number=number,
    )
