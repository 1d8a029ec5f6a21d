"""Training that resumes exactly: a thin layer over transformers' Trainer.

The order of examples is data, not chance: item i of the training set is a pure function of the
seed and i, and the loop goes through the set once, in order. So a run that was killed and goes on
from its newest checkpoint sees the same examples, and ends with the same weights, as one that was
never killed.
"""

import csv
import json
import os
import shutil
from collections.abc import Callable, Sized
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from typing_extensions import override

from fmri_vqtok.errors import InputError
from fmri_vqtok.quiet import quiet_transformers
from fmri_vqtok.settings import LoopSettings

MARKER = "whole.json"
"""The file that is written last into a checkpoint; without it the checkpoint does not count."""

Progress = Callable[[int, int], None]
Collate = Callable[[list[Any]], dict[str, Any]]


class LossRecord(NamedTuple):
    """One loss by name: the mean since the last record (train) or over the set (validation)."""

    step: int
    split: str
    name: str
    value: float


def train(  # noqa: PLR0913 - what a run is made of, each named
    model: nn.Module,
    training_set: Dataset,
    validation_set: Dataset | None,
    collate: Collate,
    settings: LoopSettings,
    directory: Path,
    *,
    seed: int,
    device: str = "cpu",
    progress: Progress = lambda _done, _total: None,
) -> list[LossRecord]:
    """Train ``model`` in place and return its losses by name, resuming a run that was killed.

    Parameters
    ----------
    model : nn.Module
        ``model(**batch)`` returns ``{"loss": scalar, "losses": {name: scalar}}``. If it has a
        method ``set_progress(fraction)``, that is called before each step. Weights that its
        ``state_dict`` leaves out are not in the checkpoints, so they have to be frozen.
    training_set : Dataset
        ``steps * batch_size`` items; item i is a pure function of the seed and i.
    validation_set : Dataset or None
        Its losses are averaged over batches, weighted by their number of items.
    collate : callable
        Turns a list of items into a batch.
    settings : LoopSettings
    directory : Path
        Checkpoints are kept in ``directory / "checkpoints"``; the two newest stay.
    seed : int
        Seeds what is random inside the model, such as dropout.
    device : str, default="cpu"
        "cpu", or "cuda" for the GPUs that the process sees.
    progress : callable, optional
        ``progress(done, total)`` after each step.

    Returns
    -------
    list of LossRecord
        Including those from before a resume. The model is left in evaluation mode.

    Raises
    ------
    InputError
        If the checkpoints in ``directory`` belong to other settings or another seed.
    ValueError
        If the training set has not ``steps * batch_size`` items.
    """
    _check_length(training_set, settings)
    checkpoints = directory / "checkpoints"
    journal = _Journal({"settings": asdict(settings), "seed": seed})
    resume_from = _newest_whole(checkpoints)
    if resume_from is not None:
        journal.load(resume_from)
    trainer = _NamedLossTrainer(
        journal,
        collate,
        model=model,
        args=_arguments(settings, checkpoints, seed, device),
        train_dataset=training_set,
        eval_dataset=validation_set,
        callbacks=[_Rhythm(settings, journal, progress, evaluates=validation_set is not None)],
    )
    trainer.remove_callback(PrinterCallback)
    with quiet_transformers():
        trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
    model.eval()
    return journal.records


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


