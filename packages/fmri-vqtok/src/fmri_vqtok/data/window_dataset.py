"""Datasets of windows whose items are pure functions of the seed and their index."""

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
    """A whole scan as the processor normalised it.

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
    """Random tokens of a corpus, for the domain loss.

    Attributes
    ----------
    stream : Tensor of int32, shape (n,)
        Tokens of a corpus.
    n_tokens : int
        Tokens per example.
    """

    stream: Tensor
    n_tokens: int

    def draw(self, rng: np.random.Generator) -> Tensor:
        """Tokens at random positions of the corpus, shape (n_tokens,)."""
        places = rng.integers(len(self.stream), size=self.n_tokens)
        return self.stream[torch.from_numpy(places)].long()


class TrainingWindowDataset(Dataset):
    """Windows of the training scans; item i depends on the seed and i alone.

    With text, the windows of a scan are consecutive items, because its caption is about all of it.
    Of the "random" ones each part of ``part_size`` items has as many scans as fit with all their
    windows, which start at random in equal segments of the scan; items that are left go to
    further windows of the same scans. A scan takes at most half of a part, so that there are two
    to contrast. Windows that do not overlap may be divided between two parts.

    Parameters
    ----------
    scans : sequence of NormalisedScan
    processor : TimeSeriesProcessor
    n_examples : int
    seed : int
    windows : {"random", "all", "clip"}
        "random": scan and start of the window are drawn. Otherwise the windows that the processor
        cuts, all or only the first of each scan, are shuffled in each epoch.
    region_dropout : float
        A fraction of the regions, uniform between 0 and this, is hidden from the encoder.
    text : TextDraws or None
    part_size : int, default=1
        Items that are contrasted with one another: a micro-batch of all processes.
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
        part_size: int = 1,
    ) -> None:
        self.scans = scans
        self.processor = processor
        self.n_examples = n_examples
        self.seed = seed
        self.region_dropout = region_dropout
        self.text = text
        self.part_size = part_size if text is not None else 1
        limit = 1 if windows == "clip" else None
        listed = [
            [(scan, window) for window in processor.cut(scan.series)[:limit]]
            for scan in (scans if windows != "random" else ())
        ]
        # What is shuffled: scans with all their windows with text, single windows without.
        self._groups = listed if text is not None else [[one] for group in listed for one in group]
        self._n_listed = sum(map(len, self._groups))
        self._order = lru_cache(maxsize=2)(self._draw_order)
        self._places = lru_cache(maxsize=2)(self._draw_places)

    def __len__(self) -> int:
        return self.n_examples

    def __getitem__(self, index: int) -> Example:
        rng = np.random.default_rng([self.seed, index])
        scan, window = self._window(index, rng)
        fraction = rng.uniform(0, self.region_dropout)
        hidden = torch.from_numpy(rng.random(len(scan.mask)) < fraction)
        return _example(scan, window, hidden, self.text, rng)

    def _window(self, index: int, rng: np.random.Generator) -> tuple[NormalisedScan, Tensor]:
        if self._n_listed:
            epoch, place = divmod(index, self._n_listed)
            return self._order(epoch)[place]
        if self.part_size == 1:
            scan = self.scans[int(rng.integers(len(self.scans)))]
            return scan, self.processor.random_window(scan.series, rng)
        part, place = divmod(index, self.part_size)
        scan, nth, n_windows = self._places(part)[place]
        return scan, self._window_in(scan.series, nth, n_windows, rng)

    def _draw_order(self, epoch: int) -> list[tuple[NormalisedScan, Tensor]]:
        # A third number keeps this draw apart from those of the items.
        rng = np.random.default_rng([self.seed, epoch, 1])
        return [one for k in rng.permutation(len(self._groups)) for one in self._groups[k]]

    def _draw_places(self, part: int) -> list[tuple[NormalisedScan, int, int]]:
        """Scan of each item of a part, index of its window, and number of the scan's windows."""
        rng = np.random.default_rng([self.seed, part, 2])
        chosen: list[NormalisedScan] = []
        sizes: list[int] = []
        for k in rng.permutation(len(self.scans)):
            n_windows = -(-len(self.scans[k].series) // self.processor.n_frames)
            n_windows = min(n_windows, max(self.part_size // 2, 1))
            if sum(sizes) + n_windows > self.part_size:
                break
            chosen.append(self.scans[k])
            sizes.append(n_windows)
        for left in range(self.part_size - sum(sizes)):
            sizes[left % len(sizes)] += 1
        return [
            (scan, nth, size)
            for scan, size in zip(chosen, sizes, strict=True)
            for nth in range(size)
        ]

    def _window_in(
        self, series: Tensor, nth: int, n_windows: int, rng: np.random.Generator
    ) -> Tensor:
        """Window that starts at random in the nth of equal segments of all starts."""
        n_frames = self.processor.n_frames
        n_starts = len(series) - n_frames + 1
        first = nth * n_starts // n_windows
        last = max((nth + 1) * n_starts // n_windows, first + 1)
        start = int(rng.integers(first, last))
        return series[start : start + n_frames]


class WindowDataset(Dataset):
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
