"""Paraphrases of prompts: drawn by seed for training scans, fixed ones for held-out scans."""

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from fmri_instruct.prompts.grammar import Wordings, read_wordings
from fmri_instruct.prompts.verification import PLACEHOLDER
from fmri_instruct.settings import PARADIGMS, Paradigm
from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.prompt_leaks import favoured_answer

BANK = Path(__file__).parents[1] / "bank"

FIELDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "single": (("question", "candidates"), ()),
    "multi": (("questions",), ("count",)),
    "open": (("topics",), ()),
}
"""By paradigm, the fields that its wordings have once, and further ones that they may have."""

OPTIONS = ("{question} Options: {candidates}.",)
"""How several questions list their answers for held-out scans."""

TRAINING_OPTIONS = (
    "{question} ({candidates})",
    "{question} Choose from {candidates}.",
    "{question} Possible answers: {candidates}.",
)

Item = TypeVar("Item")


class PromptBank:
    """Paraphrases of every kind of prompt.

    Parameters
    ----------
    wordings : mapping of str to Wordings
        By paradigm (``single``, ``multi``, ``open``).

    Notes
    -----
    Each method takes ``rng``: a `random.Random` draws one of the wordings of training scans, None
    means the canonical one of held-out scans. Training scans never get a wording of held-out ones:
    neither the words around a question, nor the first question of a task that has several. A
    wording with a word that is one of the answers ("above") is passed over.
    """

    def __init__(self, wordings: Mapping[str, Wordings]) -> None:
        self.wordings = {paradigm: wordings[paradigm] for paradigm in PARADIGMS}

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
            If a file is missing, or its wordings cannot be used.
        """
        return cls(
            {name: read_wordings(directory / f"{name}.yaml", *FIELDS[name]) for name in PARADIGMS}
        )

    def held_out(self) -> list["PromptBank"]:
        """Banks whose canonical wordings are the held-out ones, each in turn.

        Returns
        -------
        list of PromptBank
            As many as every paradigm has held-out wordings; the first is like this one.
        """
        n_wordings = min(len(each.held_out) for each in self.wordings.values())
        return [
            PromptBank(
                {
                    name: Wordings(each.training, (*each.held_out[k:], *each.held_out[:k]))
                    for name, each in self.wordings.items()
                }
            )
            for k in range(n_wordings)
        ]

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
        return self.ask(_question(task, rng), candidates, rng)

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
        listed = spoken_list(candidates)
        return self._fair(
            "single",
            lambda wording: wording.format(question=question, candidates=listed),
            [candidates],
            rng,
        )

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
        options = _choose(OPTIONS if rng is None else TRAINING_OPTIONS, rng)
        lines = [
            options.format(
                question=_question(task, rng), candidates=spoken_list(candidates[task.name])
            )
            for task in tasks
        ]
        return self._fair(
            "multi",
            lambda wording: wording.format(questions=numbered(lines), count=len(tasks)),
            [task.candidates for task in tasks],
            rng,
        )

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
        return self._fair(
            "open",
            lambda wording: wording.format(topics=topics),
            [task.candidates for task in tasks],
            rng,
        )

    def _fair(
        self,
        paradigm: Paradigm,
        write: Callable[[str], str],
        answers: Sequence[Sequence[str]],
        rng: random.Random | None,
    ) -> str:
        """Write a wording that favours no answer; the last one where all do."""
        wordings = self.wordings[paradigm]
        if rng is None:
            order: Sequence[str] = wordings.held_out
        else:
            order = rng.sample(wordings.training, len(wordings.training))
        text = ""
        for wording in order:
            text = write(wording)
            if not any(favoured_answer(text, each) for each in answers):
                break
        return f"{PLACEHOLDER}\n{text}"


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


def _question(task: Task, rng: random.Random | None) -> str:
    """Wording of a question; training scans get the first one only where there is no other."""
    return _choose(task.questions if rng is None else task.questions[1:] or task.questions, rng)


def _choose(items: Sequence[Item], rng: random.Random | None) -> Item:
    return items[0] if rng is None else rng.choice(items)
