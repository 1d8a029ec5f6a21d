"""A held-out scan as it was measured: its gradients, its networks, its 23 descriptors.

The gradient maps of the one scan that is drawn are computed here, for its picture: `fmri describe`
writes features of maps, not maps. Everything else is read.
"""

from typing import Any

import numpy as np

from fmri_cli.report.artefacts import DOMAINS, Run
from fmri_cli.report.figures.brain import glass_brain
from fmri_cli.report.figures.measures import gradients, network_connectivity
from fmri_cli.report.figures.networks import NetworkOrder
from fmri_cli.report.sections.base import Section
from fmri_cli.report.settings import ReportSettings

_ALIGNMENT = (
    "Where the scan's network means (blue) lie far from the template's (orange) in every network, "
    "the alignment has failed and the gradient descriptors mean little."
)


def build(run: Run, settings: ReportSettings) -> Section:
    """Draw the maps that the descriptors of one held-out scan are read from, and list these."""
    scan_id = run.held_out_scan(settings.scan)
    summary = run.json("descriptors", "summary.json")
    maps, template = gradient_maps(run, scan_id)
    centroids = run.cohort.get("centroids")
    return Section(
        anchor="measures",
        title="A held-out scan as measured",
        look_for=" ".join(
            [
                summary["gradients"],
                _resemblance(maps, template),
                _ALIGNMENT,
                *(f"Independent components: {remark}." for remark in summary["components"]),
                _outside(run.typical_range(scan_id)),
            ]
        ),
        values={
            "scan": scan_id,
            "n_template": len(run.json("descriptors", "extractor.json")["fitted_on"]),
            "brain": None
            if centroids is None
            else glass_brain(
                maps[:, 0], np.asarray(centroids), "Principal gradient (diffusion units)"
            ),
            "connectivity": network_connectivity(
                run.network_connectivity(scan_id), run.network_names
            ),
            "gradients": gradients(maps, template, NetworkOrder.of(run.cohort["networks"])),
            "descriptors": descriptor_rows(run, scan_id),
        },
    )


def gradient_maps(run: Run, scan_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of a scan, aligned to the template, and those of the template; each (N, 3)."""
    from fmri_descriptors.features.gradients.gradients import scan_gradients

    template, sparsity = run.gradient_template()
    with np.errstate(invalid="ignore"):  # masked regions are NaN
        series = run.bold(scan_id).astype(np.float64)
        connectivity = np.asarray(np.corrcoef(series, rowvar=False))
    maps = scan_gradients(connectivity, template, sparsity)
    return maps, template[:, : maps.shape[1]]


def _resemblance(maps: np.ndarray, template: np.ndarray) -> str:
    """Say how the scan's gradients resemble the template's, and whether each is nearest its own."""
    shared = np.isfinite(maps[:, 0]) & np.isfinite(template[:, 0])
    n = maps.shape[1]
    r = np.abs(np.corrcoef(maps[shared].T, template[shared].T))[:n, n:]
    values = ", ".join(f"{value:.2f}" for value in r.diagonal())
    swapped = [
        f"{k + 1} is nearer to the template's {r[k].argmax() + 1}"
        for k in range(n)
        if r[k].argmax() != k
    ]
    order = "; ".join(swapped) if swapped else "each is nearest to its own"
    return f"The scan's gradients correlate with the template's by {values}: {order}."


def _outside(counts: dict[str, float]) -> str:
    return (
        f"Of the scan's {counts['features']:.0f} features, {counts['outside']:.0f} are outside the "
        f"typical range, where {counts['expected']:.0f} are expected by chance."
    )


def descriptor_rows(run: Run, scan_id: str) -> list[dict[str, Any]]:
    """Name, domain and text of each descriptor of a scan, in the order of the registry."""
    return [
        {"name": row["name"], "domain": DOMAINS[row["domain"]], "text": row["text"]}
        for row in run.descriptors(scan_id)
    ]
