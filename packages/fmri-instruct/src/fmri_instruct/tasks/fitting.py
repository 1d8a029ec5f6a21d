"""Tasks as a cohort has them: columns found, bins fitted on its training subjects."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmri_instruct.tasks.bins import fit_bins
from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.labels import zscores_for
from fmri_instruct.tasks.numbers import column_of, numbers_of
from fmri_instruct.tasks.sources import NumberLabel, ZScoreLabel, source_names
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.cohort import read_scan_table

if TYPE_CHECKING:
    import pandas as pd


def fit_tasks(tasks: Sequence[Task], cohort_dir: Path, descriptors_dir: Path) -> tuple[Task, ...]:
    """Settle tasks for a cohort: which there are, their columns, and their bins.

    Bins are fitted on training subjects alone. A subject counts once, by the mean of its training
    scans, so that whoever was scanned more often does not weigh more.

    Parameters
    ----------
    tasks : sequence of Task
        From `fmri_instruct.tasks.definitions.load_tasks`.
    cohort_dir : Path
        A cohort folder.
    descriptors_dir : Path
        The descriptors folder of that cohort; read only if a task needs it.

    Returns
    -------
    tuple of Task
        With one column name each, and with fitted bins. Optional tasks whose source the cohort
        lacks are left out.

    Raises
    ------
    InputError
        If a column or feature of a task that is not optional is missing, a column to be cut into
        bins holds text, an answer would have no training subject, or no task is left.

    Examples
    --------
    >>> fit_tasks(load_tasks("ukb"), run / "cohort", run / "descriptors")  # doctest: +SKIP
    """
    cohort = read_scan_table(cohort_dir)
    zscores = zscores_for(tasks, cohort, descriptors_dir)
    present = [task for task in tasks if not task.optional or _is_there(task, cohort, zscores)]
    if not present:
        asked = ", ".join(
            dict.fromkeys(name for task in tasks for name in source_names(task.label))
        )
        raise InputError(
            f"{cohort_dir}: none of the tasks can be asked, as there is no column {asked}; give "
            "the table of phenotypes to `fmri cohort`"
        )
    return tuple(_settled(task, cohort, zscores) for task in present)


def _is_there(task: Task, cohort: "pd.DataFrame", zscores: "pd.DataFrame | None") -> bool:
    of_scan = getattr(task.label, "zscore", None) is not None
    table = zscores if of_scan and zscores is not None else cohort
    return any(name in table.columns for name in source_names(task.label))


def _settled(task: Task, cohort: "pd.DataFrame", zscores: "pd.DataFrame | None") -> Task:
    label, changes = task.label, dict[str, Any]()
    if not isinstance(label, ZScoreLabel) and label.phenotype is not None:
        changes["phenotype"] = column_of(task.name, label.phenotype, cohort)
    if isinstance(label, NumberLabel):
        by_subject = _training_subjects(numbers_of(task.name, label, cohort, zscores), cohort)
        try:
            changes["fitted"] = fit_bins(label.bins, by_subject, task.candidates)
        except InputError as error:
            raise InputError(f"task {task.name}: {error}") from error
    return task.model_copy(update={"label": label.model_copy(update=changes)})


def _training_subjects(numbers: "pd.Series", cohort: "pd.DataFrame") -> list[float]:
    """One number a training subject that has any: the mean of its scans."""
    known = numbers[(cohort["split"] == "train") & numbers.notna()]
    return known.groupby(cohort.loc[known.index, "sub"]).mean().tolist()
