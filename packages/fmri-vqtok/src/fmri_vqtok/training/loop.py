"""The training loop, on accelerate: one run, in the order in which things happen.

The order of examples is data, not chance: item i of the training set is a pure function of the
seed and i, and the loop goes through the set once, in order. So a run that was killed and resumes
from its newest checkpoint sees the same examples, and ends with the same weights, as one that was
never killed. A step sees the same examples whether one process takes them all at once, takes them
part by part, or shares them with other processes; and each loss is divided by what it counts in
the whole step.
"""

import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import torch
from accelerate.utils import send_to_device, set_seed
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from transformers import get_cosine_schedule_with_warmup

from fmri_vqtok.config.stages import LoopSettings
from fmri_vqtok.distributed import (
    all_reduce_sum,
    barrier,
    init_process_group,
    is_main_process,
    no_sync,
    rank_and_world_size,
)
from fmri_vqtok.training.accelerator import load_whole, make_accelerator, model_to_shard
from fmri_vqtok.training.checks import check_length, check_surroundings
from fmri_vqtok.training.log import LossRecord, Sums, TrainingLog
from fmri_vqtok.training.optimizer import drop_frozen_gradients, learning_rates, make_optimizer
from fmri_vqtok.training.run_identity import batch_sample, model_digest
from fmri_vqtok.training.speed import Speed

Progress = Callable[[int, int], None]
Collate = Callable[[list[Any]], dict[str, Any]]

_EXAMPLES = "examples"
"""What a log calls the examples that a run saw first."""


def train(  # noqa: PLR0913 - what a run is made of, each named
    model: nn.Module,
    training_set: Dataset,
    validation_set: Dataset | None,
    collate: Collate,
    settings: LoopSettings,
    directory: Path,
    *,
    seed: int,
    identity: Mapping[str, Any] = MappingProxyType({}),
    device: str = "cpu",
    progress: Progress = lambda _done, _total: None,
    note: Callable[..., None] = lambda **_facts: None,
) -> list[LossRecord]:
    """Train ``model`` in place and return its losses by name, resuming a run that was killed.

    Parameters
    ----------
    model : nn.Module
        See Notes for what it gives and may have. Weights that its ``state_dict`` leaves out are not
        in the checkpoints, so they have to be frozen.
    training_set : Dataset
        ``steps * batch_size`` items; item i is a pure function of the seed and i.
    validation_set : Dataset or None
        Each item counts once, whatever the number of processes.
    collate : callable
        Turns a list of items into a batch.
    settings : LoopSettings
    directory : Path
        Checkpoints are kept in ``directory / "checkpoints"``; the two newest stay. TensorBoard's
        files, where it is asked for, go to ``directory / "tensorboard"``.
    seed : int
        Seeds what is random inside the model, such as dropout.
    identity : mapping, optional
        By name, what else decides the outcome: digests of the data and of the base and text models,
        settings of the model. Plain values, or mappings of them.
    device : str, default="cpu"
        "cpu", or "cuda" for the GPUs that the process sees.
    progress : callable, optional
        ``progress(done, total)`` after each step.
    note : callable, optional
        Called at the end with ``speed=``, a mapping (see `fmri_vqtok.training.speed.Speed.facts`).

    Returns
    -------
    list of LossRecord
        Including those from before a resume. The model is left in evaluation mode; where weights
        are sharded, that of the first process alone is trained.

    Raises
    ------
    InputError
        If the settings do not fit the device, the processes or the installed packages, or the
        checkpoints in ``directory`` belong to another run: to other settings, another seed or
        identity, a model of other shapes or frozen weights, other weights of the losses or other
        examples. The message names what differs.
    ValueError
        If the training set has not ``steps * batch_size`` items.

    Notes
    -----
    ``model(**batch)`` returns a mapping with "losses", scalars by name; and, if there are any,
    "weights" in the total that is minimised, 1 for names that are absent, and "tallies", tensors by
    name that add up over batches. The model may have

    - ``loss_counts(**batch)``: by name, what a loss is a mean over. A loss without a count is taken
      as a mean over something that batches of equal size have equally much of; over the
      validation set it is weighted by the number of items.
    - ``metrics(tallies)``: numbers by name that are written beside the losses, in no total.
    - ``best_by``: name of the loss or metric that early stopping looks at; else "total".
    - ``set_progress(fraction)``: called before each step.
    - ``parameter_groups``: a sequence of `fmri_vqtok.training.optimizer.ParameterGroup`.
    - ``no_weight_decay``, in any of its modules: names of parameters that are not to shrink.
    """
    init_process_group(device)
    check_length(training_set, settings)
    check_surroundings(settings, device, has_validation=validation_set is not None)

    run = _Run(model, settings, directory, seed=seed, identity=identity, device=device)
    batches = run.resume(training_set, collate)
    while run.log.step < settings.steps and not run.has_stopped:
        with run.speed.step(settings.batch_size):
            norm, rates = run.step(batches)
        progress(run.log.step, settings.steps)
        if run.is_due(settings.log_every):
            run.log_interval({"grad_norm": float(norm), **rates})
        if validation_set is not None and run.is_due(settings.evaluate_every):
            run.evaluate(validation_set, collate)
        if run.is_due(settings.checkpoint_every) or run.has_stopped:
            run.save()
    run.finish()
    note(speed=run.speed.facts)
    return run.log.records


