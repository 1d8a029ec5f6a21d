"""Dataset directories with one table per split."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.reading import reading

if TYPE_CHECKING:
    from datasets import DatasetDict


def read_splits(
    directory: Path,
    fix: str,
    columns: Sequence[str] | None = None,
    *,
    optional: Sequence[str] = (),
) -> "DatasetDict":
    """Open a dataset directory with one table per split.

    Parameters
    ----------
    directory : Path
    fix : str
        What to do if it cannot be read.
    columns : sequence of str, optional
        The columns that are kept, which each split has to have; all by default.
    optional : sequence of str, default=()
        Further columns, kept where there are any.

    Raises
    ------
    InputError
        If there is no such directory, it is broken, or it has other columns or no splits.
    """
    from datasets import DatasetDict, load_from_disk

    with reading(directory, fix):
        tables = load_from_disk(str(directory))
        if not isinstance(tables, DatasetDict) or not tables:
            raise InputError(f"{directory}: a dataset without splits; {fix}")
        if columns is None:
            return tables
        found = next(iter(tables.values())).column_names
        return tables.select_columns([*columns, *(name for name in optional if name in found)])
