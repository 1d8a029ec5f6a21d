"""One table of scores over the held-out subjects of several runs, each of which holds out a fold.

Everything was fitted anew in each fold, the tokenizer and the language model included, so that each
subject is scored by a run that has not seen it. Probabilities of the models of different folds are
ranked together, which can only lower an AUC if their scales differ; the score of each fold stands
beside the pooled one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fmri_instruct.evaluation.results import Results
from fmri_instruct.evaluation.scored_answers import read_scored_answers
from fmri_instruct.scoring.scores import Method, TaskFacts, score_task
from fmri_instruct.settings import EvaluateFoldsSettings
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.json_files import read_description

__all__ = ["evaluate_folds"]

SCHEMA = 1
FIX = "give the folder `evaluation` of a run"
SAME = ("title", "kind", "metric", "unit", "candidates")


@dataclass(frozen=True)
class _Fold:
    folder: Path
    scores: Mapping[str, Any]
    methods: Mapping[str, Sequence[Method]]

    def subjects(self) -> set[str]:
        every = (method for methods in self.methods.values() for method in methods)
        return {answer.subject for method in every for answer in method.answers}

    def row(self, task: str, method: str) -> Mapping[str, Any]:
        rows = self.scores.get(task, {"rows": []})["rows"]
        return next((row for row in rows if row["method"] == method), {})


def evaluate_folds(
    evaluations: Sequence[Path], settings: EvaluateFoldsSettings, *, seed: int = 0
) -> Results:
    """Pool the answers of runs with different held-out subjects and score them together.

    Parameters
    ----------
    evaluations : sequence of Path
        What `fmri evaluate` wrote in each run.
    settings : EvaluateFoldsSettings
        Bootstrap of the subjects of all folds.
    seed : int, default=0
        Seed of the resamples.

    Returns
    -------
    Results
        Each row has ``by_fold``, the main score in each fold.

    Raises
    ------
    InputError
        If there are fewer than two runs, a subject is held out in two of them, or they ask
        different things.
    """
    if len(evaluations) < 2:
        raise InputError(f"evaluations: {len(evaluations)}; give the folders of at least two runs")
    folds = [_read(folder) for folder in evaluations]
    _refuse_twice(folds)
    tasks = dict.fromkeys(name for fold in folds for name in fold.scores)
    pooled = {name: _pooled(name, folds) for name in tasks}
    scores: dict[str, Any] = {}
    for name, methods in pooled.items():
        facts = _facts(name, folds)
        scores[name] = score_task(facts, methods, settings, seed)
        for row in scores[name]["rows"]:
            found = [fold.row(name, row["method"]).get(facts.metric) for fold in folds]
            row["by_fold"] = [score and score["value"] for score in found]
    bootstrap = {"resamples": settings.resamples, "unit": "subject", "level": settings.level}
    document = {
        "schema": SCHEMA,
        "tasks": scores,
        "bootstrap": bootstrap,
        "folds": [{"n_subjects": len(fold.subjects())} for fold in folds],
    }
    return Results(answers=[], scores=document, methods=pooled)


def _read(folder: Path) -> _Fold:
    path = folder / "scores.json"
    document = read_description(path, SCHEMA, FIX, keys=["tasks"], package="fmri-instruct")
    return _Fold(folder, document["tasks"], read_scored_answers(folder))


def _refuse_twice(folds: Sequence[_Fold]) -> None:
    owner: dict[str, Path] = {}
    for fold in folds:
        for subject in sorted(fold.subjects()):
            if subject in owner:
                raise InputError(
                    f"subject {subject}: held out in {owner[subject]} and in {fold.folder}; make "
                    "the runs with the same seed and cohort.n_folds, each with its own cohort.fold"
                )
            owner[subject] = fold.folder


def _facts(task: str, folds: Sequence[_Fold]) -> TaskFacts:
    """Return what is asked, the same in all folds that ask it."""
    asked = [fold for fold in folds if task in fold.scores]
    first = asked[0].scores[task]
    for fold in asked[1:]:
        for key in SAME:
            if fold.scores[task][key] != first[key]:
                raise InputError(
                    f"task {task}: {key} is {first[key]} in {asked[0].folder}, and "
                    f"{fold.scores[task][key]} in {fold.folder}; make all folds from one tasks file"
                )
    given = {key: first[key] for key in (*SAME, "caveat")}
    return TaskFacts(**{**given, "candidates": tuple(first["candidates"])})


def _pooled(task: str, folds: Sequence[_Fold]) -> list[Method]:
    """Answers of each method in all folds; a method that a fold lacks is left out there."""
    found: dict[str, Method] = {}
    for fold in folds:
        for method in fold.methods.get(task, ()):
            known = found.get(method.name, replace(method, answers=[]))
            found[method.name] = replace(known, answers=[*known.answers, *method.answers])
    return [replace(method, note=_note(task, method.name, folds)) for method in found.values()]


def _note(task: str, method: str, folds: Sequence[_Fold]) -> str | None:
    notes = [fold.row(task, method).get("note") for fold in folds]
    if len(set(notes)) == 1:
        return notes[0]
    return "set up in each fold by itself; the scores of the folds tell how"
