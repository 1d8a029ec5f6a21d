"""A held-out scan as it was measured: its gradients, its networks, its 23 descriptors."""

from typing import TYPE_CHECKING, Any

import numpy as np

from fmri_cli.report.artefacts import DOMAINS, Run
from fmri_cli.report.figures.brain import glass_brain
from fmri_cli.report.figures.measures import gradients, network_connectivity
from fmri_cli.report.figures.networks import NetworkOrder
from fmri_cli.report.sections.base import Section
from fmri_cli.report.settings import ReportSettings

if TYPE_CHECKING:
    from fmri_descriptors import FeatureExtractor, Scan

_ALIGNMENT = (
    "Where the scan's network means (blue) lie far from the template's (orange) in every network, "
    "the alignment has failed and the gradient descriptors mean little."
)


def build(run: Run, settings: ReportSettings) -> Section:
    """Draw the maps that the descriptors of one held-out scan are read from, and list these."""
    from fmri_descriptors.features.gradients.reference import gradient_note

    scan_id = run.held_out_scan(settings.scan)
    extractor, scan = _measured(run, scan_id)
    maps, template, means = _maps(extractor, scan)
    parcellation = scan.parcellation
    order = NetworkOrder.of(list(parcellation.networks))
    return Section(
        anchor="measures",
        title="A held-out scan as measured",
        look_for=" ".join(
            [
                gradient_note(extractor.reference_r_),
                _told_of_order(maps, extractor.template_),
                _ALIGNMENT,
                _component_notes(extractor),
                _chance_note(run, scan_id),
            ]
        ),
        values={
            "scan": scan_id,
            "n_template": len(extractor.fitted_on_),
            "brain": _brain(maps[:, 0], parcellation.centroids),
            "connectivity": network_connectivity(means, parcellation.network_names),
            "gradients": gradients(maps, template, order),
            "descriptors": descriptor_rows(run, scan_id),
        },
    )


def _told_of_order(maps: np.ndarray, template: np.ndarray) -> str:
    """Say how the scan's gradients resemble the template's, and whether each is nearest its own."""
    shared = np.isfinite(maps[:, 0]) & np.isfinite(template[:, 0])
    n = maps.shape[1]
    r = np.abs(np.corrcoef(maps[shared].T, template[shared].T))[:n, n:]
    told = ", ".join(f"{value:.2f}" for value in r.diagonal())
    astray = [k for k in range(n) if r[k].argmax() != k]
    order = (
        "each is nearest to its own"
        if not astray
        else "; ".join(f"{k + 1} is nearer to the template's {r[k].argmax() + 1}" for k in astray)
    )
    return f"The scan's gradients correlate with the template's by {told}: {order}."


def _component_notes(extractor: "FeatureExtractor") -> str:
    """Say how much of each independent component lies inside its network."""
    from fmri_descriptors.text.summary import component_notes

    told = "; ".join(component_notes(extractor))
    return f"Of the independent components: {told}." if told else ""


def _chance_note(run: Run, scan_id: str) -> str:
    """Count the scan's features outside the typical range, beside what chance would put there."""
    import pandas as pd

    from fmri_descriptors import CohortNorms
    from fmri_descriptors.text.summary import chance_note

    folder = run.root / "descriptors"
    z = pd.read_parquet(folder / "zscores.parquet").drop(columns="split").loc[[scan_id]]
    return f"Features: {chance_note(z, CohortNorms.load(folder / 'norms.json'))}."


def _measured(run: Run, scan_id: str) -> "tuple[FeatureExtractor, Scan]":
    from fmri_descriptors import FeatureExtractor, read_cohort

    extractor = FeatureExtractor.load(run.root / "descriptors")
    scans = read_cohort(run.root / "cohort").scans("test")
    return extractor, next(scan for scan in scans if scan.scan_id == scan_id)


def _maps(extractor: "FeatureExtractor", scan: "Scan") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from fmri_descriptors.features.connectivity import correlation, network_pair_connectivity
    from fmri_descriptors.features.gradients.gradients import N_GRADIENTS, scan_gradients

    r = correlation(scan)
    sparsity = extractor.settings.gradient_sparsity
    maps = scan_gradients(r, extractor.template_, sparsity)
    means = network_pair_connectivity(r, scan.parcellation.membership)
    return maps, extractor.template_[:, :N_GRADIENTS], means


def _brain(values: np.ndarray, centroids: Any) -> str | None:
    if centroids is None:
        return None
    return glass_brain(values, np.asarray(centroids), "Principal gradient (diffusion units)")


def descriptor_rows(run: Run, scan_id: str) -> list[dict[str, str]]:
    """Name, domain and text of each descriptor of a scan, in the order of the registry."""
    import pandas as pd

    table = pd.read_parquet(run.root / "descriptors" / "descriptors.parquet")
    rows = table[table["scan_id"] == scan_id]
    return [
        {"name": row["name"], "domain": DOMAINS[row["domain"]], "text": row["text"]}
        for row in rows.to_dict("records")
    ]
