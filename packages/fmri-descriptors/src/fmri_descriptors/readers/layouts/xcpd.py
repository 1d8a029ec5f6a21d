"""Parcellated time series of XCP-D, or of anything that names its files alike."""

import re
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.readers.base import ReadOptions, Recording, Source
from fmri_descriptors.readers.layouts.arrays import numeric_columns, read_text_table
from fmri_descriptors.readers.repetition_time import agreed_tr
from fmri_descriptors.readers.selection.bids_names import BidsName, parse_name
from fmri_descriptors.readers.selection.candidates import Account, named_recording
from fmri_descriptors.readers.selection.companions import frame_tables, read_checked
from fmri_descriptors.readers.selection.content import files_below
from fmri_descriptors.readers.selection.recordings import Layout, choose_files, mean_series
from fmri_descriptors.readers.selection.sidecars import Sidecars

_ENDINGS = (".tsv", ".tsv.gz", ".csv", ".ptseries.nii", ".dtseries.nii")
_4S_SUBCORTICAL = 56  # regions that the 4S parcellations add to a Schaefer parcellation
_NETWORK_ORDER = re.compile(r"^7Networks_")


def xcpd_source(path: Path, options: ReadOptions) -> Source:
    """Return the recordings of an XCP-D folder.

    Files are ``*_seg-<name>[_stat-mean]_timeseries.tsv`` (``atlas-<name>`` in older versions) at
    any depth: one line a frame under a line of region names. The repetition time comes from the
    JSON sidecars, or is given. Which files are one recording, `choose_files` says.

    Parameters
    ----------
    path : Path
        The folder that holds the subjects' folders.
    options : ReadOptions
        ``atlas`` names the parcellation where the folder has several.

    Returns
    -------
    Source
        Every ``*_timeseries`` file is a recording, in ``rejected`` or in ``left_out``.

    Raises
    ------
    InputError
        If there is no such file, or the folder has several parcellations and none is chosen.
    """
    files, unlisted = files_below(path)
    found = [file for file in files if is_timeseries(file.name)]
    if not found:
        raise InputError(
            f"{path}: no *_timeseries.tsv of a parcellation was found; give a folder of XCP-D"
        )
    account = Account(path, rejected=list(unlisted))
    wanted = None if options.atlas is None else str(options.atlas)
    layout = Layout(endings=(".tsv",), is_series=_is_mean_series, parcellation=wanted)
    chosen = choose_files(found, layout, options, account)
    sidecars = Sidecars(path)
    recordings = account.recordings(chosen, partial(_recording, sidecars=sidecars, options=options))
    depends = (file for r in recordings for file in (r.path, *frame_tables(r.path)))
    return account.source(path.resolve().name, recordings, depends)


def is_timeseries(name: str) -> bool:
    """Whether a file name is that of time series in a table or CIFTI file."""
    return any(name.lower().endswith(f"_timeseries{ending}") for ending in _ENDINGS)


def _is_mean_series(parts: BidsName) -> bool:
    return bool({"seg", "atlas"} & set(parts.entities)) and mean_series(parts)


def _recording(file: Path, name: str, sidecars: Sidecars, options: ReadOptions) -> Recording:
    parts = parse_name(file.name)
    found = {} if parts is None else parts.entities
    read = partial(read_regions, segmentation=found.get("seg") or found.get("atlas", ""))
    tr = agreed_tr({"its sidecar": sidecars.tr(file), "--tr": options.tr})
    return named_recording(file, name, tr, partial(read_checked, read=read))


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
