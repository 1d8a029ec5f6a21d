"""Free text to answers; a text that states no single answer is unparsed, never a default class."""

import re
from collections.abc import Iterator, Sequence

from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.prompt_leaks import answer_pattern

SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n+")  # the point in 1.5 ends none
CLAUSE = re.compile(r",?\s+(?:and|but|while|whereas|although|though)\s+", re.IGNORECASE)
NEGATION = re.compile(
    r"\b(?:not|no|never|neither|nor|cannot|without|unlikely|hardly|rather than|instead of)\b"
    r"|n['’]t\b",
    re.IGNORECASE,
)
NEGATION_REACH = 4  # words: "is not in the older group" is a denial, a whole clause away is not


def parse_answers(text: str, tasks: Sequence[Task]) -> dict[str, str | None]:
    """Find the answer that a text states to each task, None where it states none or several.

    Parameters
    ----------
    text : str
        Generated or written text.
    tasks : sequence of Task
        What the text was asked about. Where it is one task, the text need not name the topic.

    Returns
    -------
    dict of str to (str or None)
        By task name.

    Notes
    -----
    A clause counts for the tasks whose topic words it holds; a clause with no topic word at all
    carries on with the topic before it in its sentence. Mentions are whole words. A mention shortly
    after a negation denies its answer. A task is answered when exactly one answer is affirmed and
    that answer is nowhere denied. Questions state nothing.

    Examples
    --------
    >>> from fmri_instruct.tasks.definitions import load_tasks
    >>> parse_answers("An older adult. Clustering is not above the range.", load_tasks())
    {'age_group': 'older', 'visual_strength': None, 'clustering': None}
    """
    affirmed: dict[str, set[str]] = {task.name: set() for task in tasks}
    denied: dict[str, set[str]] = {task.name: set() for task in tasks}
    for clause, topics in _clauses(text, tasks):
        for task in topics:
            for answer, negated in _mentions(clause, task.candidates):
                (denied if negated else affirmed)[task.name].add(answer)
    return {task.name: _only(affirmed[task.name], denied[task.name]) for task in tasks}


def _clauses(text: str, tasks: Sequence[Task]) -> Iterator[tuple[str, list[Task]]]:
    """Clauses of the text, each with the tasks it is about."""
    always = [task for task in tasks if not task.topic]
    for sentence in SENTENCE_END.split(text):
        if sentence.rstrip().endswith("?"):
            continue
        current = list(tasks) if len(tasks) == 1 else []
        for clause in CLAUSE.split(sentence):
            current = [task for task in tasks if _names(clause, task.topic)] or current
            yield clause, [*always, *(task for task in current if task not in always)]


def _names(clause: str, words: Sequence[str]) -> bool:
    return bool(words) and answer_pattern(words).search(clause) is not None


def _mentions(clause: str, candidates: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Answers that a clause names, each with whether it is denied."""
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    for found in answer_pattern(candidates).finditer(clause):
        before = clause[: found.start()].split()[-NEGATION_REACH:]
        yield by_lower[found[1].lower()], NEGATION.search(" ".join(before)) is not None


def _only(affirmed: set[str], denied: set[str]) -> str | None:
    return next(iter(affirmed)) if len(affirmed) == 1 and not affirmed & denied else None
