"""The tokenizer: what it keeps of a signal and how much of its codebook it uses."""

import math
from typing import Any

import numpy as np

from fmri_cli.report.artefacts import SPLITS, Run
from fmri_cli.report.figures.tokenizer import Window, reconstruction
from fmri_cli.report.sections.base import Section
from fmri_cli.report.settings import ReportSettings


def build(run: Run, settings: ReportSettings) -> Section:
    """Reconstruction of a held-out window, and quality per split."""
    quality = run.json("tokenizer", "quality.json")
    kept = run.reconstruction()
    window = Window(
        signal=kept["signal"].astype(np.float64),
        reconstruction=kept["reconstruction"].astype(np.float64),
        tr=float(kept["tr"]),
        labels=[str(label) for label in kept["labels"]],
    )
    return Section(
        anchor="tokenizer",
        title="Tokenizer",
        look_for=(
            "Normalised MSE is the squared error over the square of the signal itself: 0 is "
            "perfect, 1 is no better than a flat line at zero. Test should be near train; a gap is "
            "overfitting. Perplexity is the number of codes in even use; near 1 means that the "
            "codebook has collapsed. The regions below are spread from the best reconstructed to "
            "the worst, so they are not a choice of good examples."
        ),
        values={
            "scan": str(kept["scan_id"]),
            "figure": reconstruction(window, settings.regions),
            "rows": [_quality_row(split, quality[split]) for split in SPLITS if split in quality],
        },
    )


def _quality_row(split: str, measured: dict[str, Any]) -> dict[str, Any]:
    return {
        "split": split,
        **measured,
        "bits": f"{math.log2(max(measured['perplexity'], 1)):.1f}",
    }
