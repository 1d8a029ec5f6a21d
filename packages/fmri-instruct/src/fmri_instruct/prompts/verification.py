"""Checks that every prompt must pass before it is asked, whoever worded it."""

import re
from collections.abc import Sequence

from fmri_instruct.settings import Paradigm
from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.prompt_leaks import mentions, refuse_hint
from fmri_vqtok.errors import InputError

PLACEHOLDER = "<fmri>"
"""Stands in a prompt where the scan goes."""

_FIELD = re.compile(r"\{\w*\}")


def verify_prompt(prompt: str, paradigm: Paradigm, tasks: Sequence[Task], where: str) -> None:
    """Refuse a prompt that gives an answer away, offers too few, or was not filled in.

    The scan stands once, in front. No field is left open. ``single`` and ``multi`` offer every
    answer of each question, all equally often, ``multi`` on the numbered line of the question;
    ``open`` names none but in the titles of the tasks.

    Parameters
    ----------
    prompt : str
        The user's turn.
    paradigm : str
        ``single``, ``multi`` or ``open``.
    tasks : sequence of Task
        What it asks, in order.
    where : str
        What the prompt belongs to, for messages.

    Raises
    ------
    InputError
        With the rule that is broken.
    """
    first, _, text = prompt.partition("\n")
    if first != PLACEHOLDER or PLACEHOLDER in text:
        raise InputError(
            f"{where}: the wording '{prompt}'; write {PLACEHOLDER} once, on a line in front"
        )
    if left := _FIELD.search(text):
        raise InputError(f"{where}: '{left[0]}' of the wording '{text}' was not filled in; drop it")
    refuse_hint(text, tasks, where)
    if paradigm == "open":
        _refuse_offers(text, tasks, where)
        return
    scopes = _numbered_lines(text, len(tasks)) if paradigm == "multi" else [text]
    for task, scope in zip(tasks, scopes, strict=True):
        refuse_hint(scope, [task], where)
        if not mentions(scope, task.candidates):
            raise InputError(
                f"{where}: the wording '{scope}' offers no answers; "
                f"list {', '.join(task.candidates)}"
            )


def _refuse_offers(text: str, tasks: Sequence[Task], where: str) -> None:
    """Refuse an open request that names answers outside of the titles."""
    for task in tasks:
        in_titles = sum(len(mentions(each.title, task.candidates)) for each in tasks)
        named = mentions(text, task.candidates)
        if len(named) > in_titles:
            raise InputError(
                f"{where}: the open wording '{text}' names the answer '{named[0]}'; name none"
            )


def _numbered_lines(text: str, n_questions: int) -> list[str]:
    lines = text.split("\n")
    starts = (f"{number}. " for number in range(1, n_questions + 1))
    return [next((line for line in lines if line.startswith(start)), "") for start in starts]
