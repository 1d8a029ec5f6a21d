"""The pictures of one scan show what its descriptors are read from."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

from fmri_cli.report.artefacts import Run
from fmri_cli.report.figures.brain import glass_brain
from fmri_cli.report.sections.measures import build, descriptor_rows, gradient_maps
from fmri_cli.report.settings import ReportSettings
from fmri_descriptors.registry import DESCRIPTORS

from .example_run import MASKED_SCAN

SHOWN = ReportSettings(scan=MASKED_SCAN)


def svg(uri: str) -> str:
    return base64.b64decode(uri.partition(",")[2]).decode("utf-8")


def dots(picture: str) -> int:
    """Markers drawn in a glass brain, each as one use of a shared path."""
    collections = re.findall(r'<g id="PathCollection_\d+">(.*?)</g>\s*</g>', picture, re.DOTALL)
    return sum(part.count("<use ") or part.count("<path ") for part in collections)


def test_the_section_lists_the_23_descriptors_in_the_order_of_the_registry(run: Path) -> None:
    rows = descriptor_rows(Run(run), MASKED_SCAN)
    assert [row["name"] for row in rows] == [row.name for row in DESCRIPTORS]


def test_the_network_matrix_prints_the_scan_s_own_features(run: Path) -> None:
    features = pd.read_parquet(run / "descriptors" / "features.parquet").loc[MASKED_SCAN]
    means = Run(run).network_connectivity(MASKED_SCAN)
    names = json.loads((run / "cohort" / "cohort.json").read_text())["networks"]
    names = list(dict.fromkeys(names))
    first, *_, last = names
    visual = names.index("Visual")
    assert means[visual, visual] == features["fc.Visual-Visual"]
    assert means[0, -1] == means[-1, 0] == features[f"fc.{first}-{last}"]


def test_the_gradients_drawn_average_to_the_gradient_features(run: Path) -> None:
    maps, _ = gradient_maps(Run(run), MASKED_SCAN)
    features = pd.read_parquet(run / "descriptors" / "features.parquet").loc[MASKED_SCAN]
    visual = np.asarray(Run(run).cohort["networks"]) == "Visual"
    np.testing.assert_allclose(np.nanmean(maps[visual, 1]), features["gradient2.Visual"])


def test_a_masked_region_has_no_dot_in_the_glass_brain() -> None:
    values = np.linspace(-1, 1, 12)
    centroids = np.random.default_rng(0).uniform(-50, 50, (12, 3))
    whole = dots(svg(glass_brain(values, centroids, "z")))
    values[3] = np.nan
    assert dots(svg(glass_brain(values, centroids, "z"))) < whole


def test_the_page_has_the_glass_brain_only_where_the_regions_have_places(run: Path) -> None:
    section = build(Run(run), SHOWN)
    placed = Run(run).cohort.get("centroids") is not None
    assert (section.values["brain"] is not None) == placed  # noqa: PD011


def test_the_section_counts_the_features_outside_the_typical_range(run: Path) -> None:
    z = pd.read_parquet(run / "descriptors" / "zscores.parquet").drop(columns="split")
    judged = z.loc[MASKED_SCAN].dropna()
    text = build(Run(run), SHOWN).look_for
    n_outside = int((judged.abs() >= 1).sum())
    assert f"Of the scan's {len(judged)} features, {n_outside} are outside the typical" in text
