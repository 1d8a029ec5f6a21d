"""Training examples as pure functions of the seed and their place in the run."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fmri_vqtok.processor import TimeSeriesProcessor

Example = dict[str, Tensor]


@dataclass(frozen=True)
class NormalisedScan:
    """A whole recording as the processor normalised it.

    Attributes
    ----------
    scan_id : str
    series : Tensor, shape (T', N)
    mask : Tensor of bool, shape (N,)
    row : int
        Row of the scan's caption among the text targets.
    """

    scan_id: str
    series: Tensor
    mask: Tensor
    row: int


@dataclass(frozen=True)
class TextDraws:
    """How text embeddings are drawn for the domain loss.

    Attributes
    ----------
    stream : Tensor of int64, shape (n,)
        Tokens of a corpus.
    n_tokens : int
        Draws for each example.
    """

    stream: Tensor
    n_tokens: int

    def draw(self, rng: np.random.Generator) -> Tensor:
        """Tokens at random places of the corpus, shape (n_tokens,)."""
        return self.stream[torch.from_numpy(rng.integers(len(self.stream), size=self.n_tokens))]


class TrainingPlan(Dataset):
    """Windows of the training scans; item i depends on the seed and i alone.

    Parameters
    ----------
    scans : sequence of NormalisedScan
    processor : TimeSeriesProcessor
    n_examples : int
    seed : int
    windows : {"random", "all", "clip"}
        "random": a scan is drawn, and where its window starts. Otherwise the windows that the
        processor cuts, all or only the first of each scan, come in a drawn order, each once
        before any comes again.
    region_dropout : float
        A share of the regions, uniform between 0 and this, is hidden from the encoder.
    text : TextDraws or None
    """

    def __init__(
        self,
        scans: Sequence[NormalisedScan],
        processor: TimeSeriesProcessor,
        n_examples: int,
        *,
        seed: int,
        windows: str = "random",
        region_dropout: float,
        text: TextDraws | None,
    ) -> None:
        self.scans = scans
        self.processor = processor
        self.n_examples = n_examples
        self.seed = seed
        self.region_dropout = region_dropout
        self.text = text
        limit = 1 if windows == "clip" else None
        self._listed = [
            (scan, window)
            for scan in (scans if windows != "random" else ())
            for window in processor.cut(scan.series)[:limit]
        ]
        self._order = lru_cache(maxsize=2)(self._draw_order)

    def __len__(self) -> int:
        return self.n_examples

    def __getitem__(self, index: int) -> Example:
        rng = np.random.default_rng([self.seed, index])
        scan, window = self._window(index, rng)
        share = rng.uniform(0, self.region_dropout)
        hidden = torch.from_numpy(rng.random(len(scan.mask)) < share)
        return _example(scan, window, hidden, self.text, rng)

    def _window(self, index: int, rng: np.random.Generator) -> tuple[NormalisedScan, Tensor]:
        if self._listed:
            round_, place = divmod(index, len(self._listed))
            return self._listed[self._order(round_)[place]]
        scan = self.scans[int(rng.integers(len(self.scans)))]
        return scan, self.processor.random_window(scan.series, rng)

    def _draw_order(self, round_: int) -> list[int]:
        # A third number keeps this draw apart from those of the items.
        rng = np.random.default_rng([self.seed, round_, 1])
        return rng.permutation(len(self._listed)).tolist()


class WindowPlan(Dataset):
    """Every window of some scans, once, with nothing hidden.

    Parameters
    ----------
    scans : sequence of NormalisedScan
    processor : TimeSeriesProcessor
    seed : int
        Of the text draws.
    text : TextDraws or None
    """

    def __init__(
        self,
        scans: Sequence[NormalisedScan],
        processor: TimeSeriesProcessor,
        *,
        seed: int,
        text: TextDraws | None,
    ) -> None:
        self.windows = [(scan, window) for scan in scans for window in processor.cut(scan.series)]
        self.seed = seed
        self.text = text

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> Example:
        scan, window = self.windows[index]
        rng = np.random.default_rng([self.seed, index])
        return _example(scan, window, torch.zeros_like(scan.mask), self.text, rng)


def collate(examples: list[Any]) -> dict[str, Tensor]:
    """Batch of examples: each tensor stacked along a new first axis."""
    return {name: torch.stack([example[name] for example in examples]) for name in examples[0]}


def _example(
    scan: NormalisedScan,
    window: Tensor,
    hidden: Tensor,
    text: TextDraws | None,
    rng: np.random.Generator,
) -> Example:
    example = {
        "signal": window,
        "mask": scan.mask,
        "hidden": hidden,
        "scans": torch.tensor(scan.row),
    }
    if text is not None:
        example["text_ids"] = text.draw(rng)
    return example
