"""Paraphrases of prompts: sampled by seed for training, canonical for held-out scans."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from fmri_instruct.settings import PARADIGMS
from fmri_instruct.tasks.definitions import Task
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.reading import reading
from fmri_vqtok.formats.yaml_files import read_yaml

BANK = Path(__file__).parents[1] / "bank"
PLACEHOLDER = "<fmri>"

Item = TypeVar("Item")


class PromptBank:
    """Paraphrases of every kind of prompt.

    Parameters
    ----------
    templates : mapping of str to sequence of str
        Templates by paradigm (``single``, ``multi``, ``open``); the first is the canonical one.

    Notes
    -----
    Each method takes ``rng``: a `random.Random` samples a wording, None means the canonical one.
    """

    def __init__(self, templates: Mapping[str, Sequence[str]]) -> None:
        self.templates = {paradigm: tuple(templates[paradigm]) for paradigm in PARADIGMS}

    @classmethod
    def load(cls, directory: Path = BANK) -> "PromptBank":
        """Read the bank in a folder of ``single.yaml``, ``multi.yaml`` and ``open.yaml``.

        Parameters
        ----------
        directory : Path, optional
            The folder; the shipped bank when it is left out.

        Returns
        -------
        PromptBank

        Raises
        ------
        InputError
            If a file is missing, or is not a list of texts.
        """
        return cls({paradigm: _read_list(directory / f"{paradigm}.yaml") for paradigm in PARADIGMS})

    def single(
        self, task: Task, candidates: Sequence[str], rng: random.Random | None = None
    ) -> str:
        """One question with its possible answers, in the order given.

        Parameters
        ----------
        task : Task
            What is asked.
        candidates : sequence of str
            The task's answers in the order in which the prompt lists them.
        rng : random.Random or None
            Source of the wording.

        Returns
        -------
        str
            The user's turn, after the ``<fmri>`` placeholder and a line break.
        """
        return self.ask(_choose(task.questions, rng), candidates, rng)

    def ask(
        self, question: str, candidates: Sequence[str], rng: random.Random | None = None
    ) -> str:
        """Any question with its possible answers, in the order given.

        Parameters
        ----------
        question : str
            The question itself.
        candidates : sequence of str
            Its possible answers.
        rng : random.Random or None
            Source of the wording around the question.

        Returns
        -------
        str
            The user's turn.
        """
        template = _choose(self.templates["single"], rng)
        return _turn(template.format(question=question, candidates=spoken_list(candidates)))

    def multi(
        self,
        tasks: Sequence[Task],
        candidates: Mapping[str, Sequence[str]],
        rng: random.Random | None = None,
    ) -> str:
        """Several numbered questions in one turn, each with its possible answers.

        Parameters
        ----------
        tasks : sequence of Task
            What is asked, in order.
        candidates : mapping of str to sequence of str
            By task name, the answers in the order in which the prompt lists them.
        rng : random.Random or None
            Source of the wording.

        Returns
        -------
        str
            The user's turn.
        """
        lines = [
            f"{number}. {_choose(task.questions, rng)}"
            f" Options: {spoken_list(candidates[task.name])}."
            for number, task in enumerate(tasks, start=1)
        ]
        template = _choose(self.templates["multi"], rng)
        return _turn(template.format(questions="\n".join(lines), count=len(tasks)))

    def open(self, tasks: Sequence[Task], rng: random.Random | None = None) -> str:
        """Request for a description; it names the attributes, and none of their answers.

        Parameters
        ----------
        tasks : sequence of Task
            The attributes, in order.
        rng : random.Random or None
            Source of the wording.

        Returns
        -------
        str
            The user's turn.
        """
        topics = spoken_list([task.title for task in tasks], last="and")
        return _turn(_choose(self.templates["open"], rng).format(topics=topics))


def question_turn(prompt: str) -> list[dict[str, str]]:
    """Conversation that consists of the user's turn.

    Parameters
    ----------
    prompt : str
        From `PromptBank`.

    Returns
    -------
    list of dict
        One chat message.
    """
    return [{"role": "user", "content": prompt}]


def numbered(answers: Sequence[str]) -> str:
    """Answers as one numbered line each, as several questions are answered in one turn.

    Parameters
    ----------
    answers : sequence of str
        In the order of the questions.

    Returns
    -------
    str
        For instance ``1. younger``, then ``2. above`` on a line of its own.
    """
    return "\n".join(f"{number}. {answer}" for number, answer in enumerate(answers, start=1))


def described(
    tasks: Sequence[Task], answers: Mapping[str, str], rng: random.Random | None = None
) -> str:
    """One sentence per attribute that states its answer.

    Parameters
    ----------
    tasks : sequence of Task
        The attributes, in order.
    answers : mapping of str to str
        Answer by task name.
    rng : random.Random or None
        Source of the wording; None takes the canonical statements.

    Returns
    -------
    str
    """
    return " ".join(
        _choose(task.statements, rng).replace("{answer}", answers[task.name]) for task in tasks
    )


def spoken_list(items: Sequence[str], last: str = "or") -> str:
    """Items as English lists them.

    Parameters
    ----------
    items : sequence of str
        At least one.
    last : str, default="or"
        The word before the last item.

    Returns
    -------
    str

    Examples
    --------
    >>> spoken_list(["below", "within", "above"])
    'below, within or above'
    """
    if len(items) == 1:
        return items[0]
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def _turn(text: str) -> str:
    return f"{PLACEHOLDER}\n{text}"


def _choose(items: Sequence[Item], rng: random.Random | None) -> Item:
    return items[0] if rng is None else rng.choice(items)


def _read_list(path: Path) -> list[str]:
    with reading(path, "give a bank with this file"):
        lines = read_yaml(path)
    if not isinstance(lines, list) or not lines or not all(isinstance(x, str) for x in lines):
        raise InputError(f"{path}: not a list of texts; write one template per item")
    return lines
