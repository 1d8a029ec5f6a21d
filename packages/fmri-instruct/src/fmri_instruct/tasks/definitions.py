"""What is asked of a cohort: tasks, their answers, and where the true answers come from."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from annotated_types import MinLen
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictFloat,
    Tag,
    ValidationError,
    model_validator,
)

from fmri_instruct.tasks.prompt_leaks import refuse_hint
from fmri_vqtok.errors import InputError, did_you_mean
from fmri_vqtok.formats.reading import reading
from fmri_vqtok.formats.validation import input_error
from fmri_vqtok.formats.yaml_files import read_yaml

SCHEMA = 1
DEMO = Path(__file__).parents[1] / "cohorts" / "demo.yaml"
QUESTIONS = Path(__file__).parents[1] / "bank" / "questions.yaml"

_EXAMPLES = {
    "title": "title: age group",
    "answers": "answers: [young, old]",
    "label": "label: {phenotype: age_group}",
}


def _text(value: Any) -> str:
    # `true` and `false` are values in YAML, and as an answer would become 'True' and 'False'.
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        fix = "put true and false in quotes" if isinstance(value, bool) else "give text"
        raise ValueError(fix)  # noqa: TRY004 - pydantic catches no TypeError
    return str(value).strip()


def _ascending(values: tuple[float, ...]) -> tuple[float, ...]:
    if not values or any(a >= b for a, b in itertools.pairwise(values)):
        raise ValueError("give ascending numbers, such as [-1, 1]")
    return values


def _kind_of_label(entry: Any) -> str | None:
    keys = entry if isinstance(entry, dict) else vars(entry) if isinstance(entry, Entry) else ()
    kinds = [kind for kind in ("phenotype", "zscore") if kind in keys]
    return kinds[0] if len(kinds) == 1 else None


Text = Annotated[str, BeforeValidator(_text)]


class Entry(BaseModel):
    """A part of a tasks file that knows its keys, and names the nearest for an unknown one."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, entry: Any) -> Any:
        fields = cls.model_fields
        named = [field.alias or name for name, field in fields.items()]
        for key in entry if isinstance(entry, dict) else ():
            if key not in fields and key not in named:
                raise InputError(f"{key}: unknown key; {did_you_mean(key, named)}")
        return entry


class PhenotypeLabel(Entry):
    """The answer is in a phenotype column of the cohort.

    Parameters
    ----------
    phenotype : str
        Column of the cohort's table.
    values : mapping of str to str
        Answer by column value, where the two differ; empty when the column holds the answers.
    """

    phenotype: Text
    values: Mapping[str, Text] = {}


class ZScoreLabel(Entry):
    """The answer is the bin that a cohort z-score falls in.

    Parameters
    ----------
    zscore : str
        Column of ``zscores.parquet``.
    thresholds : tuple of float
        Ascending bin edges; n edges part n + 1 answers, given from low to high. A z-score on an
        edge belongs to the bin farther from zero, so that "above" means z >= 1 and "below" z <= -1.
    """

    zscore: Text
    thresholds: Annotated[tuple[StrictFloat, ...], AfterValidator(_ascending)]


Label = Annotated[
    Annotated[PhenotypeLabel, Tag("phenotype")] | Annotated[ZScoreLabel, Tag("zscore")],
    Discriminator(
        _kind_of_label,
        custom_error_type="label",
        custom_error_message="give either `phenotype: COLUMN` or `zscore: FEATURE`",
    ),
]


class Task(Entry):
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
        Words by which a sentence shows that it is about this task. Empty when the answers
        themselves show it.
    caveat : str or None
        What a reader of the scores must know about the label.

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
    topic: tuple[Text, ...] = ()
    caveat: Text | None = None

    @model_validator(mode="after")
    def _check(self) -> "Task":
        answers = list(self.candidates)
        if len(answers) < 2 or len(set(answers)) < len(answers):
            raise InputError(f"answers: {answers}; give at least two different answers")
        if isinstance(self.label, ZScoreLabel):
            edges = len(self.label.thresholds)
            if edges + 1 != len(answers):
                raise InputError(
                    f"answers: {len(answers)} answers for {edges} thresholds; n thresholds part "
                    "n + 1 answers"
                )
        else:
            for answer in self.label.values.values():
                if answer not in answers:
                    raise InputError(f"label.values: '{answer}'; {did_you_mean(answer, answers)}")
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
        tasks.append(read_task({**bank.get(name, {}), **entry, "name": name}, where))
    return tuple(tasks)


def _read_mapping(path: Path) -> dict[str, Any]:
    with reading(path, "give a tasks file"):
        document = read_yaml(path)
    if not isinstance(document, dict):
        raise InputError(f"{path}: not a mapping; begin it with `schema: 1` and `tasks:`")
    return document
