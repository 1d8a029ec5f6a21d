"""The numbers behind bins: by scan, from a phenotype column or a cohort z-score."""

from typing import TYPE_CHECKING

import numpy as np

from fmri_instruct.tasks.entry import Names, as_names
from fmri_instruct.tasks.sources import NumberLabel
from fmri_vqtok.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd


def column_of(task: str, names: Names, cohort: "pd.DataFrame") -> str:
    """Name of the first of a label's columns that the cohort has.

    Parameters
    ----------
    task : str
        Name of the task, for the message.
    names : str or tuple of str
        Names of the column, as releases of the data differ.
    cohort : pandas.DataFrame
        From `fmri_vqtok.formats.cohort.read_scan_table`.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If it has none of them.
    """
    every = as_names(names)
    for name in every:
        if name in cohort.columns:
            return name
    asked = " or ".join(f"'{name}'" for name in every)
    raise InputError(
        f"task {task}: the cohort has no column {asked};"
        f" {did_you_mean(every[0], map(str, cohort.columns))}"
    )


def feature_of(task: str, name: str, zscores: "pd.DataFrame") -> str:
    """Name of a feature, once it is sure that the descriptors have it.

    Parameters
    ----------
    task : str
        Name of the task, for the message.
    name : str
        A column of ``zscores.parquet``.
    zscores : pandas.DataFrame
        Z-scores of the cohort, one column a feature.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If the descriptors have no such feature.
    """
    if name not in zscores.columns:
        raise InputError(
            f"task {task}: the descriptors have no feature '{name}';"
            f" {did_you_mean(name, map(str, zscores.columns))}"
        )
    return name


def numbers_of(
    task: str, label: NumberLabel, cohort: "pd.DataFrame", zscores: "pd.DataFrame | None"
) -> "pd.Series":
    """Return the number of every scan of the cohort, NaN where it is missing.

    Parameters
    ----------
    task : str
        Name of the task, for messages.
    label : NumberLabel
        Which number.
    cohort : pandas.DataFrame
        From `fmri_vqtok.formats.cohort.read_scan_table`.
    zscores : pandas.DataFrame or None
        Z-scores of the cohort; needed if the number is one.

    Returns
    -------
    pandas.Series of float
        Index as in `cohort`. Codes of missing values and infinite numbers are NaN.

    Raises
    ------
    InputError
        If the column or feature is missing, or the column holds text.
    """
    if label.zscore is not None and zscores is not None:
        found = zscores[feature_of(task, label.zscore, zscores)].reindex(cohort.index)
    else:
        found = cohort[column_of(task, label.phenotype or (), cohort)]
    try:
        numbers = found.astype(float)
    except (TypeError, ValueError) as error:
        raise InputError(_text_in(task, found)) from error
    missing = [float(code) for code in label.missing]
    return numbers.where(np.isfinite(numbers) & ~numbers.isin(missing))


def _text_in(task: str, column: "pd.Series") -> str:
    shown = next(str(value) for value in column if isinstance(value, str) and not _is_number(value))
    return (
        f"task {task}: column '{column.name}' holds text such as '{shown}', and bins need numbers; "
        f"write n/a for a missing cell, or map its values to answers by `values` in place of `bins`"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
