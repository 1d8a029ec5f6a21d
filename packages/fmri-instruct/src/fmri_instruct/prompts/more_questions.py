"""More wordings of the questions of a task, written by a language model and checked one by one."""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from fmri_instruct.prompts.verification import PLACEHOLDER
from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.prompt_leaks import answer_pattern, mentions

__all__ = ["refusal", "with_more_questions"]

Messages = Sequence[dict[str, str]]

LONGEST = 200  # characters of a question

_COMMON = frozenset({"and", "for", "from", "the", "with"})

INSTRUCTIONS = (
    "You reword questions that are asked about a brain scan. Write plain, correct English. Keep "
    "the meaning and the name of what is asked. Name none of the possible answers, and hint at "
    "none. Answer with one question a line, without numbers or quotes."
)

_MARK = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s*")


def with_more_questions(
    task: Task, n: int, ask: Callable[[Messages], str], beside: Sequence[Task] = ()
) -> tuple[Task, Counter[str]]:
    """Add wordings to a task that pass the checks.

    Only the task's title, questions and answers are sent, and nothing of a scan or a person.

    Parameters
    ----------
    task : Task
        What is asked.
    n : int
        Wordings to ask for; at most as many are added.
    ask : callable
        Takes chat messages, returns a language model's text.
    beside : sequence of Task
        Other tasks, which may be asked in the same turn.

    Returns
    -------
    task : Task
        With the new wordings behind its own.
    outcome : Counter of str
        How many wordings were ``kept``, and how many refused by each rule of `refusal`.
    """
    questions = list(task.questions)
    outcome: Counter[str] = Counter()
    for line in ask(_messages(task, n)).splitlines():
        question = _MARK.sub("", line).strip().strip('"“”').strip()
        if not question:
            continue
        reason = refusal(question, task, questions, beside) if outcome["kept"] < n else "too many"
        outcome[reason or "kept"] += 1
        if reason is None:
            questions.append(question)
    return task.model_copy(update={"questions": tuple(questions)}), outcome


def refusal(
    question: str, task: Task, known: Sequence[str], beside: Sequence[Task] = ()
) -> str | None:
    """Why a wording cannot be used, or None if it can.

    Parameters
    ----------
    question : str
        The wording.
    task : Task
        Whose question it is.
    known : sequence of str
        Wordings that there are already.
    beside : sequence of Task
        Other tasks, whose answers it must not name either.

    Returns
    -------
    str or None
        ``placeholder``, ``length``, ``no sentence``, ``names an answer``, ``off the topic`` (it has
        no word of the title or topic) or ``known``.
    """
    of_title = [word for word in re.findall(r"\w{3,}", task.title) if word not in _COMMON]
    words = [*of_title, *task.topic]
    rules = {
        "placeholder": PLACEHOLDER in question or bool(re.search(r"[{}<>]", question)),
        "length": len(question) > LONGEST,
        "no sentence": not re.match(r"[A-Z].*[.?]$", question),
        "names an answer": any(mentions(question, each.candidates) for each in (task, *beside)),
        "off the topic": bool(words) and not answer_pattern(words).search(question),
        "known": question.lower() in {each.lower() for each in known},
    }
    return next((reason for reason, broken in rules.items() if broken), None)


def _messages(task: Task, n: int) -> Messages:
    wordings = "\n".join(task.questions)
    asked = (
        f"What is asked: {task.title}\nPossible answers, to be left out: "
        f"{', '.join(task.candidates)}\nWordings so far:\n{wordings}\nWrite {n} other wordings."
    )
    return [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": asked}]
