"""The baselines' answers about held-out scans, fitted on the training scans of the same task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmri_instruct.artefacts import load_splits
from fmri_instruct.evaluation.baselines import (
    SUBJECTS_FOR_CV,
    ConnectomeClassifier,
    MajorityClass,
    connectome,
    spread,
)
from fmri_instruct.evaluation.scores import Method, ScanAnswer, most_probable
from fmri_instruct.prompts.instructions import Instruction
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks.definitions import Task


@dataclass(frozen=True)
class Recording:
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


def read_recordings(cohort_dir: Path) -> list[Recording]:
    """Connectomes of the training and test scans of a cohort, in order of scan id.

    Parameters
    ----------
    cohort_dir : Path
        A cohort folder.

    Returns
    -------
    list of Recording
        Validation scans are left out: no baseline uses them.
    """
    splits = load_splits(cohort_dir)
    recordings = [
        Recording(
            str(row["scan_id"]),
            str(row["sub"]),
            split,
            connectome(row["bold"], masked=np.ravel(row["std"]) == 0),
        )
        for split in ("train", "test")
        if split in splits
        for row in splits[split]
        .select_columns(["scan_id", "sub", "bold", "std"])
        .with_format("numpy")
    ]
    return sorted(recordings, key=lambda recording: recording.scan_id)


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


def reference_methods(
    task: Task,
    train: Sequence[Instruction],
    held_out: Sequence[Instruction],
    recordings: Sequence[Recording],
    settings: EvaluateSettings,
    seed: int,
) -> list[Method]:
    """Answers of both baselines to one task.

    Parameters
    ----------
    task : Task
        What is asked.
    train, held_out : sequence of Instruction
        Training and test instructions; they say which scans have a label.
    recordings : sequence of Recording
        From `read_recordings`. Only those of the training split are fitted on.
    settings : EvaluateSettings
        The fixed penalty.
    seed : int
        Seed of the inner folds.

    Returns
    -------
    list of Method
    """
    known = true_answers(train, task.name)
    asked = true_answers(held_out, task.name)
    seen = [r for r in recordings if r.split == "train" and r.scan_id in known]
    unseen = [r for r in recordings if r.split == "test" and r.scan_id in asked]
    X = np.array([recording.connectome for recording in seen])
    y = [known[recording.scan_id] for recording in seen]
    subjects = [recording.subject for recording in seen]
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
    scans: Sequence[Recording],
    truth: Mapping[str, str],
    note: str | None,
) -> Method:
    if not scans:
        return Method(name=name, answers=[], note=note, baseline=True)
    X = np.array([scan.connectome for scan in scans])
    rows = spread(fitted.predict_proba(X), fitted.classes_.tolist(), task.candidates)
    return Method(
        name=name,
        note=note,
        baseline=True,
        answers=[
            _answer(task, scan, truth[scan.scan_id], row)
            for scan, row in zip(scans, rows, strict=True)
        ],
    )


def _answer(task: Task, scan: Recording, truth: str, row: NDArray[np.float64]) -> ScanAnswer:
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


def _note(fitted: ConnectomeClassifier) -> str:
    if fitted.pipeline_ is None:
        return "every training scan has the same answer, so nothing was fitted"
    if fitted.chosen_:
        return f"C = {fitted.regularisation_:g}, chosen by cross-validation on training subjects"
    return (
        f"C = {fitted.regularisation_:g}, fixed: an answer has fewer than {SUBJECTS_FOR_CV}"
        " training subjects"
    )
