"""A simulated cohort on disk, in the form that `fmri cohort` reads."""

import csv
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fmri_descriptors.simulate.cohort import SimulatedCohort
from fmri_descriptors.simulate.settings import SimulateSettings
from fmri_descriptors.utils.files import atomic_write, write_json
from fmri_descriptors.utils.parallel import map_ordered

if TYPE_CHECKING:
    from fmri_descriptors.simulate.effects import Best

SCHEMA = 1
"""Version of ``simulation.json``."""

_BATCH = 16  # scans that a worker makes at a time, so that it prepares the covariance once


def write_simulation(
    directory: Path,
    settings: SimulateSettings,
    seed: int = 0,
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> str:
    """Write a simulated cohort, a few scans in memory at a time.

    Series that an interrupted run left are kept: they are what this run would write.

    Parameters
    ----------
    directory : Path
        An existing directory; gets ``series/*.npy`` ((T, N) float32), ``scans.tsv`` (the table
        that `fmri cohort` reads, with sex, age and diagnosis), ``latents.tsv`` (the planted
        strengths of each scan) and ``simulation.json`` (settings and best possible scores).
    settings : SimulateSettings
        What the cohort holds.
    seed : int
        Seed of the cohort.
    jobs : int
        Worker processes; they change no byte.
    progress : callable
        Called with (scans done, scans in all).

    Returns
    -------
    str
        One line: what was written, and the best possible scores.

    Raises
    ------
    InputError
        If an effect names a network that the parcellation does not have.
    """
    cohort = SimulatedCohort(settings, seed)
    (directory / "series").mkdir(exist_ok=True)
    work = partial(_write_batch, directory, settings, seed)
    done = 0
    batches = (range(i, min(i + _BATCH, len(cohort))) for i in range(0, len(cohort), _BATCH))
    for written in map_ordered(work, batches, jobs):
        done += written
        progress(done, len(cohort))
    _write_tables(cohort, directory)
    best = cohort.best_possible()
    document = {
        "schema": SCHEMA,
        "seed": seed,
        "settings": asdict(settings),
        "n_scans": len(cohort),
        "order_hash": cohort.parcellation.order_hash,
        "best_possible": {name: {"size": b.size, **b.scores} for name, b in best.items()},
    }
    write_json(document, directory / "simulation.json")
    return f"{len(cohort)} scans of {settings.n_subjects} subjects; best possible: {_summary(best)}"


def _write_batch(directory: Path, settings: SimulateSettings, seed: int, indices: range) -> int:
    cohort = SimulatedCohort(settings, seed)
    for index in indices:
        path = directory / _series_name(cohort, index)
        if not path.is_file():
            with atomic_write(path) as unfinished, unfinished.open("wb") as file:
                np.save(file, cohort[index].timeseries.astype(np.float32))
    return len(indices)


def _series_name(cohort: SimulatedCohort, index: int) -> str:
    return f"series/{cohort.scan_id(index)}.npy"


def _write_tables(cohort: SimulatedCohort, directory: Path) -> None:
    known = ("scan_id", "subject", "session", "site", "tr")
    with (
        (directory / "scans.tsv").open("w", encoding="utf-8", newline="") as scans,
        (directory / "latents.tsv").open("w", encoding="utf-8", newline="") as latents,
    ):
        scan_rows = csv.writer(scans, delimiter="\t", lineterminator="\n")
        latent_rows = csv.writer(latents, delimiter="\t", lineterminator="\n")
        scan_rows.writerow(["path", *known, *cohort.subject_of(0).phenotypes])
        latent_rows.writerow(["scan_id", *cohort.planted])
        for index in range(len(cohort)):
            row, strengths = cohort.row(index), cohort.subject_of(index).latents
            scan_rows.writerow([_series_name(cohort, index), *row.values()])
            latent_rows.writerow(
                [row["scan_id"], *(repr(strengths[name]) for name in cohort.planted)]
            )


def _summary(best: "dict[str, Best]") -> str:
    def described(name: str, scores: dict[str, Any]) -> str:
        return f"{name} " + ", ".join(f"{key} {value:.3f}" for key, value in scores.items())

    return "; ".join(
        described(name, {key.replace("_", " "): value for key, value in b.scores.items()})
        for name, b in best.items()
    )
