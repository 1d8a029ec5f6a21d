"""One small training run of each quantizer and contrast, on scans with missing regions.

Started by `torchrun` it is one of several processes; imported, it runs in the one that imports it.
"""

import contextlib
import os
import sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import TensorDataset

from fmri_vqtok.alignment.alignment import TextAlignment
from fmri_vqtok.config.stages import FitTokenizerSettings, LoopSettings
from fmri_vqtok.data.window_dataset import (
    NormalisedScan,
    TextDraws,
    TrainingWindowDataset,
    WindowDataset,
    collate,
)
from fmri_vqtok.distributed import no_sync, rank_and_world_size
from fmri_vqtok.errors import InputError
from fmri_vqtok.processor import TimeSeriesProcessor
from fmri_vqtok.tokenizer import FMRITokenizer, FMRITokenizerConfig
from fmri_vqtok.training.coupling import CouplingLoss
from fmri_vqtok.training.fit import fit_tokenizer
from fmri_vqtok.training.log import write_losses
from fmri_vqtok.training.loop import train
from fmri_vqtok.training.objective import TokenizerObjective
from fmri_vqtok.training.optimizer import ParameterGroup
from fmri_vqtok.training.relation_losses import ReadOut, RelationFeatures

N_REGIONS, N_FRAMES = 5, 24
CHOICES = {
    "vq-ema": {"vq": {"decay": 0.9}},
    "vq-gradient": {"vq": {"update": "gradient"}},
    "fsq": {"quantizer": "fsq", "fsq": {"levels": [4, 4, 2]}},
    "residual": {"quantizer": "residual", "residual": {"stages": [8, 4], "decay": 0.9}},
    "infonce": {"text_width": 7},
    "siglip": {"text_width": 7},
    "relations": {"text_width": 7},
}
"""By the name of the quantizer, of the contrast with text, or of what is pooled."""


def loop(**changes):
    return LoopSettings(**{
        "steps": 5, "batch_size": 4, "learning_rate": 0.01, "weight_decay": 0.1,
        "checkpoint_every": 2, "evaluate_every": 2, "log_every": 1, **changes,
    })  # fmt: skip


def make_scans(first, n_scans):
    scans = []
    for k in range(first, first + n_scans):
        series = torch.randn(60, N_REGIONS, generator=torch.Generator().manual_seed(k))
        mask = torch.arange(N_REGIONS) >= k % 4
        scans.append(NormalisedScan(f"s{k}", series * mask, mask, k))
    return scans


def make_objective(kind):
    torch.manual_seed(0)
    config = FMRITokenizerConfig(**{
        "n_regions": N_REGIONS, "n_frames": N_FRAMES, "patch_frames": 8, "width": 16, "n_heads": 2,
        "encoder_depth": 1, "decoder_depth": 1, "n_codes": 32, "code_width": 3, **CHOICES[kind],
    })  # fmt: skip
    tokenizer = FMRITokenizer(config)
    windows = torch.randn(20, N_FRAMES, N_REGIONS, generator=torch.Generator().manual_seed(0))
    tokenizer.initialise(windows, torch.Generator().manual_seed(0))
    alignment = None
    if "text_width" in CHOICES[kind]:
        table, captions = torch.randn(30, 7), torch.randn(11, 7)
        contrast, pooling = {
            "infonce": ("infonce", "mean"),
            "siglip": ("siglip", "attention"),
            "relations": ("infonce", "relations"),
        }[kind]
        alignment = TextAlignment(
            table, captions, captions.mean(dim=0), contrast=contrast, pooling=pooling,
            n_relations=6, held_out=torch.arange(6, 11),
        )  # fmt: skip
    if kind != "relations":
        return TokenizerObjective(tokenizer, alignment, 0.5)
    filters, zscores = torch.randn(3, N_REGIONS), torch.randn(11, 4)
    zscores[zscores > 1] = torch.nan
    return TokenizerObjective(
        tokenizer, alignment, 0.5, coupling=CouplingLoss(filters, 0.1),
        relations=RelationFeatures(filters), readout=ReadOut(zscores, 6, 1.0),
    )  # fmt: skip


def run(kind, directory, settings, progress=lambda _done, _total: None):
    """Train an objective; give it, and its losses."""
    processor = TimeSeriesProcessor(N_FRAMES)
    n_examples = settings.steps * settings.batch_size
    text = TextDraws(torch.arange(30), 9) if "text_width" in CHOICES[kind] else None
    plan = TrainingWindowDataset(
        make_scans(0, 6), processor, n_examples, seed=1, region_dropout=0.5, text=text,
        part_size=settings.batch_size // settings.accumulation_steps,
    )  # fmt: skip
    # Nine windows: the last batch is neither full nor there for every process.
    validation = WindowDataset(make_scans(6, 5)[:5], processor, seed=1, text=text)
    validation.windows = validation.windows[:9]
    objective = make_objective(kind)
    records = train(
        objective, plan, validation, collate, settings, directory, seed=3, progress=progress
    )
    return objective, records


def fit(cohort_dir, directory):
    """Fit a tokenizer to a cohort; give its line."""
    settings = FitTokenizerSettings(
        n_frames=48, patch_frames=16, n_codes=32, training=loop(steps=2, evaluate_every=1)
    )
    directory.mkdir(exist_ok=True)
    return fit_tokenizer(cohort_dir, directory, settings, seed=7)


class Phased(nn.Module):
    """Two layers with dropout, whose last one trains from the third step on."""

    parameter_groups = (ParameterGroup(name="last", select="^last", from_step=3),)

    def __init__(self):
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(4, 8), nn.Dropout(0.3), nn.Linear(8, 1)

    def forward(self, x):
        return {"losses": {"square": self.last(self.drop(self.first(x))).square().mean()}}


def run_phased(directory, stop_at=None):
    """Train in phases, maybe up to some step; give the weights of each step done."""
    torch.manual_seed(0)
    model, steps = Phased(), {}

    def progress(done, _total):
        steps[done] = {name: value.clone() for name, value in model.state_dict().items()}
        if done == stop_at:
            raise KeyboardInterrupt

    data = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    with contextlib.suppress(KeyboardInterrupt):
        train(
            model, TensorDataset(data), None, lambda items: {"x": torch.stack([x for x, in items])},
            loop(), directory, seed=3, progress=progress,
        )  # fmt: skip
    return steps


def main(folder, cohort_dir):
    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    for kind in CHOICES:
        directory = folder / kind
        directory.mkdir(exist_ok=True)
        objective, records = run(kind, directory, loop())
        torch.save(objective.state_dict(), directory / f"{rank}.pt")
        write_losses(records, directory / f"{rank}.csv")
    phased = run_phased(folder / "phased")
    run_phased(folder / "stopped", stop_at=4)
    torch.save((phased, run_phased(folder / "stopped")), folder / f"phased-{rank}.pt")
    (folder / f"said-{rank}.txt").write_text(fit(cohort_dir, folder / "tokenizer"))
    with no_sync():
        (folder / f"alone-{rank}.txt").write_text(repr(rank_and_world_size()))
    try:
        run("fsq", folder / "refused", loop(batch_size=3))
    except InputError as error:
        (folder / f"refused-{rank}.txt").write_text(str(error))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