class _Run:
    """What `train` does, in its order; the constructor prepares."""

    def __init__(
        self,
        model: nn.Module,
        settings: LoopSettings,
        directory: Path,
        *,
        seed: int,
        identity: Mapping[str, Any],
        device: str,
    ) -> None:
        set_seed(seed)
        groups = getattr(model, "parameter_groups", ())
        self.settings = settings
        self.speed = Speed()
        self.checkpoints = directory / "checkpoints"
        self.log = TrainingLog(
            {
                "settings": asdict(settings),
                "seed": seed,
                "processes": rank_and_world_size()[1],
                "parameter groups": {group.name: asdict(group) for group in groups},
                **identity,
                "model": model_digest(model),
            }
        )
        self.accelerator = make_accelerator(settings, directory, device)
        self.given = model
        self.model: Any = model_to_shard(self.accelerator, model)
        optimizer = make_optimizer(self.model, groups, settings)
        n_warmup = round(settings.warmup_fraction * settings.steps)
        schedule = get_cosine_schedule_with_warmup(optimizer, n_warmup, settings.steps)
        self.prepared, self.optimizer, self.schedule = self.accelerator.prepare(
            self.model, optimizer, schedule
        )

    @property
    def has_stopped(self) -> bool:
        """Whether validations have not become better for too long."""
        return 0 < self.settings.patience <= self.log.n_worse

    def is_due(self, every: int) -> bool:
        """Whether it is time for what happens every so many steps, and after the last one."""
        return self.log.step % every == 0 or self.log.step == self.settings.steps

    def resume(self, training_set: Dataset, collate: Collate) -> Iterator[dict[str, Any]]:
        """Load the newest checkpoint, if there is one, and give the batches that are left.

        Each batch is what this process sees of one part of a step.
        """
        if is_main_process():
            shutil.rmtree(self._unfinished, ignore_errors=True)
        barrier()
        checkpoint = next(reversed(self._whole_checkpoints()), None)
        parts = _parts_of_process(self.settings)
        if checkpoint is not None:
            self.log.load(checkpoint)
            # The first process wrote the log, so these are the examples that it saw first.
            first = collate([training_set[i] for i in range(len(parts[0]))])
            self.log.require_same(_EXAMPLES, batch_sample(first))
        left = parts[self.log.step * self.settings.accumulation_steps :]
        batches = iter(DataLoader(training_set, batch_sampler=left, collate_fn=collate))
        if checkpoint is not None:
            # After the start of the data loader, which draws a random number.
            self.accelerator.load_state(str(checkpoint))
        return batches

    def step(self, batches: Iterator[dict[str, Any]]) -> tuple[Tensor, dict[str, float]]:
        """Take one optimizer step; the norm of its gradient, and the learning rates by name."""
        with self.speed.wait():
            parts = list(itertools.islice(batches, self.settings.accumulation_steps))
        parts = [send_to_device(part, self.accelerator.device) for part in parts]
        if self.log.step == 0:
            self.log.require_same(_EXAMPLES, batch_sample(parts[0]))
        if hasattr(self.model, "set_progress"):
            self.model.set_progress(self.log.step / self.settings.steps)
        self.prepared.train()
        for part, shares in zip(parts, _shares(self._loss_counts, parts), strict=True):
            with self.accelerator.accumulate(self.prepared):
                outputs = self.prepared(**part)
                losses = {
                    name: loss * shares[name].to(loss) if name in shares else loss
                    for name, loss in outputs["losses"].items()
                }
                losses["total"] = _total(losses, outputs)
                self.accelerator.backward(losses["total"])
            weights = batch_sample(outputs.get("weights", {}))
            self.log.require_same("weights of the losses", weights)
            self.log.add(losses, outputs.get("tallies", {}))
        drop_frozen_gradients(self.optimizer, self.log.step)
        norm = self.accelerator.clip_grad_norm_(
            self.prepared.parameters(), self.settings.max_grad_norm
        )
        rates = learning_rates(self.optimizer)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        self.log.step += 1
        return norm, rates

    def log_interval(self, of_step: Mapping[str, float]) -> None:
        """Write down the losses since the last time; trackers get the speed and the step's too."""
        values = self.log.close_interval(self._metrics)
        self._track("train", {**values, **of_step, **self.speed.interval()})

    def evaluate(self, validation_set: Dataset, collate: Collate) -> None:
        """Write down losses and metrics over the validation set, and keep the best weights."""
        values = self._validate(validation_set, collate)
        self.log.write("validation", values)
        self._track("eval", values)
        by = getattr(self.model, "best_by", "total")
        if self.settings.patience and self.log.is_best(values[by]):
            self._best.parent.mkdir(parents=True, exist_ok=True)
            state = self.accelerator.get_state_dict(self.prepared)
            self.accelerator.save(state, self._best, safe_serialization=True)

    def save(self) -> None:
        """Write a checkpoint, whole or not at all, and remove all but the two newest."""
        self.accelerator.save_state(str(self._unfinished))
        barrier()  # each process writes its random states
        if is_main_process():
            self.log.save(self._unfinished)
            self._unfinished.rename(self.checkpoints / f"checkpoint-{self.log.step}")
            for checkpoint in self._whole_checkpoints()[:-2]:
                shutil.rmtree(checkpoint.rename(self._unfinished))
        barrier()

    def finish(self) -> None:
        """Close the open interval, take the best weights if asked to, and unwrap the model."""
        self.log.close_interval(self._metrics)
        # `end_training` would end the process group too, which the caller still needs.
        for tracker in self.accelerator.trackers:
            tracker.finish()
        self.accelerator.unwrap_model(self.prepared, keep_fp32_wrapper=False)
        # Accelerate leaves a model with this mark as it is: another run has to prepare it again.
        vars(self.model).pop("_is_accelerate_prepared", None)
        if self.model is not self.given:
            load_whole(self.given, self.accelerator.get_state_dict(self.prepared))
        if self.settings.patience:
            barrier()
            load_whole(self.given, load_file(self._best))
        self.given.eval()

    @torch.no_grad()
    def _validate(self, validation_set: Dataset, collate: Collate) -> dict[str, float]:
        """Losses and metrics over the validation set, the same on every process.

        Whole batches are shared out to the processes, so that they are those of a single one. A
        process for which none is left passes the last one without counting it, as sharded weights
        need all processes at once.
        """
        self.prepared.eval()
        rank, world_size = rank_and_world_size()
        n_items = len(cast("Sized", validation_set))
        size = self.settings.batch_size // self.settings.accumulation_steps
        parts = [range(k, min(k + size, n_items)) for k in range(0, n_items, size)]
        sums, counts, tallies = Sums(), Sums(), Sums()
        for place in range(rank, -(-len(parts) // world_size) * world_size, world_size):
            items = parts[min(place, len(parts) - 1)]
            counted = float(place < len(parts))
            batch = send_to_device(
                collate([validation_set[i] for i in items]), self.accelerator.device
            )
            with no_sync():
                outputs = self.prepared(**batch)
                found = self._loss_counts(**batch)
            losses = outputs["losses"]
            weights = {
                name: counted * found.get(name, loss.new_tensor(len(items))).double()
                for name, loss in losses.items()
            }
            sums.add_scalars({name: weights[name] * loss for name, loss in losses.items()})
            counts.add_scalars(weights)
            tallies.add({n: v * int(counted) for n, v in outputs.get("tallies", {}).items()})
        means = {name: sums.values[name] / counts.values[name].clamp(min=1) for name in losses}
        values = {name: float(mean) for name, mean in means.items()}
        values["total"] = float(_total(means, outputs))
        return values | self._metrics(tallies.values)

    @property
    def _loss_counts(self) -> Callable[..., dict[str, Tensor]]:
        return getattr(self.model, "loss_counts", lambda **_: {})

    def _metrics(self, tallies: dict[str, Tensor]) -> dict[str, float]:
        return self.model.metrics(tallies) if tallies else {}

    def _track(self, split: str, values: Mapping[str, float]) -> None:
        named = {f"{split}/{name}": value for name, value in values.items()}
        self.accelerator.log(named, step=self.log.step)

    @property
    def _best(self) -> Path:
        return self.checkpoints / "best" / "model.safetensors"

    @property
    def _unfinished(self) -> Path:
        """Folder of a checkpoint that is being written or removed."""
        return self.checkpoints / "unfinished"

    def _whole_checkpoints(self) -> list[Path]:
        """Checkpoints, the oldest first."""
        found = self.checkpoints.glob("checkpoint-*")
        return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


def _parts_of_process(settings: LoopSettings) -> list[list[int]]:
    """Items of this process in each part of each step, in order."""
    rank, world_size = rank_and_world_size()
    size = settings.batch_size // settings.accumulation_steps // world_size
    starts = range(rank * size, settings.steps * settings.batch_size, world_size * size)
    return [list(range(start, start + size)) for start in starts]


def _total(losses: Mapping[str, Tensor], outputs: Mapping[str, Any]) -> Tensor:
    weights = outputs.get("weights", {})
    return sum((weights.get(n, 1.0) * losses[n] for n in outputs["losses"]), torch.tensor(0.0))


def _shares(
    loss_counts: Callable[..., dict[str, Tensor]], parts: Sequence[dict[str, Any]]
) -> list[dict[str, Tensor]]:
    """By part and name, what a loss counts in it over the mean of all parts of the step."""
    counts = [loss_counts(**part) for part in parts]
    names = sorted(counts[0])
    if not names:
        return [{} for _ in parts]
    table = torch.stack([torch.stack([count[name] for name in names]) for count in counts]).double()
    n_parts = len(parts) * rank_and_world_size()[1]
    mean = all_reduce_sum(table.sum(dim=0)) / n_parts
    shares = table / mean.masked_fill(mean == 0, 1.0)
    return [dict(zip(names, row, strict=True)) for row in shares]