class _Journal:
    """Losses so far and the running sums of the open interval; travels in each checkpoint.

    Parameters
    ----------
    run : dict
        What identifies the run: a checkpoint of another run is refused.
    """

    def __init__(self, run: dict[str, Any]) -> None:
        self.run = run
        self.records: list[LossRecord] = []
        self._sums: dict[str, float] = {}
        self._n_steps = 0

    def add(self, outputs: dict[str, Any]) -> None:
        for name, value in _by_name(outputs).items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._n_steps += 1

    def close_interval(self, step: int) -> None:
        means = {name: total / self._n_steps for name, total in self._sums.items()}
        self.write(step, "train", means)
        self._sums, self._n_steps = {}, 0

    def write(self, step: int, split: str, losses: dict[str, float]) -> None:
        self.records += [LossRecord(step, split, name, losses[name]) for name in sorted(losses)]

    def save(self, checkpoint: Path) -> None:
        state = {
            "run": self.run,
            "records": self.records,
            "sums": self._sums,
            "n_steps": self._n_steps,
        }
        beside = checkpoint / f"{MARKER}.part"
        with beside.open("w", encoding="utf-8") as file:
            json.dump(state, file, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(checkpoint / MARKER)

    def load(self, checkpoint: Path) -> None:
        state = json.loads((checkpoint / MARKER).read_text(encoding="utf-8"))
        if state["run"] != self.run:
            raise InputError(
                f"{checkpoint}: written with other settings or another seed; "
                "remove the folder, or train with what it was written with"
            )
        self.records = [LossRecord(*record) for record in state["records"]]
        self._sums, self._n_steps = state["sums"], state["n_steps"]


class _Rhythm(TrainerCallback):
    """Says when to log, evaluate and save, and seals each checkpoint with its marker."""

    def __init__(
        self, settings: LoopSettings, journal: _Journal, progress: Progress, *, evaluates: bool
    ) -> None:
        self.settings = settings
        self.journal = journal
        self.progress = progress
        self.evaluates = evaluates

    @override
    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        set_progress = getattr(kwargs["model"], "set_progress", None)
        if set_progress is not None:
            set_progress(state.global_step / self.settings.steps)

    @override
    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        step, settings = state.global_step, self.settings

        def due(every: int) -> bool:
            return step % every == 0 or step == settings.steps

        if due(settings.log_every):
            self.journal.close_interval(step)
        control.should_evaluate = self.evaluates and due(settings.evaluate_every)
        control.should_save = due(settings.checkpoint_every)
        self.progress(step, settings.steps)

    @override
    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero:
            self.journal.save(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}")


class _NamedLossTrainer(Trainer):
    """Trainer whose losses keep their names and whose examples keep their order."""

    def __init__(self, journal: _Journal, collate: Collate, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._journal = journal
        self._collate = collate

    def get_train_dataloader(self) -> DataLoader:
        return self._in_order(self.train_dataset)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        return self._in_order(eval_dataset if eval_dataset is not None else self.eval_dataset)

    def _in_order(self, dataset: Any) -> DataLoader:
        batch_size = self.args.per_device_train_batch_size
        return self.accelerator.prepare(
            DataLoader(dataset, batch_size=batch_size, shuffle=False, collate_fn=self._collate)
        )

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        # Biases, norms and temperatures are vectors or scalars: shrinking them helps nothing. Nor
        # does it help a table of vectors, such as positions, which its module names.
        tables = {
            f"{path}.{name}".removeprefix(".")
            for path, module in model.named_modules()
            for name in getattr(module, "no_weight_decay", ())
        }
        return [
            name
            for name, parameter in model.named_parameters()
            if parameter.ndim >= 2 and name not in tables
        ]

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *_: Any, **__: Any) -> Tensor:
        outputs = model(**inputs)
        self._journal.add(outputs)
        return outputs["loss"]

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        model = cast("nn.Module", self.model).eval()
        n_items = len(cast("Sized", self.eval_dataset))
        sizes = _batch_sizes(n_items, self.args.per_device_train_batch_size)
        sums: dict[str, float] = {}
        with torch.no_grad():
            for batch, size in zip(self.get_eval_dataloader(), sizes, strict=True):
                for name, value in _by_name(model(**batch)).items():
                    sums[name] = sums.get(name, 0.0) + value * size
        means = {name: total / n_items for name, total in sums.items()}
        self._journal.write(self.state.global_step, "validation", means)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, means)
        return means


def _by_name(outputs: dict[str, Any]) -> dict[str, float]:
    losses = {name: float(value.detach()) for name, value in outputs["losses"].items()}
    return losses | {"total": float(outputs["loss"].detach())}


def _batch_sizes(n_items: int, batch_size: int) -> list[int]:
    return [min(batch_size, n_items - start) for start in range(0, n_items, batch_size)]


def _check_length(training_set: Dataset, settings: LoopSettings) -> None:
    found = len(training_set) if isinstance(training_set, Sized) else None
    expected = settings.steps * settings.batch_size
    if found != expected:
        raise ValueError(
            f"training_set: {found} items, but {settings.steps} steps of {settings.batch_size} "
            f"examples need {expected}"
        )


def _newest_whole(checkpoints: Path) -> Path | None:
    """Newest checkpoint that is whole; half-written ones are removed."""
    whole = []
    for checkpoint in checkpoints.glob("checkpoint-*"):
        if (checkpoint / MARKER).is_file():
            whole.append(checkpoint)
        else:
            shutil.rmtree(checkpoint)
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _arguments(
    settings: LoopSettings, checkpoints: Path, seed: int, device: str
) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(settings.warmup_fraction * settings.steps),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch",
        seed=seed,
        use_cpu=device == "cpu",
        # `_Rhythm` alone says when to log, evaluate and save.
        logging_strategy="no",
        eval_strategy="no",
        save_strategy="no",
        # The older of the two is there until the newer one has its marker.
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
