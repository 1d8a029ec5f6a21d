"""True answers of a task, by scan, from a phenotype column or a cohort z-score."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fmri_instruct.tasks.definitions import PhenotypeLabel, Task, ZScoreLabel
from fmri_vqtok.errors import InputError, did_you_mean
from fmri_vqtok.formats.zscores import FILE, read_zscores

if TYPE_CHECKING:
    import pandas as pd


def label_scans(
    tasks: Sequence[Task], cohort: "pd.DataFrame", descriptors_dir: Path
) -> "pd.DataFrame":
    """Look up the true answers: one row per scan of the cohort, one column per task.

    Parameters
    ----------
    tasks : sequence of Task
        What is asked.
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
        If a column or feature is missing, or a phenotype value is none of the task's answers.
    """
    import pandas as pd

    needs_z = any(isinstance(task.label, ZScoreLabel) for task in tasks)
    zscores = zscores_of(descriptors_dir, cohort) if needs_z else None
    columns: dict[str, list[str | None]] = {}
    for task in tasks:
        if isinstance(task.label, PhenotypeLabel):
            columns[task.name] = _from_phenotype(task, task.label, cohort)
        elif zscores is not None:
            columns[task.name] = _from_zscores(task, task.label, zscores, cohort.index)
    return pd.DataFrame(columns, index=cohort.index, dtype=object)


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
    if label.phenotype not in cohort.columns:
        raise InputError(
            f"task {task.name}: the cohort has no column '{label.phenotype}';"
            f" {did_you_mean(label.phenotype, map(str, cohort.columns))}"
        )
    return [
        _answer(task, label, scan_id, value) for scan_id, value in cohort[label.phenotype].items()
    ]


def _answer(task: Task, label: PhenotypeLabel, scan_id: Any, value: Any) -> str | None:
    if value is None or value != value or str(value).strip() == "":  # noqa: PLR0124 - NaN
        return None
    # A column of whole numbers with gaps comes as floats, and nobody writes 1.0 into a tasks file.
    written = str(int(value) if isinstance(value, float) and value.is_integer() else value)
    # Keys of a tasks file are text, and `true` may be written in three ways.
    ways = (written, written.lower(), written.upper()) if isinstance(value, bool) else (written,)
    answers = label.values  # noqa: PD011 - a mapping, no table
    answer = next((answers[way] for way in ways if way in answers), written)
    if answer not in task.candidates:
        raise InputError(
            f"task {task.name}: {scan_id} has '{value}' in column '{label.phenotype}';"
            f" {did_you_mean(answer, task.candidates)} Answers are {', '.join(task.candidates)};"
            " or map it under label.values"
        )
    return answer


def _from_zscores(
    task: Task, label: ZScoreLabel, zscores: "pd.DataFrame", scan_ids: "pd.Index"
) -> list[str | None]:
    if label.zscore not in zscores.columns:
        raise InputError(
            f"task {task.name}: the descriptors have no feature '{label.zscore}';"
            f" {did_you_mean(label.zscore, map(str, zscores.columns))}"
        )
    return [
        task.candidates[bin_of(z, label.thresholds)] if np.isfinite(z) else None
        for z in zscores[label.zscore].reindex(scan_ids).astype(float)
    ]
