"""Norms on disk: statistics as JSON, and beside them the values that merging medians needs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fmri_descriptors.errors import InputError
from fmri_descriptors.norms.robust_z_scores import STATISTICS
from fmri_descriptors.utils.files import file_digest, read_json, write_json

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 3
"""Version of ``norms.json`` that this package writes and the newest it reads."""


@dataclass(frozen=True)
class StoredValues:
    """Features that norms were fitted on, left on disk until they are needed.

    Parameters
    ----------
    path : Path
        A ``.npy`` of float64, (scans, features).
    digest : str
        `file_digest` of that file.
    scan_ids : tuple of str
        Its rows.
    features : tuple of str
        Its columns.
    """

    path: Path
    digest: str
    scan_ids: tuple[str, ...]
    features: tuple[str, ...]

    def read(self) -> "pd.DataFrame | None":
        """Return the values, or None where the file did not come along.

        Raises
        ------
        InputError
            If the file is not the one that was saved with the norms.
        """
        import pandas as pd

        if not self.path.is_file():
            return None
        if file_digest(self.path) != self.digest:
            raise InputError(
                f"{self.path}: not the values that the norms beside it were saved with; copy both "
                "files, or remove this one"
            )
        values = np.load(self.path, allow_pickle=False)
        return pd.DataFrame(values, index=list(self.scan_ids), columns=list(self.features))


def write_values(values: "pd.DataFrame", norms_path: Path) -> StoredValues:
    """Write ``<norms>-values.npy`` beside the norms: rows as given, columns sorted by name."""
    path = norms_path.with_name(f"{norms_path.stem}-values.npy")
    columns = sorted(values.columns)
    np.save(path, values[columns].to_numpy(dtype=np.float64), allow_pickle=False)
    return StoredValues(path, file_digest(path), tuple(values.index), tuple(columns))


def write_norms(
    path: Path,
    options: Mapping[str, Any],
    fitted: Mapping[str, Any],
    own: Collection[str],
    values: "pd.DataFrame | None",
) -> None:
    """Write norms as JSON and, if given, their values beside them.

    Parameters
    ----------
    path : Path
        The JSON file.
    options, fitted : mapping of str to Any
        Parameters and attributes of fitted `CohortNorms`, by name.
    own : collection of str
        Sites with norms of their own.
    values : DataFrame, optional
        Features of the scans that they were fitted on.
    """
    stored = None if values is None else write_values(values, path)
    write_json({"schema": SCHEMA, **options, **plain_norms(fitted, own, stored)}, path)


def plain_norms(
    fitted: Mapping[str, Any], own: Collection[str], stored: StoredValues | None
) -> dict[str, Any]:
    """Return what fitted norms hold, ready for JSON.

    Parameters
    ----------
    fitted : mapping of str to Any
        Attributes of fitted `CohortNorms`, by name.
    own : collection of str
        Sites with norms of their own.
    stored : StoredValues, optional
        Where their values were written.
    """
    return {
        "parcellation": fitted["parcellation_"],
        "order_hash": fitted["order_hash_"],
        "fitted_on": fitted["fitted_on_"],
        "features": plain_table(fitted["table_"]),
        "sites": {
            site: {
                "n_scans": fitted["site_counts_"][site],
                "n_people": fitted["site_people_"][site],
                "features": plain_table(table),
                "own_norms": site in own,
            }
            for site, table in fitted["site_tables_"].items()
        },
        "site_of": fitted["sites_"],
        "subject_of": fitted["subjects_"],
        "values": stored and {"file": stored.path.name, "digest": stored.digest},
    }


def read_norms(path: Path) -> tuple[dict[str, Any], dict[str, Any], StoredValues | None]:
    """Return options and fitted attributes of the norms in a file, and where their values are.

    Raises
    ------
    InputError
        If the file is missing, damaged, or of a newer schema.
    """
    document = read_json(path)
    if document.get("schema") not in {1, 2, SCHEMA}:
        raise InputError(
            f"{path}: schema {document.get('schema')!r}, but this version reads {SCHEMA}; "
            "upgrade fmri-descriptors"
        )
    names = ("robust", "site_aware", "min_site_scans")
    options = {name: document[name] for name in names if name in document}
    try:
        fitted, values = fitted_norms(document, path.parent)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: no norms ({error}); describe the cohort again") from error
    return options, fitted, values


def fitted_norms(
    document: Mapping[str, Any], directory: Path
) -> tuple[dict[str, Any], StoredValues | None]:
    """Return the fitted attributes that `plain_norms` was given, and where their values are.

    Parameters
    ----------
    document : mapping
        Content of the file.
    directory : Path
        Where it lies.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        If it holds something else.
    """
    fitted_on = [str(scan_id) for scan_id in document["fitted_on"]]
    table = read_table(document["features"])
    # Schema 1 knew neither sites nor values, and schema 2 no people: each scan was one.
    people, sites = document.get("subject_of", {}), document.get("sites", {})
    fitted = {
        "table_": table,
        "fitted_on_": fitted_on,
        "parcellation_": document.get("parcellation"),
        "order_hash_": document.get("order_hash"),
        "subjects_": {scan_id: people.get(scan_id, scan_id) for scan_id in fitted_on},
        "site_tables_": {site: read_table(entry["features"]) for site, entry in sites.items()},
        "site_counts_": {site: int(entry["n_scans"]) for site, entry in sites.items()},
        "site_people_": {
            site: int(entry.get("n_people", entry["n_scans"])) for site, entry in sites.items()
        },
        "sites_": dict(document.get("site_of", {})),
    }
    stored = document.get("values")
    if stored is None:
        return fitted, None
    file = directory / Path(stored["file"]).name
    columns = tuple(sorted(table.index))
    return fitted, StoredValues(file, stored["digest"], tuple(fitted_on), columns)


def plain_table(table: "pd.DataFrame") -> dict[str, dict[str, float | int | None]]:
    """Return a table of statistics as plain numbers for JSON; None where there is none."""
    rows = zip(table.index, table[list(STATISTICS)].itertuples(index=False), strict=True)
    return {
        str(feature): {name: _plain(value) for name, value in zip(STATISTICS, row, strict=True)}
        for feature, row in rows
    }


def read_table(plain: dict[str, Any]) -> "pd.DataFrame":
    """Return the table that `plain_table` wrote.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        If it holds something else.
    """
    import pandas as pd

    table = pd.DataFrame(dict(plain)).T
    return table[list(STATISTICS)].astype(np.float64).astype({"n": np.int64})


def _plain(value: Any) -> float | int | None:
    if not np.isfinite(value):
        return None
    return int(value) if isinstance(value, int | np.integer) else float(value)
