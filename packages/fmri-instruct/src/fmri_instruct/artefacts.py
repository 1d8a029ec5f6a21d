"""Reading what earlier stages wrote, and writing text files that are the same byte for byte."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmri_instruct.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from datasets import DatasetDict

SCHEMA = 1
SPLITS = ("train", "validation", "test")
RECORDING_COLUMNS = ("bold", "mean", "std")


def read_cohort(directory: Path) -> "pd.DataFrame":
    """Read the cohort's table without its recordings, one row per scan.

    Parameters
    ----------
    directory : Path
        A cohort folder: a dataset with train, validation and test, and ``cohort.json``.

    Returns
    -------
    pandas.DataFrame
        Index ``scan_id`` in rising order, whatever the order on disk; the cohort's columns (with
        phenotypes) and ``split``.

    Raises
    ------
    InputError
        If the folder cannot be read, is of a newer schema, holds a scan twice, or has a subject in
        two splits.
    """
    import pandas as pd

    check_schema(directory, "cohort.json")
    splits = load_splits(directory)
    tables = [
        splits[name]
        .remove_columns(_present(splits[name], RECORDING_COLUMNS))
        .to_pandas()
        .assign(split=name)
        for name in SPLITS
        if name in splits
    ]
    table = pd.concat(tables).set_index("scan_id").sort_index()
    _check_scans(table, directory)
    return table


def read_zscores(directory: Path, cohort: "pd.DataFrame") -> "pd.DataFrame":
    """Cohort z-scores of the descriptors folder, one row per scan of the cohort that has any.

    Parameters
    ----------
    directory : Path
        A descriptors folder with ``zscores.parquet``.
    cohort : pandas.DataFrame
        From `read_cohort`.

    Returns
    -------
    pandas.DataFrame
        Index ``scan_id``, one column per feature.

    Raises
    ------
    InputError
        If the file cannot be read, or places a scan in another split than the cohort does (its
        norms would then have seen held-out scans).
    """
    import pandas as pd

    path = directory / "zscores.parquet"
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); give a descriptors folder") from error
    if "scan_id" in table.columns:
        table = table.set_index("scan_id")
    table = table.loc[table.index.intersection(cohort.index)].sort_index()
    moved = table.index[table["split"] != cohort.loc[table.index, "split"]]
    if len(moved):
        scan = moved[0]
        raise InputError(
            f"{path}: {scan} is in split '{table.loc[scan, 'split']}', but the cohort has it in"
            f" '{cohort.loc[scan, 'split']}'; describe this cohort again"
        )
    return table.drop(columns="split")


def load_splits(directory: Path) -> "DatasetDict":
    """Open a dataset folder with one dataset per split.

    Parameters
    ----------
    directory : Path
        What ``DatasetDict.save_to_disk`` wrote.

    Returns
    -------
    datasets.DatasetDict

    Raises
    ------
    InputError
        If the folder is missing or is no dataset folder.
    """
    from datasets import DatasetDict, load_from_disk

    try:
        splits = load_from_disk(str(directory))
    except (OSError, ValueError) as error:
        raise InputError(f"{directory}: no dataset folder; give the folder of the stage") from error
    if not isinstance(splits, DatasetDict):
        raise InputError(f"{directory}: one dataset without splits; give the folder above it")
    return splits


def check_schema(directory: Path, name: str) -> dict[str, Any]:
    """Read the JSON file that says of which schema an artefact is; refuse a newer one.

    Parameters
    ----------
    directory : Path
        Folder of the artefact.
    name : str
        File in it, such as ``cohort.json``.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If the file cannot be read or its schema is newer than this version reads.
    """
    path = directory / name
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give the folder of the stage") from error
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON; make this stage again") from error
    found = document.get("schema", SCHEMA)
    if found > SCHEMA:
        raise InputError(
            f"{directory}: schema {found}, but this version reads up to {SCHEMA};"
            " upgrade fmri-instruct"
        )
    return document


def write_json(document: Mapping[str, Any], path: Path) -> None:
    """Write a mapping as JSON with sorted keys.

    Parameters
    ----------
    document : mapping
        What to write.
    path : Path
        Where.
    """
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def write_jsonl(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write mappings as JSON, one a line, with sorted keys.

    Parameters
    ----------
    rows : iterable of mapping
        What to write.
    path : Path
        Where.
    """
    lines = [json.dumps(row, sort_keys=True, ensure_ascii=False, allow_nan=False) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a file that `write_jsonl` wrote.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    list of dict

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    try:
        # Not splitlines: a model may write U+2028, which JSON leaves as it is.
        lines = path.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines if line]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give the folder of the stage") from error
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON lines; make this stage again") from error


def _present(dataset: Any, columns: Iterable[str]) -> list[str]:
    return [column for column in columns if column in dataset.column_names]


def _check_scans(table: "pd.DataFrame", directory: Path) -> None:
    twice = table.index[table.index.duplicated()]
    if len(twice):
        raise InputError(f"{directory}: scan {twice[0]} is there twice; give each scan its own id")
    splits = table.groupby("sub")["split"].unique()
    for subject, found in splits.items():
        if len(found) > 1:
            raise InputError(
                f"{directory}: subject {subject} is in {' and '.join(sorted(found))};"
                " split the cohort by subject"
            )
