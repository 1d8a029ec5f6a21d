"""True answers of a task, by scan, from a phenotype column, a cohort z-score or a number."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fmri_instruct.tasks.bins import FittedBins, bin_number
from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.numbers import column_of, feature_of, numbers_of
from fmri_instruct.tasks.sources import NumberLabel, PhenotypeLabel, ZScoreLabel
from fmri_vqtok.errors import InputError, did_you_mean
from fmri_vqtok.formats.zscores import FILE, read_zscores

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 5  # values of a column that a message lists


def label_scans(
    tasks: Sequence[Task], cohort: "pd.DataFrame", descriptors_dir: Path
) -> "pd.DataFrame":
    """Look up the true answers: one row per scan of the cohort, one column per task.

    Parameters
    ----------
    tasks : sequence of Task
        What is asked; bins are fitted.
    cohort : pandas.DataFrame
        From `fmri_vqtok.formats.cohort.read_scan_table`.
    descriptors_dir : Path
        Folder with ``zscores.parquet``; read only if a task needs it.

    Returns
    -------
    pandas.DataFrame
        Index as in `cohort`; None where the scan has no label for the task. Joined by scan id.

    Raises
    ------
    InputError
        If a column or feature is missing, a phenotype value is none of the task's answers, an
        answer of a subset is nobody's, or bins are not fitted.
    """
    import pandas as pd

    zscores = zscores_for(tasks, cohort, descriptors_dir)
    columns: dict[str, list[str | None]] = {}
    for task in tasks:
        if isinstance(task.label, PhenotypeLabel):
            columns[task.name] = _from_phenotype(task, task.label, cohort)
        elif isinstance(task.label, NumberLabel):
            numbers = numbers_of(task.name, task.label, cohort, zscores)
            columns[task.name] = _from_numbers(task, numbers)
        elif zscores is not None:
            columns[task.name] = _from_zscores(task, task.label, zscores, cohort.index)
    return pd.DataFrame(columns, index=cohort.index, dtype=object)


def number_scans(
    tasks: Sequence[Task], cohort: "pd.DataFrame", descriptors_dir: Path
) -> dict[str, dict[str, float]]:
    """Look up the true numbers of the continuous tasks, by task and scan id.

    Parameters
    ----------
    tasks : sequence of Task
        What is asked; those that are not continuous are passed over.
    cohort : pandas.DataFrame
        From `fmri_vqtok.formats.cohort.read_scan_table`.
    descriptors_dir : Path
        Folder with ``zscores.parquet``; read only if a task needs it.

    Returns
    -------
    dict of str to dict of str to float
        Scans without a number are left out.

    Raises
    ------
    InputError
        If a column or feature is missing, or a column holds text.
    """
    zscores = zscores_for(tasks, cohort, descriptors_dir)
    found = {
        task.name: numbers_of(task.name, task.label, cohort, zscores).dropna()
        for task in tasks
        if task.kind == "continuous" and isinstance(task.label, NumberLabel)
    }
    return {
        name: {str(scan_id): float(number) for scan_id, number in numbers.items()}
        for name, numbers in found.items()
    }


def fitted_bins(task: Task) -> FittedBins:
    """Return the fitted bins of a task.

    Parameters
    ----------
    task : Task
        A task whose label has bins.

    Returns
    -------
    FittedBins

    Raises
    ------
    InputError
        If they are not fitted.
    """
    if not isinstance(task.label, NumberLabel) or task.label.fitted is None:
        raise InputError(
            f"task {task.name}: no fitted bins; call `fit_tasks(tasks, cohort_dir, "
            "descriptors_dir)` first"
        )
    return task.label.fitted


def zscores_for(
    tasks: Sequence[Task], cohort: "pd.DataFrame", descriptors_dir: Path
) -> "pd.DataFrame | None":
    """Cohort z-scores if a task needs them; see `zscores_of`.

    Parameters
    ----------
    tasks : sequence of Task
        What is asked.
    cohort : pandas.DataFrame
        From `fmri_vqtok.formats.cohort.read_scan_table`.
    descriptors_dir : Path
        Folder with ``zscores.parquet``.

    Returns
    -------
    pandas.DataFrame or None
        None where no task has a z-score.
    """
    needed = any(getattr(task.label, "zscore", None) is not None for task in tasks)
    return zscores_of(descriptors_dir, cohort) if needed else None


def zscores_of(directory: Path, cohort: "pd.DataFrame") -> "pd.DataFrame":
    """Cohort z-scores of the descriptors folder, one row per scan of the cohort that has any.

    Parameters
    ----------
    directory : Path
        A descriptors folder with ``zscores.parquet``.
    cohort : pandas.DataFrame
        From `fmri_vqtok.formats.cohort.read_scan_table`.

    Returns
    -------
    pandas.DataFrame
        Index ``scan_id``, one column per feature.

    Raises
    ------
    InputError
        If the file cannot be read, or has a scan in another split than the cohort does (its
        norms would then have seen held-out scans).
    """
    table = read_zscores(directory)
    table = table.loc[table.index.intersection(cohort.index)].sort_index()
    moved = table.index[table["split"] != cohort.loc[table.index, "split"]]
    if len(moved):
        scan = moved[0]
        raise InputError(
            f"{directory / FILE}: {scan} is in split '{table.loc[scan, 'split']}', but the cohort "
            f"has it in '{cohort.loc[scan, 'split']}'; describe this cohort again"
        )
    return table.drop(columns="split")


def bin_of(z: float, thresholds: Sequence[float]) -> int:
    """Find the bin that a z-score falls in, counted from the lowest.

    Parameters
    ----------
    z : float
        In standard deviations.
    thresholds : sequence of float
        Ascending bin edges; a z-score on an edge belongs to the bin farther from zero.

    Returns
    -------
    int

    Examples
    --------
    >>> [bin_of(z, (-1.0, 1.0)) for z in (-1.0, -0.99, 0.99, 1.0)]
    [0, 1, 1, 2]
    """
    return sum(z >= edge if edge >= 0 else z > edge for edge in thresholds)


def _from_phenotype(task: Task, label: PhenotypeLabel, cohort: "pd.DataFrame") -> list[str | None]:
    column = cohort[column_of(task.name, label.phenotype, cohort)]
    answers = [_answer(task, label, str(scan_id), value) for scan_id, value in column.items()]
    nobodys = [answer for answer in task.candidates if answer not in answers]
    if label.subset and nobodys:
        # A mistyped value would else leave out everybody who has it, in silence.
        held = ", ".join(list(dict.fromkeys(_written(value) or "n/a" for value in column))[:SHOWN])
        raise InputError(
            f"task {task.name}: nobody's answer is '{nobodys[0]}'; column '{column.name}' holds "
            f"{held}; correct label.values, or drop the task"
        )
    return answers


def _written(value: Any) -> str | None:
    """Cell as a tasks file has it, None where it is missing."""
    if value is None or value != value or str(value).strip() == "":  # noqa: PLR0124 - NaN
        return None
    # A column of whole numbers with gaps comes as floats, and nobody writes 1.0 into a tasks file.
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()


def _answer(task: Task, label: PhenotypeLabel, scan_id: str, value: Any) -> str | None:
    written = _written(value)
    if written is None or written in label.missing:
        return None
    # Keys of a tasks file are text, and `true` may be written in three ways.
    ways = (written, written.lower(), written.upper()) if isinstance(value, bool) else (written,)
    answers = label.values  # noqa: PD011 - a mapping, no table
    answer = next((answers[way] for way in ways if way in answers), written)
    if answer in task.candidates:
        return answer
    if label.subset:
        return None
    raise InputError(
        f"task {task.name}: {scan_id} has '{value}' in column '{label.phenotype}';"
        f" {did_you_mean(answer, task.candidates)} Answers are {', '.join(task.candidates)};"
        " or map it under label.values, or leave other values out by `subset: true`"
    )


def _from_numbers(task: Task, numbers: "pd.Series") -> list[str | None]:
    edges = fitted_bins(task).edges
    return [
        task.candidates[bin_number(number, edges)] if np.isfinite(number) else None
        for number in numbers
    ]


def _from_zscores(
    task: Task, label: ZScoreLabel, zscores: "pd.DataFrame", scan_ids: "pd.Index"
) -> list[str | None]:
    feature = zscores[feature_of(task.name, label.zscore, zscores)]
    return [
        task.candidates[bin_of(z, label.thresholds)] if np.isfinite(z) else None
        for z in feature.reindex(scan_ids).astype(float)
    ]
