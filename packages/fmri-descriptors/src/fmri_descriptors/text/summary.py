"""The notes in the summary of a cohort's description: what is missing, weak, or by chance."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fmri_descriptors.features.extractor import FeatureExtractor
from fmri_descriptors.features.ica.ica import NOT_CONVERGED, component_rows
from fmri_descriptors.norms.chance import expected_outside
from fmri_descriptors.norms.cohort_norms import CohortNorms

if TYPE_CHECKING:
    import pandas as pd

_MOSTLY_INSIDE = 0.5  # of a component's energy; below, it is as much another network's


def write_unavailable(reasons: Mapping[str, Mapping[str, str]], path: Path) -> None:
    """Write which features of which scans are missing and why; nothing where there are none.

    Parameters
    ----------
    reasons : mapping of str to mapping
        By scan id, stems of feature columns to the reason.
    path : Path
        TSV with the columns ``scan_id``, ``features`` and ``reason``.
    """
    if not reasons:
        path.unlink(missing_ok=True)
        return
    rows = [
        f"{scan_id}\t{stem}\t{why}\n"
        for scan_id, stems in reasons.items()
        for stem, why in stems.items()
    ]
    path.write_text("scan_id\tfeatures\treason\n" + "".join(rows), encoding="utf-8")


def missing_notes(reasons: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Count the scans that lack features, by reason."""
    if not reasons:
        return
    counts = Counter(why for stems in reasons.values() for why in set(stems.values()))
    causes = ", ".join(f"{n} because {why}" for why, n in counts.most_common())
    yield f"{len(reasons)} scans without some features ({causes}), see unavailable.tsv"


def component_notes(extractor: FeatureExtractor) -> Iterator[str]:
    """Name networks without a component, those with a poor one, and a fit without convergence."""
    maps = extractor.group_maps_
    if not maps.converged:
        yield NOT_CONVERGED
    rows = component_rows(maps, extractor.parcellation_.network_names)
    absent = [row for row in rows if not row["used"]]
    poor = [row for row in rows if row["used"] and (row["energy_inside"] or 1) < _MOSTLY_INSIDE]
    if absent:
        yield f"no independent component stands for {_listed(absent)}"
    if poor:
        yield f"components mostly outside their network: {_listed(poor)}"


def _listed(rows: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{row['network']} (r {row['overlap']:.2f} with its outline, {row['energy_inside']:.2f} of "
        "its energy inside)"
        if None not in row.values()
        else str(row["network"])
        for row in rows
    )


def chance_note(z: "pd.DataFrame", norms: CohortNorms) -> str:
    """Say how many features a scan has outside the typical range, and how many chance would put.

    Parameters
    ----------
    z : DataFrame
        Z-scores, one row a scan.
    norms : CohortNorms
        What they were compared with.
    """
    outside = (z.abs() >= 1).sum(axis=1).mean()  # in a scan, on average
    judged = norms.table_.loc[z.columns[z.notna().any()], "n"]
    n_judged = int(np.count_nonzero(judged))
    expected = expected_outside(judged)
    return (
        f"{outside:.0f} of {n_judged} features a scan outside the typical range, where "
        f"{expected:.0f} are expected by chance"
    )
