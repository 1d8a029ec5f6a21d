"""Columns that give a task's answer away, and so stay out of its texts."""

from fmri_descriptors.errors import InputError
from fmri_descriptors.phenotypes.dictionary import PhenotypeColumn, PhenotypeDictionary, nearest


def visible_columns(
    dictionary: PhenotypeDictionary, task: str | None
) -> tuple[PhenotypeColumn, ...]:
    """Columns that a text may show where a task is asked.

    A column that bears the task's name is kept out of its text whether declared or not.

    Parameters
    ----------
    dictionary : PhenotypeDictionary
        What the columns mean, and which tasks each gives away.
    task : str or None
        The task; None keeps no column out.

    Raises
    ------
    InputError
        If the dictionary does not know the task.
    """
    if task is not None and task not in dictionary.tasks:
        raise InputError(
            f"phenotype dictionary: task {task!r} is not among its tasks; "
            f"{nearest(task, dictionary.tasks)}"
        )
    return tuple(c for c in dictionary.columns if task not in {*c.gives_away, c.name})
