"""Z-scores of scans' descriptors, as `fmri describe` writes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.captions import FIX
from fmri_vqtok.formats.reading import reading

if TYPE_CHECKING:
    import pandas as pd

FILE = "zscores.parquet"


def read_zscores(directory: Path, scan_ids: Sequence[str] | None = None) -> "pd.DataFrame":
    """Z-scores of scans, one row each.

    Parameters
    ----------
    directory : Path
        A descriptors folder, with ``zscores.parquet``.
    scan_ids : sequence of str, optional
        Scans to read, in this order; rows of others are not read. All by default.

    Returns
    -------
    pandas.DataFrame
        Index ``scan_id``; one column per feature, NaN where a value is unknown, and ``split``.

    Raises
    ------
    InputError
        If there is no such file or a broken one, or a scan is not in it.
    """
    import pandas as pd

    path = directory / FILE
    if not path.is_file():
        raise InputError(f"{directory}: no {FILE}; {FIX}")
    wanted = None if scan_ids is None else [("scan_id", "in", list(scan_ids))]
    with reading(path, FIX):
        table = pd.read_parquet(path, filters=wanted)
        if "scan_id" in table.columns:
            table = table.set_index("scan_id")
    if scan_ids is None:
        return table
    for scan_id in scan_ids:
        if scan_id not in table.index:
            raise InputError(
                f"{path}: no z-scores of scan {scan_id}; describe the cohort that is tokenized"
            )
    return table.loc[list(scan_ids)]
