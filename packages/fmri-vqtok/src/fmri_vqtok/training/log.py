"""Losses and metrics by name over the steps of a run, and what of them travels in a checkpoint."""

import csv
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fmri_vqtok.digest import plain
from fmri_vqtok.distributed import all_reduce_sum, rank_and_world_size
from fmri_vqtok.errors import InputError
from fmri_vqtok.training.run_identity import differences, same_sample

FILE = "training_log.json"
"""The name of the log in a checkpoint."""


class LossRecord(NamedTuple):
    """One loss or metric by name: since the last record (train) or over the set (validation)."""

    step: int
    split: str
    name: str
    value: float


def write_losses(records: list[LossRecord], path: Path) -> None:
    """Write losses as CSV with the columns step, split, name, value (exact decimal floats)."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LossRecord._fields)
        for record in records:
            writer.writerow((record.step, record.split, record.name, repr(record.value)))


def read_losses(path: Path) -> list[LossRecord]:
    """Losses that `write_losses` wrote, equal to the last bit."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            LossRecord(int(row["step"]), row["split"], row["name"], float(row["value"]))
            for row in csv.DictReader(file)
        ]


class Sums:
    """Running sums by name, the same on every process.

    Attributes
    ----------
    values : dict of str to Tensor
        On the CPU: float64 for losses, whatever type they were counted in for tallies.
    """

    def __init__(self) -> None:
        self.values: dict[str, Tensor] = {}

    def add(self, values: dict[str, Tensor]) -> None:
        """Add what this process has found, and what the others have; all need the same names."""
        for name in sorted(values):
            summed = all_reduce_sum(values[name].detach().clone()).cpu()
            self.values[name] = self.values[name] + summed if name in self.values else summed

    def add_scalars(self, values: dict[str, Tensor]) -> None:
        """Add scalars, in one exchange."""
        names = sorted(values)
        together = torch.stack([values[name].detach().double() for name in names])
        for name, value in zip(names, all_reduce_sum(together).cpu(), strict=True):
            self.values[name] = self.values[name] + value if name in self.values else value

    def to_json(self) -> dict[str, Any]:
        """Plain values, exact to the last bit."""
        return {
            name: {"dtype": str(value.dtype).removeprefix("torch."), "value": value.tolist()}
            for name, value in self.values.items()
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Sums":
        """Take the sums that `to_json` made plain."""
        sums = cls()
        sums.values = {
            name: torch.tensor(entry["value"], dtype=getattr(torch, entry["dtype"]))
            for name, entry in content.items()
        }
        return sums


class TrainingLog:
    """Losses so far, the open logging interval, and the best validation; part of each checkpoint.

    Parameters
    ----------
    run : mapping
        What identifies the run: a checkpoint of another run is refused.

    Attributes
    ----------
    records : list of LossRecord
    step : int
        Optimizer steps done.
    best : float
        Smallest value that `is_best` was given.
    n_worse : int
        Validations since then.
    """

    def __init__(self, run: Mapping[str, Any]) -> None:
        self.run = plain(run)
        self.samples: dict[str, Any] = {}
        self.records: list[LossRecord] = []
        self.step, self.best, self.n_worse = 0, math.inf, 0
        self._checkpoint: Path | None = None
        self._losses, self._tallies = Sums(), Sums()
        self._n_parts = 0

    def add(self, losses: dict[str, Tensor], tallies: dict[str, Tensor]) -> None:
        """Take in one part of a step: losses to be averaged, tallies to be added up."""
        self._losses.add_scalars(losses)
        self._tallies.add(tallies)
        self._n_parts += rank_and_world_size()[1]

    def close_interval(
        self, metrics: Callable[[dict[str, Tensor]], dict[str, float]]
    ) -> dict[str, float]:
        """Write down mean losses, and metrics of the summed tallies, since the last call.

        Parameters
        ----------
        metrics : callable
            Numbers by name from tallies by name.

        Returns
        -------
        dict of str to float
            What was written; empty without a step since the last call.
        """
        values = {name: float(v) / self._n_parts for name, v in self._losses.values.items()}
        values |= metrics(self._tallies.values)
        self._losses, self._tallies, self._n_parts = Sums(), Sums(), 0
        self.write("train", values)
        return values

    def write(self, split: str, values: dict[str, float]) -> None:
        """Keep values by name as those of the present step."""
        self.records += [
            LossRecord(self.step, split, name, values[name]) for name in sorted(values)
        ]

    def is_best(self, value: float) -> bool:
        """Whether a validation is better than all before it; how many are worse is counted."""
        better = value < self.best
        self.best, self.n_worse = (value, 0) if better else (self.best, self.n_worse + 1)
        return better

    def require_same(self, name: str, sample: list[Any]) -> None:
        """Keep the first sample of this name; in this run and when it resumes, refuse another.

        Parameters
        ----------
        name : str
        sample : list
            As `fmri_vqtok.training.run_identity.batch_sample` gives it.

        Raises
        ------
        InputError
        """
        if not same_sample(self.samples.setdefault(name, sample), sample):
            raise _another_run(self._checkpoint, f"other {name}")

    def save(self, checkpoint: Path) -> None:
        """Write the log into the folder of a checkpoint."""
        state = {
            "run": self.run,
            "samples": self.samples,
            "records": self.records,
            "step": self.step,
            "best": self.best,
            "n_worse": self.n_worse,
            "losses": self._losses.to_json(),
            "tallies": self._tallies.to_json(),
            "n_parts": self._n_parts,
        }
        (checkpoint / FILE).write_text(json.dumps(state, sort_keys=True), encoding="utf-8")

    def load(self, checkpoint: Path) -> None:
        """Continue the log of a checkpoint.

        Raises
        ------
        InputError
            If it belongs to another run.
        """
        state = json.loads((checkpoint / FILE).read_text(encoding="utf-8"))
        if different := differences(state["run"], self.run):
            raise _another_run(checkpoint, different)
        self._checkpoint = checkpoint
        self.samples = state["samples"]
        self.records = [LossRecord(*record) for record in state["records"]]
        self.step, self.best, self.n_worse = state["step"], state["best"], state["n_worse"]
        self._losses = Sums.from_json(state["losses"])
        self._tallies = Sums.from_json(state["tallies"])
        self._n_parts = state["n_parts"]


def _another_run(checkpoint: Path | None, different: str) -> InputError:
    folder = "the checkpoints" if checkpoint is None else f"the folder {checkpoint.parent}"
    return InputError(
        f"{checkpoint}: written with {different}; remove {folder}, or train with what wrote it"
    )
