"""What is predicted, and from what: the scans of a cohort with captions, features, connectomes."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.cohort.read import Cohort, read_cohort
from fmri_descriptors.cohort.splits import SPLITS
from fmri_descriptors.errors import InputError
from fmri_descriptors.features.connectivity import correlation, fisher_z
from fmri_descriptors.readers.errors import reading
from fmri_descriptors.text.caption_file import read_caption_lines

if TYPE_CHECKING:
    import pandas as pd

_COHORT = ("scan_id", "sub", "ses", "site", "path", "start", "end", "n_frames", "tr")
_RESERVED = frozenset((*_COHORT, "bold", "mean", "std"))


@dataclass(frozen=True)
class Tables:
    """One row a scan, in the same order throughout.

    Parameters
    ----------
    scans : DataFrame
        Columns ``subject``, ``site`` and ``target``, indexed by scan id; no target is missing.
    kind : str
        ``"category"`` (targets are strings) or ``"number"``.
    captions : tuple of str
        Text of each scan.
    features : ndarray, (n, F)
        Features; NaN where missing.
    connectomes : ndarray, (n, N (N - 1) / 2)
        Upper triangle of the Fisher z correlations; NaN where a region is masked.
    n_missing : int
        Scans of the cohort whose target is missing.
    """

    scans: "pd.DataFrame"
    kind: str
    captions: tuple[str, ...]
    features: NDArray[np.float64]
    connectomes: NDArray[np.float32]
    n_missing: int


def read_tables(
    cohort_dir: Path,
    descriptors_dir: Path,
    target: str,
    *,
    kind: str = "auto",
    domain: str = "all",
) -> Tables:
    """Read a phenotype, and what it is to be predicted from, joined by scan id.

    Parameters
    ----------
    cohort_dir : Path
        What `write_cohort` wrote.
    descriptors_dir : Path
        What `describe_cohort` wrote for the same cohort.
    target : str
        Phenotype of the cohort.
    kind : str
        ``"category"``, ``"number"``, or ``"auto"`` for what the cohort says.
    domain : str
        Domain of the captions.

    Raises
    ------
    InputError
        If the phenotype is not there or holds no numbers where numbers are wanted, or a scan has
        no features or caption.
    """
    cohort = read_cohort(cohort_dir)
    scans = _phenotype(cohort_dir, target)
    known = scans["target"].notna()
    scans, n_missing = scans[known], int((~known).sum())
    kind = _kind(cohort, target) if kind == "auto" else kind
    scans = scans.assign(target=_typed(scans["target"], target, kind))
    features = _read_features(Path(descriptors_dir) / "features.parquet")
    captions = read_captions(Path(descriptors_dir) / "captions.jsonl", domain)
    for where, ids in (("features.parquet", features.index), ("captions.jsonl", captions)):
        missing = scans.index.difference(list(ids))
        if len(missing):
            raise InputError(
                f"{descriptors_dir}: {where} lacks scan {missing[0]!r} ({len(missing)} such); "
                "describe this cohort again"
            )
    return Tables(
        scans,
        kind,
        tuple(captions[scan_id] for scan_id in scans.index),
        features.loc[scans.index].to_numpy(dtype=np.float64),
        _connectomes(cohort, list(scans.index)),
        n_missing,
    )


def _phenotype(cohort_dir: Path, target: str) -> "pd.DataFrame":
    import pandas as pd
    from datasets import load_from_disk

    parts = load_from_disk(str(cohort_dir)).values()
    columns = next(iter(parts)).column_names
    phenotypes = [name for name in columns if name not in _RESERVED]
    if target not in phenotypes and target != "site":
        found = ", ".join([*phenotypes, "site"])
        raise InputError(f"target: {target!r} is no phenotype of {cohort_dir}; it has {found}")
    wanted = list(dict.fromkeys(["scan_id", "sub", "site", target]))
    table = pd.concat([part.select_columns(wanted).to_pandas() for part in parts])
    scans = pd.DataFrame(
        {
            "subject": table["sub"].to_numpy(),
            "site": table["site"].fillna("").to_numpy(),
            "target": table[target].to_numpy(),
        },
        index=pd.Index(table["scan_id"].astype(str), name="scan_id", dtype=object),
    )
    return scans.sort_index()


def _kind(cohort: Cohort, target: str) -> str:
    entry = cohort.document.get("phenotypes", {}).get(target, {})
    return "number" if entry.get("kind") == "number" else "category"


def _typed(values: "pd.Series[Any]", target: str, kind: str) -> Any:
    import pandas as pd

    if kind == "category":
        return values.map(_class_name).astype(object)
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.isna().any():
        wrong = values[numbers.isna()].iloc[0]
        raise InputError(f"target: {target} holds {wrong!r}; use target_kind: category")
    return numbers.astype(np.float64)


def _class_name(value: Any) -> str:
    """Name of a class: a number that is whole is written as one."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)


def _read_features(path: Path) -> "pd.DataFrame":
    import pandas as pd

    with reading(path, "a Parquet table", "describe the cohort again"):
        table = pd.read_parquet(path)
    return table.drop(columns="split", errors="ignore").select_dtypes("number")


def read_captions(path: Path, domain: str) -> dict[str, str]:
    """Text of each scan; a rewritten text goes before the template's.

    Parameters
    ----------
    path : Path
        A ``captions.jsonl``.
    domain : str
        Domain of the captions.

    Raises
    ------
    InputError
        If the file is missing or a line is no caption.
    """
    rows = sorted(read_caption_lines(path), key=lambda row: row.get("source") == "rewritten")
    return {row["scan_id"]: row["text"] for row in rows if row["domain"] == domain}


def _connectomes(cohort: Cohort, scan_ids: list[str]) -> NDArray[np.float32]:
    n_regions = cohort.parcellation.n_regions
    upper = np.triu_indices(n_regions, k=1)
    rows = {scan_id: row for row, scan_id in enumerate(scan_ids)}
    table = np.full((len(rows), len(upper[0])), np.nan, dtype=np.float32)
    for split in SPLITS:
        for scan in cohort.scans(split):
            if scan.scan_id in rows:
                table[rows[scan.scan_id]] = fisher_z(correlation(scan)[upper])
    return table
