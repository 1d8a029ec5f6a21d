"""What is asked of a cohort: tasks, their answers, and where the true answers come from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import MinLen
from pydantic import Field, ValidationError, model_validator

from fmri_instruct.tasks.entry import Entry, Text
from fmri_instruct.tasks.kinds import Kind, metrics_of
from fmri_instruct.tasks.prompt_leaks import refuse_hint
from fmri_instruct.tasks.ready import QUESTIONS, find_tasks
from fmri_instruct.tasks.sources import Label, NumberLabel, PhenotypeLabel, kind_of_label
from fmri_vqtok.errors import InputError, did_you_mean
from fmri_vqtok.formats.reading import reading
from fmri_vqtok.formats.validation import input_error
from fmri_vqtok.formats.yaml_files import read_yaml

SCHEMA = 1

_EXAMPLES = {
    "title": "title: age group",
    "answers": "answers: [young, old]",
    "label": "label: {phenotype: age_group}",
}


class Task(Entry):
    """One thing that is asked of a scan.

    Parameters
    ----------
    name : str
        Short name, used in files and tables.
    title : str
        Name in running text, such as ``age group``.
    candidates : tuple of str
        The possible answers, at least two; for z-scores and bins from low to high.
    label : PhenotypeLabel, ZScoreLabel or NumberLabel
        Where the true answer comes from.
    questions : tuple of str
        Wordings of the question; the first is the canonical one, which training scans get only
        where there is no other.
    statements : tuple of str
        Wordings of an answer in a sentence, with ``{answer}``; the first is the canonical one.
    kind : str
        ``binary``, ``categorical``, ``ordinal`` (answers from low to high) or ``continuous``
        (ordinal bins whose expected value is scored). Where it is not given, z-scores and bins are
        ordinal, and answers of a column binary or categorical by their number.
    metric : str
        Main score; accuracy where it is not given, of a continuous task the MAE.
    topic : tuple of str
        Words by which a sentence shows that it is about this task. Empty when the answers
        themselves show it.
    caveat : str or None
        What a reader of the scores must know about the label.
    unit : str or None
        Unit of the number in a label with bins.
    give_away : tuple of str
        Other columns of the cohort from which the answer follows. A task with such a column is not
        asked in the same turn.
    context : tuple of str
        What a prompt may tell beside the scan: ``semantic``, the text about the person of a
        phenotype dictionary, and ``descriptors``, measures of the scan in words.
    optional : bool
        Whether the task is left out where the cohort has none of the label's columns.

    Notes
    -----
    The key of the candidates is ``answers`` in a tasks file, and ``candidates`` in ``tasks.json``.
    """

    name: Text
    title: Text
    candidates: tuple[Text, ...] = Field(alias="answers")
    label: Label
    questions: Annotated[tuple[Text, ...], MinLen(1)]
    statements: Annotated[tuple[Text, ...], MinLen(1)]
    kind: Kind
    metric: Text
    topic: tuple[Text, ...] = ()
    caveat: Text | None = None
    unit: Text | None = None
    give_away: tuple[Text, ...] = ()
    context: tuple[Literal["semantic", "descriptors"], ...] = ()
    optional: bool = False

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, entry: Any) -> Any:
        if not isinstance(entry, dict):
            return entry
        kind = entry.get("kind") or _usual_kind(entry)
        usual = "mae" if kind == "continuous" else "accuracy"
        return {**entry, "kind": kind, "metric": entry.get("metric") or usual}

    @model_validator(mode="after")
    def _check(self) -> "Task":
        _check_answers(self)
        _check_kind(self)
        if self.metric not in metrics_of(self.kind):
            known = ", ".join(metrics_of(self.kind))
            raise InputError(f"metric: '{self.metric}'; a {self.kind} task has {known}")
        for statement in self.statements:
            if statement.count("{answer}") != 1:
                raise InputError(f"statements: '{statement}'; write {{answer}} in it once")
        refuse_hint(self.title, [self], "title")
        for question in self.questions:
            refuse_hint(question, [self], "questions")
        return self


def read_task(entry: Mapping[str, Any], where: str) -> Task:
    """Make a task of an entry of a tasks file or of ``tasks.json``.

    Parameters
    ----------
    entry : mapping
        Values by key; `Task.model_dump` in mode ``json`` gives such a mapping.
    where : str
        Where the entry is from, for messages.

    Raises
    ------
    InputError
        If a key is unknown or missing, or a value or wording cannot be used.
    """
    try:
        return Task.model_validate(entry)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        example = _EXAMPLES.get(str(fault["loc"][-1])) if fault["type"] == "missing" else None
        advice = f", such as `{example}`" if example else ""
        raise InputError(f"{input_error(error, where)}{advice}") from error


def load_tasks(source: Path | str | None = None) -> tuple[Task, ...]:
    """Read the tasks of a tasks file, in the order of the file.

    Parameters
    ----------
    source : Path, str or None, default=None
        A YAML file with the key ``tasks``, or the name of one that ships with this package, such as
        ``ukb``; None means that of the demo. A task that gives no `questions` or `statements` takes
        those of its name in ``bank/questions.yaml``.

    Returns
    -------
    tuple of Task

    Raises
    ------
    InputError
        If the file cannot be read, a key is unknown or missing, or a wording names an answer.

    Examples
    --------
    >>> [task.name for task in load_tasks()]
    ['age_group', 'visual_strength', 'clustering']
    >>> [task.name for task in load_tasks("adhd200")]
    ['dx', 'sex']
    """
    path = find_tasks(source)
    document = _read_mapping(path)
    for key in document:
        if key not in ("schema", "tasks"):
            hint = did_you_mean(key, ("schema", "tasks"))
            raise InputError(f"{path}: {key}: unknown key; {hint}")
    if (found := document.get("schema", SCHEMA)) != SCHEMA:
        raise InputError(
            f"{path}: schema {found}, but this version reads schema {SCHEMA}; upgrade fmri-instruct"
        )
    entries = document.get("tasks")
    if not isinstance(entries, dict) or not entries:
        raise InputError(f"{path}: no tasks; give `tasks:` with one entry per task")
    bank = _read_mapping(QUESTIONS)
    tasks = []
    for name, entry in entries.items():
        where = f"{path}: tasks.{name}"
        if not isinstance(entry, dict):
            raise InputError(f"{where}: {entry!r}; give a mapping with title, answers and label")
        task = read_task({**bank.get(name, {}), **entry, "name": name}, where)
        if isinstance(task.label, NumberLabel) and task.label.fitted:
            raise InputError(f"{where}.label.fitted: is found from training subjects; drop it")
        tasks.append(task)
    return tuple(tasks)


def _usual_kind(entry: Mapping[str, Any]) -> Kind:
    if kind_of_label(entry.get("label")) in ("zscore", "number"):
        return "ordinal"
    answers = entry.get("answers", entry.get("candidates", ()))
    return "binary" if isinstance(answers, list | tuple) and len(answers) == 2 else "categorical"


def _check_answers(task: Task) -> None:
    answers = list(task.candidates)
    if len(answers) < 2 or len(set(answers)) < len(answers):
        raise InputError(f"answers: {answers}; give at least two different answers")
    if isinstance(task.label, PhenotypeLabel):
        for answer in task.label.values.values():
            if answer not in answers:
                raise InputError(f"label.values: '{answer}'; {did_you_mean(answer, answers)}")
    elif isinstance(task.label, NumberLabel):
        if task.label.bins.n_bins != len(answers):
            raise InputError(
                f"answers: {len(answers)} answers for {task.label.bins.n_bins} bins; give one "
                "answer a bin, from low to high"
            )
    elif (edges := len(task.label.thresholds)) + 1 != len(answers):
        raise InputError(
            f"answers: {len(answers)} answers for {edges} thresholds; n thresholds part n + 1 "
            "answers"
        )


def _check_kind(task: Task) -> None:
    binned = isinstance(task.label, NumberLabel)
    if task.kind == "continuous" and not binned:
        raise InputError(
            "kind: continuous needs a number in bins, such as "
            "`label: {phenotype: age, bins: {quantiles: 3}}`"
        )
    if task.kind == "categorical" and not isinstance(task.label, PhenotypeLabel):
        raise InputError("kind: categorical, but bins have an order; give ordinal or continuous")
    if task.kind == "binary" and len(task.candidates) != 2:
        raise InputError(f"kind: binary, but there are {len(task.candidates)} answers; give two")
    if "descriptors" in task.context and getattr(task.label, "zscore", None) is not None:
        raise InputError(
            f"context: descriptors tell the z-score that task '{task.name}' asks about; drop it"
        )
    if task.unit and not binned:
        raise InputError(f"unit: '{task.unit}'; only a label with bins has a unit, drop it")


def _read_mapping(path: Path) -> dict[str, Any]:
    with reading(path, "give a tasks file"):
        document = read_yaml(path)
    if not isinstance(document, dict):
        raise InputError(f"{path}: not a mapping; begin it with `schema: 1` and `tasks:`")
    return document
