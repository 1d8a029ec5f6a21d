"""Parcellated time series of XCP-D, or of anything that names its files alike."""

import re
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation import Parcellation
from fmri_descriptors.readers.arrays import numeric_columns, read_text_table
from fmri_descriptors.readers.bids import BidsName, Sidecars, parse_name
from fmri_descriptors.readers.sources import ReadOptions, Recording, Rejected, Source, agreed_tr

PATTERN = "sub-*/**/func/*_timeseries.tsv"
_ENTITIES = {"seg", "atlas", "stat"}
_4S_SUBCORTICAL = 56  # regions that the 4S parcellations add to a Schaefer parcellation
_NETWORK_ORDER = re.compile(r"^7Networks_")


def xcpd_source(path: Path, options: ReadOptions) -> Source:
    """Return the recordings of an XCP-D folder.

    Files are ``sub-*/[ses-*/]func/*_seg-<name>[_stat-mean]_timeseries.tsv`` (``atlas-<name>`` in
    older versions): one line a frame under a line of region names. The repetition time comes from
    the JSON sidecars, or is given.

    Parameters
    ----------
    path : Path
        The folder that holds the subjects' folders.
    options : ReadOptions
        ``atlas`` names the parcellation where the folder has several.

    Raises
    ------
    InputError
        If there is no such file, or the folder has several parcellations and none is chosen.
    """
    files = [file for file in sorted(path.glob(PATTERN)) if is_mean_series(file.name)]
    if not files:
        raise InputError(f"{path}: no {PATTERN} of a parcellation; give a folder of XCP-D")
    chosen = _chosen(path, sorted({segmentation(file.name) for file in files}), options.atlas)
    sidecars = Sidecars(path)
    recordings, rejected = [], []
    for file in files:
        if segmentation(file.name) != chosen:
            continue
        try:
            recordings.append(_recording(file, sidecars, options))
        except InputError as error:
            name = file.relative_to(path).as_posix()
            rejected.append(Rejected(name, str(error), _named(file.name).without(_ENTITIES)))
    of_recordings = tuple(recording.path for recording in recordings)
    return Source(path.name, tuple(recordings), of_recordings, rejected=tuple(rejected))


def is_mean_series(name: str) -> bool:
    """Whether a file name is that of regions' mean series, and not of other measures."""
    parts = parse_name(name)
    found = {} if parts is None else parts.entities
    return bool({"seg", "atlas"} & set(found)) and found.get("stat", "mean") == "mean"


def segmentation(name: str) -> str:
    """Return the parcellation that a file name tells."""
    found = _named(name).entities
    return found.get("seg") or found["atlas"]


def _named(name: str) -> BidsName:
    parts = parse_name(name)
    if parts is None:
        raise InputError(f"{name}: is no BIDS name; give a folder of XCP-D")
    return parts


def _chosen(path: Path, found: list[str], wanted: Path | None) -> str:
    names = ", ".join(found)
    if wanted is not None:
        if str(wanted) not in found:
            raise InputError(f"--atlas: {wanted} is none of the parcellations of {path}: {names}")
        return str(wanted)
    if len(found) > 1:
        raise InputError(f"{path}: holds several parcellations; choose by --atlas: {names}")
    return found[0]


def _recording(file: Path, sidecars: Sidecars, options: ReadOptions) -> Recording:
    found = _named(file.name).entities
    return Recording(
        path=file,
        name=file.relative_to(sidecars.root).as_posix(),
        scan_id=_named(file.name).without(_ENTITIES),
        subject=found["sub"],
        session=found.get("ses"),
        site=None,
        tr=agreed_tr(sidecars.tr(file), options.tr),
        read=partial(read_regions, segmentation=segmentation(file.name)),
    )


def read_regions(path: Path, parcellation: Parcellation, segmentation: str) -> NDArray[np.float64]:
    """Return the series of a parcellation's regions, found by their names, (T, N).

    A leading ``7Networks_`` is left out of account on both sides. The table must hold the regions
    and no others, in any order; only of ``4S<n + 56>Parcels`` are the 56 regions below the cortex
    left out where the parcellation is Schaefer's of n.

    Raises
    ------
    InputError
        If the table is unreadable, or its regions are not those of the parcellation.
    """
    table = read_text_table(path, "\t")
    columns = {_canonical(str(name)): str(name) for name in table.columns}
    labels = [_canonical(label) for label in parcellation.labels]
    _check_names(path, table.shape[1], columns, labels, parcellation, segmentation)
    return numeric_columns(path, table, [columns[label] for label in labels])


def _check_names(
    path: Path,
    n_columns: int,
    columns: dict[str, str],
    labels: list[str],
    parcellation: Parcellation,
    segmentation: str,
) -> None:
    if len(columns) < n_columns:
        raise InputError(f"{path}: two columns have the same region name; export it again")
    missing = [label for label in labels if label not in columns]
    if missing:
        raise InputError(
            f"{path}: no column for {len(missing)} of {len(labels)} regions of "
            f"'{parcellation.name}', first {missing[0]}; name the parcellation of the series"
        )
    n_extra = len(columns) - len(labels)
    whole = f"4S{len(labels) + _4S_SUBCORTICAL}Parcels"
    is_4s = parcellation.name == f"schaefer{len(labels)}-7n" and segmentation == whole
    if n_extra != (_4S_SUBCORTICAL if is_4s else 0):
        other = next((name for name in columns if name not in labels), "none")
        raise InputError(
            f"{path}: {n_extra} columns more than '{parcellation.name}' has regions (such as "
            f"{other}); name the parcellation of the series"
        )


def _canonical(name: str) -> str:
    return _NETWORK_ORDER.sub("", name.strip())
