"""A question in a person's own words about one scan."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from fmri_instruct.answers.corrections import Corrections
from fmri_instruct.answers.probabilities import ModelReader, ScanReader, most_probable
from fmri_instruct.answers.wordings import ask_one
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks.definitions import Task
from fmri_vqtok.errors import InputError

if TYPE_CHECKING:
    from fmri_llm.data.token_windows import ScanTokens
    from fmri_llm.model.fmri_lm import FMRILM

CLOSE_ENOUGH = 0.75  # similarity of two wordings, 1 for equal ones (difflib's ratio)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A model's answer to one question.

    Parameters
    ----------
    question : str
        As the model was asked it: the canonical question where it belongs to a task.
    task : str or None
        Name of the task that the question belongs to; None if the candidates were given.
    probabilities : dict of str to float
        By candidate; they sum to 1.
    text : str
        The most probable candidate.
    """

    question: str
    task: str | None
    probabilities: dict[str, float]
    text: str


def answer_question(
    model: "FMRILM",
    scan: "ScanTokens",
    question: str,
    tasks: Sequence[Task],
    candidates: Sequence[str] | None = None,
    corrections: Corrections | None = None,
) -> Answer:
    """Ask a model about one scan and return the probabilities of the answers.

    Parameters
    ----------
    model : FMRILM
        A tuned model.
    scan : ScanTokens
        Such as `fmri_llm.data.token_windows.TokenWindows.scan` reads.
    question : str
        A question of `tasks`, in about one of its known wordings or by task name, or any question
        if `candidates` are given.
    tasks : sequence of Task
        What the model was tuned on.
    candidates : sequence of str, optional
        The possible answers.
    corrections : Corrections, optional
        Of the model's evaluation, for the answers that were scored there; uncorrected answers,
        averaged over held-out wordings, without it.

    Returns
    -------
    Answer

    Raises
    ------
    InputError
        If the question is unknown and no candidates are given, or fewer than two are given.
    """
    return ask_reader(ModelReader(model), scan, question, tasks, candidates, corrections)


def ask_reader(
    reader: ScanReader,
    scan: "ScanTokens",
    question: str,
    tasks: Sequence[Task],
    candidates: Sequence[str] | None = None,
    corrections: Corrections | None = None,
) -> Answer:
    """Ask any `ScanReader`; see `answer_question`.

    Parameters
    ----------
    reader : ScanReader
        What answers.
    scan : ScanTokens
        As for `answer_question`.
    question : str
        As for `answer_question`.
    tasks : sequence of Task
        As for `answer_question`.
    candidates : sequence of str, optional
        As for `answer_question`.
    corrections : Corrections, optional
        As for `answer_question`.

    Returns
    -------
    Answer
    """
    asked_as = corrections or Corrections(wordings=EvaluateSettings().wordings)
    task = None if candidates else find_task(question, tasks)
    options = tuple(candidates) if candidates else task.candidates if task else ()
    if len(set(options)) < 2 or len(set(options)) < len(options):
        raise InputError(f"answers: {', '.join(options)}; give at least two different answers")
    # As held-out scans are asked, so that the answer is the one that was scored.
    asked = task.questions[0] if task else question.strip()
    found = ask_one(reader, reader.read(scan), asked, options, asked_as.wordings)
    name = task.name if task else None
    probabilities = asked_as.of(name, "single").apply(found.probabilities)
    return Answer(
        question=asked,
        task=name,
        probabilities=probabilities,
        text=most_probable(probabilities),
    )


def find_task(question: str, tasks: Sequence[Task]) -> Task:
    """Find the task that a question belongs to, by its nearest known wording.

    Parameters
    ----------
    question : str
        A wording or a task's name, in any letter case and punctuation.
    tasks : sequence of Task
        Where to look.

    Returns
    -------
    Task

    Raises
    ------
    InputError
        If no wording comes near; it lists the known questions.
    """
    known = {_plain(wording): task for task in tasks for wording in (task.name, *task.questions)}
    near = get_close_matches(_plain(question), known, n=1, cutoff=CLOSE_ENOUGH)
    if not near:
        questions = " | ".join(task.questions[0] for task in tasks)
        raise InputError(
            f"'{question}': not a question that the model was tuned on. Ask one of: {questions}"
            " Or give the possible answers to a question of your own"
        )
    return known[near[0]]


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower().replace("_", " ")))
