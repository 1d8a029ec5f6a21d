"""The tokenizer: what it keeps of a signal and how much of its codebook it uses."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fmri_cli.report.artefacts import SPLITS, Run
from fmri_cli.report.figures.tokenizer import Window, reconstruction
from fmri_cli.report.sections.base import Section
from fmri_cli.report.settings import ReportSettings

if TYPE_CHECKING:
    from pathlib import Path


def build(run: Run, settings: ReportSettings) -> Section:
    """Reconstruction of a held-out window, and quality per split."""
    quality = run.json("tokenizer", "quality.json")
    scan, window = read_window(run.root / "tokenizer" / "reconstruction.npz")
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
            "scan": scan,
            "figure": reconstruction(window, settings.regions),
            "rows": [_quality_row(split, quality[split]) for split in SPLITS if split in quality],
        },
    )


def read_window(path: "Path") -> tuple[str, Window]:
    """Read the scan and the window that `fmri fit-tokenizer` kept for the report."""
    with np.load(path, allow_pickle=False) as kept:
        window = Window(
            signal=np.asarray(kept["signal"], dtype=np.float64),
            reconstruction=np.asarray(kept["reconstruction"], dtype=np.float64),
            tr=float(kept["tr"]),
            labels=[str(label) for label in kept["labels"]],
        )
        return str(kept["scan_id"]), window


def _quality_row(split: str, measured: dict[str, Any]) -> dict[str, Any]:
    return {
        "split": split,
        **measured,
        "bits": f"{math.log2(max(measured['perplexity'], 1)):.1f}",
    }
