"""The baselines' answers about held-out scans, fitted on the training scans of the same task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmri_instruct.answers.probabilities import most_probable
from fmri_instruct.evaluation.answer_table import ScanAnswer
from fmri_instruct.evaluation.baselines import (
    N_FOLDS,
    ConnectomeClassifier,
    MajorityClass,
    align_classes,
    connectome,
)
from fmri_instruct.evaluation.number_baselines import ConnectomeRegressor, TrainingMean
from fmri_instruct.evaluation.scores import Method
from fmri_instruct.prompts.instructions import Instruction
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks.bins import bin_number
from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.labels import fitted_bins
from fmri_vqtok.formats.cohort import Cohort, read_scan_table


@dataclass(frozen=True)
class ScanConnectome:
    """What a baseline sees of a scan.

    Parameters
    ----------
    scan_id, subject, split : str
        Which scan it is.
    connectome : (E,) ndarray
        From `fmri_instruct.evaluation.baselines.connectome`.
    """

    scan_id: str
    subject: str
    split: str
    connectome: NDArray[np.float64]


def read_connectomes(cohort_dir: Path) -> list[ScanConnectome]:
    """Connectomes of the training and test scans of a cohort, in order of scan id.

    Parameters
    ----------
    cohort_dir : Path
        A cohort folder.

    Returns
    -------
    list of ScanConnectome
        Validation scans are left out: no baseline uses them.
    """
    cohort, subjects = Cohort(cohort_dir), read_scan_table(cohort_dir)["sub"]
    found = [
        ScanConnectome(scan.scan_id, str(subjects[scan.scan_id]), split, connectome(scan.bold))
        for split in cohort.splits()
        if split != "validation"
        for scan in cohort.scans(split)
    ]
    return sorted(found, key=lambda scan: scan.scan_id)


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


def baseline_methods(
    task: Task,
    train: Sequence[Instruction],
    held_out: Sequence[Instruction],
    connectomes: Sequence[ScanConnectome],
    settings: EvaluateSettings,
    seed: int,
    numbers: Mapping[str, float] | None = None,
) -> list[Method]:
    """Answers of both baselines to one task.

    Parameters
    ----------
    task : Task
        What is asked.
    train, held_out : sequence of Instruction
        Training and test instructions; they show which scans have a label.
    connectomes : sequence of ScanConnectome
        From `read_connectomes`. Only those of the training split are fitted on.
    settings : EvaluateSettings
        The fixed penalty.
    seed : int
        Seed of the inner folds.
    numbers : mapping of str to float, optional
        Of a continuous task: the true number by scan id.

    Returns
    -------
    list of Method
        The frequencies of the training answers and logistic regression; of a continuous task the
        training mean and ridge regression.
    """
    known = true_answers(train, task.name)
    asked = true_answers(held_out, task.name)
    seen = [scan for scan in connectomes if scan.split == "train" and scan.scan_id in known]
    unseen = [scan for scan in connectomes if scan.split == "test" and scan.scan_id in asked]
    if task.kind == "continuous":
        return _number_methods(task, seen, unseen, asked, numbers or {}, settings, seed)
    X = np.array([scan.connectome for scan in seen])
    y = [known[scan.scan_id] for scan in seen]
    subjects = [scan.subject for scan in seen]
    majority = MajorityClass().fit(X, y, subjects)
    regression = ConnectomeClassifier(settings.regularisation, seed).fit(X, y, subjects)
    return [
        _method("majority class", task, majority, unseen, asked, None),
        _method(
            "connectome + logistic regression", task, regression, unseen, asked, _note(regression)
        ),
    ]


def _method(
    name: str,
    task: Task,
    fitted: MajorityClass | ConnectomeClassifier,
    scans: Sequence[ScanConnectome],
    truth: Mapping[str, str],
    note: str | None,
) -> Method:
    if not scans:
        return Method(name=name, answers=[], note=note, baseline=True)
    X = np.array([scan.connectome for scan in scans])
    rows = align_classes(fitted.predict_proba(X), fitted.classes_.tolist(), task.candidates)
    return Method(
        name=name,
        note=note,
        baseline=True,
        answers=[
            _answer(task, scan, truth[scan.scan_id], row)
            for scan, row in zip(scans, rows, strict=True)
        ],
    )


def _answer(task: Task, scan: ScanConnectome, truth: str, row: NDArray[np.float64]) -> ScanAnswer:
    probabilities = dict(zip(task.candidates, map(float, row), strict=True))
    return ScanAnswer(
        scan_id=scan.scan_id,
        subject=scan.subject,
        task=task.name,
        paradigm=None,
        truth=truth,
        answer=most_probable(probabilities),
        probabilities=probabilities,
    )


def _number_methods(
    task: Task,
    seen: Sequence[ScanConnectome],
    unseen: Sequence[ScanConnectome],
    truth: Mapping[str, str],
    numbers: Mapping[str, float],
    settings: EvaluateSettings,
    seed: int,
) -> list[Method]:
    X = np.array([scan.connectome for scan in seen])
    y = [numbers[scan.scan_id] for scan in seen]
    subjects = [scan.subject for scan in seen]
    ridge = ConnectomeRegressor(settings.regularisation, seed).fit(X, y, subjects)
    fitted: list[tuple[str, TrainingMean | ConnectomeRegressor, str | None]] = [
        ("training mean", TrainingMean().fit(X, y, subjects), None),
        ("connectome + ridge regression", ridge, _ridge_note(ridge)),
    ]
    held_out = np.array([scan.connectome for scan in unseen])
    methods = []
    for name, regressor, note in fitted:
        predicted = regressor.predict(held_out).tolist() if unseen else []
        answers = [
            _number_answer(task, scan, truth[scan.scan_id], numbers[scan.scan_id], number)
            for scan, number in zip(unseen, predicted, strict=True)
        ]
        methods.append(Method(name=name, answers=answers, note=note, baseline=True))
    return methods


def _number_answer(
    task: Task, scan: ScanConnectome, truth: str, true_number: float, number: float
) -> ScanAnswer:
    return ScanAnswer(
        scan_id=scan.scan_id,
        subject=scan.subject,
        task=task.name,
        paradigm=None,
        truth=truth,
        answer=task.candidates[bin_number(number, fitted_bins(task).edges)],
        probabilities=None,
        true_number=true_number,
        number=number,
    )


def _ridge_note(fitted: ConnectomeRegressor) -> str:
    if fitted.chosen_:
        return f"alpha = {fitted.alpha_:g}, chosen by cross-validation on training subjects"
    return f"alpha = {fitted.alpha_:g}, fixed: there are fewer than {N_FOLDS} training subjects"


def _note(fitted: ConnectomeClassifier) -> str:
    if fitted.pipeline_ is None:
        return "every training scan has the same answer, so nothing was fitted"
    if fitted.chosen_:
        return f"C = {fitted.regularisation_:g}, chosen by cross-validation on training subjects"
    return (
        f"C = {fitted.regularisation_:g}, fixed: an answer has fewer than {N_FOLDS}"
        " training subjects"
    )
