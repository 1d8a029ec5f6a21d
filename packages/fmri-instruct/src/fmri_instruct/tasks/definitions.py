"""What is asked of a cohort: tasks, their answers, and where the true answers come from."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fmri_instruct.errors import InputError, nearest
from fmri_instruct.tasks.prompt_leaks import refuse_hint
from fmri_instruct.yaml_files import YamlError, read_yaml

SCHEMA = 1
DEMO = Path(__file__).parents[1] / "cohorts" / "demo.yaml"
QUESTIONS = Path(__file__).parents[1] / "bank" / "questions.yaml"

TASK_KEYS = ("title", "answers", "label", "questions", "statements", "topic", "caveat")
_LONGEST_SHOWN = 80  # characters of a wrong value that a message repeats

_EXAMPLES = {
    "title": "title: age group",
    "answers": "answers: [young, old]",
    "label": "label: {phenotype: age_group}",
}
LABEL_KEYS = {"phenotype": ("phenotype", "values"), "zscore": ("zscore", "thresholds")}


@dataclass(frozen=True)
class PhenotypeLabel:
    """The answer stands in a phenotype column of the cohort.

    Parameters
    ----------
    column : str
        Column of the cohort's table.
    answers : mapping of str to str
        Answer by column value, where the two differ; empty when the column holds the answers.
    """

    column: str
    answers: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return the label source as the tasks file writes it."""
        return {"phenotype": self.column, "values": dict(self.answers)}


@dataclass(frozen=True)
class ZScoreLabel:
    """The answer is the bin that a cohort z-score falls in.

    Parameters
    ----------
    feature : str
        Column of ``zscores.parquet``.
    thresholds : tuple of float
        Rising bin edges; n edges part n + 1 answers, given from low to high. A z-score on an edge
        belongs to the bin farther from zero, so that "above" means z >= 1 and "below" z <= -1.
    """

    feature: str
    thresholds: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the label source as the tasks file writes it."""
        return {"zscore": self.feature, "thresholds": list(self.thresholds)}


@dataclass(frozen=True)
class Task:
    """One thing that is asked of a scan.

    Parameters
    ----------
    name : str
        Short name, used in files and tables.
    title : str
        Name in running text, such as ``age group``.
    candidates : tuple of str
        The possible answers, at least two; for z-scores from low to high.
    label : PhenotypeLabel or ZScoreLabel
        Where the true answer comes from.
    questions : tuple of str
        Wordings of the question; the first is the canonical one.
    statements : tuple of str
        Wordings of an answer in a sentence, with ``{answer}``; the first is the canonical one.
    topic : tuple of str
        Words by which a sentence shows that it speaks of this task. Empty when the answers
        themselves show it.
    caveat : str or None
        What a reader of the scores must know about the label.
    """

    name: str
    title: str
    candidates: tuple[str, ...]
    label: PhenotypeLabel | ZScoreLabel
    questions: tuple[str, ...]
    statements: tuple[str, ...]
    topic: tuple[str, ...] = ()
    caveat: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the task as ``tasks.json`` holds it; `task_from_dict` is the way back."""
        entry = {key: value for key, value in asdict(self).items() if key != "label"}
        entry["label"] = self.label.to_dict()
        return {key: list(v) if isinstance(v, tuple) else v for key, v in entry.items()}


def task_from_dict(entry: Mapping[str, Any]) -> Task:
    """Make the task that `Task.to_dict` wrote.

    Parameters
    ----------
    entry : mapping
        One element of ``tasks`` in ``tasks.json``.

    Returns
    -------
    Task
    """
    label = entry["label"]
    return Task(
        name=entry["name"],
        title=entry["title"],
        candidates=tuple(entry["candidates"]),
        label=_label(label, f"task {entry['name']}"),
        questions=tuple(entry["questions"]),
        statements=tuple(entry["statements"]),
        topic=tuple(entry["topic"]),
        caveat=entry["caveat"],
    )


def load_tasks(path: Path | str | None = None) -> tuple[Task, ...]:
    """Read the tasks of a tasks file, in the order of the file.

    Parameters
    ----------
    path : Path, str or None, default=None
        A YAML file with the key ``tasks``; None means that of the demo. A task that gives no
        `questions` or `statements` takes those of its name in ``bank/questions.yaml``.

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
    """
    path = Path(path or DEMO)
    document = _read_mapping(path)
    _check_keys(document, ("schema", "tasks"), str(path))
    _check_schema(document.get("schema", SCHEMA), path)
    entries = document.get("tasks")
    if not isinstance(entries, dict) or not entries:
        raise InputError(f"{path}: no tasks; give `tasks:` with one entry per task")
    bank = _read_mapping(QUESTIONS)
    return tuple(
        _task(str(name), entry, bank.get(name, {}), f"{path}: tasks.{name}")
        for name, entry in entries.items()
    )


