"""The cohort: who is in which split, and one held-out scan drawn."""

from typing import TYPE_CHECKING, Any

import numpy as np

from fmri_cli.report.artefacts import Run
from fmri_cli.report.figures.cohort import carpet, connectivity
from fmri_cli.report.figures.networks import NetworkOrder
from fmri_cli.report.sections.base import Section, span
from fmri_cli.report.settings import ReportSettings

if TYPE_CHECKING:
    import pandas as pd


def build(run: Run, settings: ReportSettings) -> Section:
    """Table of the splits, one carpet and one correlation matrix."""
    scan = run.held_out_scan(settings.scan)
    row = run.scans.loc[run.scans["scan_id"] == scan].to_dict("records")[0]
    series = run.bold(scan)
    order = NetworkOrder.of(run.cohort["networks"])
    groups = (
        "Every data set should appear in training and in test, and n" if run.has_groups else "N"
    )
    return Section(
        anchor="cohort",
        title="Cohort",
        look_for=(
            f"{groups}o subject should be in two splits. "
            "In the carpet, look for vertical bands (all regions at once: motion, breathing or "
            "instability) and for flat rows. In the matrix, blocks on the diagonal are networks; "
            "a matrix that is red nearly everywhere means that a global signal dominates."
        ),
        values={
            "found": found_scans(run.cohort["accounting"]),
            "choices": run.cohort["choices"],
            "rows": split_table(run),
            "has_groups": run.has_groups,
            "assumed": assumed_trs(run),
            "masked": int(np.isnan(series).all(axis=0).sum()),
            "cohort": run.cohort,
            "scan": scan,
            "minutes": f"{row['n_frames'] * row['tr'] / 60:.1f}",
            "carpet": carpet(series, float(row["tr"]), order),
            "connectivity": connectivity(series, order),
        },
    )


def found_scans(accounting: dict[str, Any]) -> str:
    """Say what became of everything that was found in the source."""
    return (
        f"{accounting['found']:,} {accounting['unit']} found: {accounting['used']:,} used, "
        f"{accounting['rejected']:,} rejected, {accounting['left_out']:,} left out"
    )


def split_table(run: Run) -> list[dict[str, Any]]:
    """One row per split and data set."""
    groups = run.scans.groupby(["split", "group"], sort=False)
    return [_group_row(run, str(split), str(name), part) for (split, name), part in groups]


def _group_row(run: Run, split: str, name: str, part: "pd.DataFrame") -> dict[str, Any]:
    minutes = part["n_frames"] * part["tr"] / 60
    frames = span(part["n_frames"].min(), part["n_frames"].max(), 0)
    return {
        "split": split,
        "group": name,
        "subjects": part["sub"].nunique(),
        "scans": len(part),
        "frames": frames,
        "tr": span(part["tr"].min(), part["tr"].max()),
        "assumed": name in assumed_trs(run),
        "minutes": span(minutes.min(), minutes.max(), 1),
        "phenotypes": {column: _counts(part[column]) for column in run.categories},
    }


def assumed_trs(run: Run) -> dict[str, dict[str, Any]]:
    """Find the data sets whose TR is not documented, with the assumed value and its note."""
    return {name: facts for name, facts in run.cohort["tr"].items() if not facts["documented"]}


def _counts(column: "pd.Series") -> str:
    counted = column.value_counts().sort_index()
    return ", ".join(f"{value} ({count})" for value, count in counted.items())
