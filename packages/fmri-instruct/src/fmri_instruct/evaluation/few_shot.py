"""Few-shot scores: linear methods that learn from a handful of labels, drawn several times."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmri_instruct.baselines.linear import LinearClassifier, LinearRegressor
from fmri_instruct.baselines.scan_features import FeatureTable
from fmri_instruct.evaluation.baseline_answers import (
    LabelledScans,
    baselines_of,
    features_of,
    fitted_answers,
    true_answers,
)
from fmri_instruct.evaluation.probe import PromptStates
from fmri_instruct.prompts.instructions import Instruction
from fmri_instruct.scoring.answer_table import AnswerTable, ScanAnswer
from fmri_instruct.scoring.number_table import NumberTable
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.kinds import CLASS_METRICS, NUMBER_METRICS, metrics_of

__all__ = ["draw_labels", "few_shot_scores"]

LINEAR = ("connectome", "tangent")
"""Kinds of features; trees need more than a handful of labels."""

Look = Callable[[Sequence[str]], NDArray[np.float64]]
"""Features of scans, by scan id."""


def draw_labels(
    answers: Mapping[str, str],
    subjects: Mapping[str, str],
    per_answer: int,
    rng: np.random.Generator,
) -> list[str] | None:
    """Draw training scans with equally many labels of each answer.

    Parameters
    ----------
    answers : mapping of str to str
        True answers of training scans, by scan id.
    subjects : mapping of str to str
        Whose scans they are.
    per_answer : int
        Scans of each answer, each of another subject.
    rng : Generator

    Returns
    -------
    list of str or None
        Scan ids; None if some answer has fewer subjects.
    """
    drawn: list[str] = []
    for answer in sorted(set(answers.values())):
        by_subject: dict[str, list[str]] = {}
        for scan_id in sorted(answers):
            if answers[scan_id] == answer:
                by_subject.setdefault(subjects[scan_id], []).append(scan_id)
        if len(by_subject) < per_answer:
            return None
        chosen = rng.permutation(sorted(by_subject))[:per_answer]
        drawn += [str(rng.choice(by_subject[subject])) for subject in chosen]
    return drawn


def few_shot_scores(
    task: Task,
    instructions: Mapping[str, Sequence[Instruction]],
    table: FeatureTable,
    states: PromptStates | None,
    settings: EvaluateSettings,
    seed: int,
    numbers: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Scores on all test scans of methods that learned from few labels.

    Penalties are fixed, and so is the layer of the hidden states (the middle one): choosing them
    would take further labels.

    Parameters
    ----------
    task : Task
        What is asked.
    instructions : mapping of str to sequence of Instruction
        Training and test instructions, by split.
    table : FeatureTable
        Features of the scans.
    states : PromptStates or None
        Hidden states of a model, where there are any.
    settings : EvaluateSettings
        How many labels, how often they are drawn, and the penalty.
    seed : int
        Seed of the draws; all methods learn from the same ones.
    numbers : mapping of str to float, optional
        Of a continuous task: the true number by scan id; labels are then drawn evenly of its bins.

    Returns
    -------
    list of dict
        ``method``, ``labels_per_answer``, ``draws``, and by metric ``mean``, ``sd`` and ``values``
        over the draws. Without draws where an answer has fewer subjects.
    """
    train, test = (true_answers(instructions[split], task.name) for split in ("train", "test"))
    subjects = {each.scan_id: each.subject for rows in instructions.values() for each in rows}
    scans = LabelledScans(task, [], [], [], test, numbers or {})
    found = []
    for name, look in _methods(task, table, states):
        for per_answer in settings.few_shot:
            drawn = [
                draw_labels(train, subjects, per_answer, np.random.default_rng([seed, k]))
                for k in range(settings.few_shot_draws)
            ]
            scores = [
                _scores(scans, _learned(scans, train, subjects, each, look, settings))
                for each in drawn
                if each is not None and test
            ]
            row = {"method": name, "labels_per_answer": per_answer, "draws": len(scores)}
            found.append(row | {m: _spread([s[m] for s in scores]) for m in metrics_of(task.kind)})
    return found


def _methods(
    task: Task, table: FeatureTable, states: PromptStates | None
) -> list[tuple[str, Look]]:
    row = {scan_id: place for place, scan_id in enumerate(table.scan_ids)}

    def look_up(features: NDArray[np.float64]) -> Look:
        return lambda scan_ids: features[[row[scan_id] for scan_id in scan_ids]]

    found = [
        (each.name, look_up(features_of(each.kind, task, table)[0]))
        for each in baselines_of(task, table)
        if each.kind in LINEAR
    ]
    if states is not None:
        layer = states.layers[len(states.layers) // 2]
        kind = "ridge" if task.kind == "continuous" else "logistic"
        found.append(
            (
                f"hidden state + {kind} regression",
                lambda scan_ids: states.of(task.name, scan_ids, layer),
            )
        )
    return found


def _learned(
    scans: LabelledScans,
    answers: Mapping[str, str],
    subjects: Mapping[str, str],
    drawn: Sequence[str],
    look: Look,
    settings: EvaluateSettings,
) -> list[ScanAnswer]:
    """Answers about the test scans of a linear model of the drawn labels."""
    continuous = scans.task.kind == "continuous"
    targets: Mapping[str, Any] = scans.numbers if continuous else answers
    model = (LinearRegressor if continuous else LinearClassifier)(
        settings.regularisation, choose=False
    )
    y, groups = [targets[scan] for scan in drawn], [subjects[scan] for scan in drawn]
    fitted = model.fit(look(drawn), y, groups)
    asked = [(scan_id, subjects[scan_id]) for scan_id in scans.truth]
    return fitted_answers(fitted, look(list(scans.truth)), asked, scans)


def _scores(scans: LabelledScans, answers: Sequence[ScanAnswer]) -> dict[str, float | None]:
    chosen, numbers = AnswerTable.of(answers, scans.task.candidates), NumberTable.of(answers)
    every = np.arange(len(answers))
    found = {metric: chosen.score(metric, every) for metric in CLASS_METRICS}
    if numbers is not None:
        found |= {metric: numbers.score(metric, every) for metric in NUMBER_METRICS}
    return found


def _spread(values: Sequence[float | None]) -> dict[str, Any] | None:
    """Mean and standard deviation of the defined scores; None without any."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    sd = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return {"mean": float(np.mean(known)), "sd": sd, "values": known}