def _task(name: str, entry: Any, wording: Mapping[str, Any], where: str) -> Task:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: {_shown(entry)}; give a mapping with title, answers and label")
    _check_keys(entry, TASK_KEYS, where)
    for key, example in _EXAMPLES.items():
        if key not in entry:
            raise InputError(f"{where}: no '{key}'; add it, such as `{example}`")
    task = Task(
        name=name,
        title=_text(entry["title"], f"{where}.title"),
        candidates=_texts(entry["answers"], f"{where}.answers"),
        label=_label(entry["label"], f"{where}.label"),
        questions=_wording("questions", entry, wording, where),
        statements=_wording("statements", entry, wording, where),
        topic=_texts(entry.get("topic", []), f"{where}.topic"),
        caveat=_caveat(entry.get("caveat"), f"{where}.caveat"),
    )
    _check_task(task, where)
    return task


def _caveat(value: Any, where: str) -> str | None:
    return None if value is None else _text(value, where)


def _label(entry: Any, where: str) -> PhenotypeLabel | ZScoreLabel:
    kinds = [kind for kind in LABEL_KEYS if isinstance(entry, dict) and kind in entry]
    if len(kinds) != 1:
        raise InputError(
            f"{where}: {_shown(entry)}; give either `phenotype: COLUMN` or `zscore: FEATURE`"
        )
    _check_keys(entry, LABEL_KEYS[kinds[0]], where)
    if kinds == ["phenotype"]:
        values = entry.get("values") or {}
        if not isinstance(values, dict):
            raise InputError(
                f"{where}.values: {_shown(values)}; give a mapping of column value to answer"
            )
        return PhenotypeLabel(
            _text(entry["phenotype"], f"{where}.phenotype"),
            {str(value): _text(answer, f"{where}.values") for value, answer in values.items()},
        )
    return ZScoreLabel(
        _text(entry["zscore"], f"{where}.zscore"), _thresholds(entry.get("thresholds"), where)
    )


def _thresholds(values: Any, where: str) -> tuple[float, ...]:
    numbers = isinstance(values, list) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )
    if not numbers or not values or any(a >= b for a, b in itertools.pairwise(values)):
        raise InputError(
            f"{where}.thresholds: {_shown(values)}; give rising numbers, such as [-1, 1]"
        )
    return tuple(float(value) for value in values)


def _wording(
    key: str, entry: Mapping[str, Any], bank: Mapping[str, Any], where: str
) -> tuple[str, ...]:
    wording = _texts(entry.get(key, bank.get(key, [])), f"{where}.{key}")
    if not wording:
        raise InputError(f"{where}: no '{key}', and the bank has none for this name; add a list")
    return wording


def _check_task(task: Task, where: str) -> None:
    if len(task.candidates) < 2 or len(set(task.candidates)) < len(task.candidates):
        raise InputError(
            f"{where}.answers: {list(task.candidates)}; give at least two different answers"
        )
    if isinstance(task.label, ZScoreLabel) and len(task.label.thresholds) + 1 != len(
        task.candidates
    ):
        raise InputError(
            f"{where}: {len(task.candidates)} answers for {len(task.label.thresholds)} thresholds;"
            " n thresholds part n + 1 answers"
        )
    if isinstance(task.label, PhenotypeLabel):
        for answer in task.label.answers.values():
            if answer not in task.candidates:
                raise InputError(
                    f"{where}.label.values: '{answer}'; {nearest(answer, task.candidates)}"
                )
    for statement in task.statements:
        if statement.count("{answer}") != 1:
            raise InputError(f"{where}.statements: '{statement}'; write {{answer}} in it once")
    for text in (task.title, *task.questions):
        refuse_hint(text, [task], where)


def _check_keys(entry: Mapping[str, Any], valid: Iterable[str], where: str) -> None:
    known = tuple(valid)
    for key in entry:
        if key not in known:
            raise InputError(f"{where}: unknown key '{key}'; {nearest(str(key), known)}")


def _check_schema(schema: Any, path: Path) -> None:
    if schema != SCHEMA:
        raise InputError(
            f"{path}: schema {_shown(schema)}, but this version reads schema {SCHEMA};"
            " upgrade fmri-instruct"
        )


def _texts(values: Any, where: str) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise InputError(f"{where}: {_shown(values)}; give a list of texts")
    return tuple(_text(value, where) for value in values)


def _text(value: Any, where: str) -> str:
    # `true` and `false` are values in YAML, and as an answer would become 'True' and 'False'.
    if isinstance(value, bool):
        raise InputError(f"{where}: {_shown(value)}; put true and false in quotes")
    if not isinstance(value, str | int | float):
        raise InputError(f"{where}: {_shown(value)}; give text")
    return str(value).strip()


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        document = read_yaml(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a tasks file") from error
    except YamlError as error:
        raise InputError(f"{path}: not valid YAML ({error}); correct it") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: not a mapping; begin it with `schema: 1` and `tasks:`")
    return document
