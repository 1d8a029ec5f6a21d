"""Tasks of which one gives away the answer of another, kept out of the same conversation."""

from collections.abc import Sequence

from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.sources import source_names


def revealing_columns(task: Task) -> frozenset[str]:
    """Columns of the cohort, or features, from which the answer to a task follows.

    Parameters
    ----------
    task : Task
        What is asked.

    Returns
    -------
    frozenset of str
        Those of its label, and its `give_away`.
    """
    return frozenset(source_names(task.label)) | frozenset(task.give_away)


def turns_of(tasks: Sequence[Task]) -> list[list[Task]]:
    """Tasks in as few turns as a pass in their order finds, none beside one that reveals it.

    A model that has just answered whether somebody has a diagnosis can answer which one without a
    look at the scan.

    Parameters
    ----------
    tasks : sequence of Task
        What is asked.

    Returns
    -------
    list of list of Task
        Each task once, in the order given.
    """
    turns: list[list[Task]] = []
    for task in tasks:
        room = next((turn for turn in turns if not any(_reveal(task, one) for one in turn)), None)
        if room is None:
            turns.append([task])
        else:
            room.append(task)
    return turns


def _reveal(one: Task, other: Task) -> bool:
    """Whether the answer to either says that to the other."""
    ours, theirs = set(source_names(one.label)), set(source_names(other.label))
    return bool(ours & revealing_columns(other) or theirs & revealing_columns(one))
