"""A prompt must not give the answer away: it names all answers equally often, or none."""

import re
from collections.abc import Sequence
from typing import Protocol

from fmri_vqtok.errors import InputError


class HasCandidates(Protocol):
    """Anything with a name and possible answers, such as a task."""

    @property
    def name(self) -> str:
        """Short name of the task."""

    @property
    def candidates(self) -> tuple[str, ...]:
        """The possible answers."""


def answer_pattern(candidates: Sequence[str]) -> re.Pattern[str]:
    """Whole-word pattern of the answers, the longest first, so that "well above" is not "above".

    Parameters
    ----------
    candidates : sequence of str
        Possible answers of a task.

    Returns
    -------
    re.Pattern
        With the answer in group 1, in any letter case.
    """
    longest_first = sorted(candidates, key=len, reverse=True)
    return re.compile(rf"(?<!\w)({'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)


def mentions(text: str, candidates: Sequence[str]) -> list[str]:
    """List the answers that a text names, in order, one entry per mention.

    Parameters
    ----------
    text : str
        A prompt or an answer.
    candidates : sequence of str
        Possible answers of a task.

    Returns
    -------
    list of str
        Elements of `candidates`.
    """
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    return [by_lower[found.lower()] for found in answer_pattern(candidates).findall(text)]


def favoured_answer(prompt: str, candidates: Sequence[str]) -> str | None:
    """Answer that a prompt names more often than another; None where all are named equally often.

    Parameters
    ----------
    prompt : str
        The user's turn, or a wording from the bank.
    candidates : sequence of str
        Possible answers of a task.

    Returns
    -------
    str or None

    Examples
    --------
    >>> favoured_answer("Is it above the range? Options: below or above.", ["below", "above"])
    'above'
    """
    named = mentions(prompt, candidates)
    counts = {candidate: named.count(candidate) for candidate in candidates}
    if len(set(counts.values())) == 1:
        return None
    return max(counts, key=lambda candidate: counts[candidate])


def refuse_hint(prompt: str, tasks: Sequence[HasCandidates], where: str) -> None:
    """Raise if a prompt names one answer of a task more often than another.

    Parameters
    ----------
    prompt : str
        The user's turn, or a wording from the bank.
    tasks : sequence of Task
        The tasks it asks about.
    where : str
        What the prompt belongs to, for the message.

    Raises
    ------
    InputError
        If the answers of a task are not named equally often.
    """
    for task in tasks:
        if favoured := favoured_answer(prompt, task.candidates):
            raise InputError(
                f"{where}: the wording '{prompt}' names the answer '{favoured}' of task"
                f" '{task.name}'; name all answers equally often, or none"
            )
