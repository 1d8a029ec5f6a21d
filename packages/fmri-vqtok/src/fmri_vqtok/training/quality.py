"""How well a fitted tokenizer reconstructs scans, and how well captions find them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from fmri_vqtok.alignment.alignment import TextAlignment
from fmri_vqtok.data.window_dataset import NormalisedScan
from fmri_vqtok.processor import TimeSeriesProcessor
from fmri_vqtok.tokenizer import FMRITokenizer
from fmri_vqtok.training.metrics import (
    code_counts,
    codes_used,
    dead_codes,
    normalised_mse,
    perplexity,
)
from fmri_vqtok.training.objective import TokenizerObjective


@torch.no_grad()
def reconstruction_quality(
    tokenizer: FMRITokenizer, scans: Sequence[NormalisedScan]
) -> dict[str, float]:
    """Reconstruction error and codebook usage over all windows of some scans."""
    signals, reconstructions, masks, codes = [], [], [], []
    for scan in scans:
        windows = _windows(tokenizer, scan)
        out = tokenizer(windows, scan.mask)
        signals.append(windows)
        reconstructions.append(out.signal)
        masks.append(scan.mask.expand(len(windows), -1))
        codes.append(out.encoded.codes.flatten())
    counts = code_counts(torch.cat(codes), tokenizer.config.n_codes)
    return {
        "normalised_mse": normalised_mse(
            torch.cat(signals), torch.cat(reconstructions), torch.cat(masks)
        ),
        "perplexity": perplexity(counts),
        "codes_used": codes_used(counts),
        "dead_codes": dead_codes(counts),
        "codebook_size": tokenizer.config.n_codes,
        "n_windows": sum(len(windows) for windows in signals),
    }


@torch.no_grad()
def retrieval_quality(
    objective: TokenizerObjective, scans: Sequence[NormalisedScan]
) -> dict[str, float]:
    """How often a caption's nearest scan is its own, beside chance; all windows of a scan pooled.

    Parameters
    ----------
    objective : TokenizerObjective
        With an alignment, whose held-out captions are those of ``scans``.
    scans : sequence of NormalisedScan
    """
    tallies = []
    for scan in scans:
        windows = _windows(objective.tokenizer, scan)
        rows = torch.full((len(windows),), scan.row)
        mask = scan.mask.expand(len(windows), -1)
        tallies.append(objective.retrieval_tally(windows, mask, rows))
    return cast("TextAlignment", objective.alignment).retrieval(torch.stack(tallies).sum(dim=0))


def _windows(tokenizer: FMRITokenizer, scan: NormalisedScan) -> Tensor:
    processor = cast("TimeSeriesProcessor", tokenizer.processor)
    return processor.cut(scan.series)


@torch.no_grad()
def write_example(
    tokenizer: FMRITokenizer,
    scans: Mapping[str, Sequence[NormalisedScan]],
    labels: Sequence[str],
    path: Path,
) -> None:
    """Write the first window of the first held-out scan, and its reconstruction."""
    scan = next(
        group[0] for split in ("test", "validation", "train") if (group := scans.get(split))
    )
    window = _windows(tokenizer, scan)[:1]
    np.savez(
        path,
        signal=window[0].numpy(),
        reconstruction=tokenizer(window, scan.mask).signal[0].numpy(),
        tr=np.float64(cast("TimeSeriesProcessor", tokenizer.processor).target_tr),
        scan_id=np.array(scan.scan_id),
        labels=np.array(labels),
    )
