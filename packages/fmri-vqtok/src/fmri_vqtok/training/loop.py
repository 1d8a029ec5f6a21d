"""Training that resumes exactly: a thin layer over transformers' Trainer.

The order of examples is data, not chance: item i of the training set is a pure function of the
seed and i, and the loop goes through the set once, in order. So a run that was killed and goes on
from its newest checkpoint sees the same examples, and ends with the same weights, as one that was
never killed. A step sees the same examples whether one process takes them all at once, takes them
part by part, or shares them with other processes; and each loss is divided by what it counts in
the whole step.
"""

import shutil
from collections.abc import Callable, Mapping, Sized
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import torch
from accelerate import PartialState
from accelerate.utils import send_to_device
from safetensors.torch import load_file
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
from transformers.integrations import TensorBoardCallback, get_available_reporting_integrations
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from typing_extensions import override

from fmri_vqtok.config.stages import LoopSettings
from fmri_vqtok.errors import InputError
from fmri_vqtok.library_logging import quiet_transformers
from fmri_vqtok.processes import (
    alone,
    place_among_processes,
    sum_over_processes,
    wait_for_all,
)
from fmri_vqtok.training.log import MARKER, Journal, LossRecord, Sums, read_losses, write_losses
from fmri_vqtok.training.run_identity import batch_sample, model_digest

__all__ = ["LossRecord", "Progress", "join_processes", "read_losses", "train", "write_losses"]

Progress = Callable[[int, int], None]
EXAMPLES = "examples"
"""What a journal calls the examples that a run saw first."""

Collate = Callable[[list[Any]], dict[str, Any]]


def join_processes(device: str) -> bool:
    """Meet the other processes of a run that ``torchrun`` started; whether this is the first.

    Parameters
    ----------
    device : str
        "cpu" or "cuda".
    """
    PartialState(cpu=device == "cpu")
    return place_among_processes()[0] == 0


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

    Returns
    -------
    list of LossRecord
        Including those from before a resume. The model is left in evaluation mode.

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
    - ``no_weight_decay``, in any of its modules: names of parameters that are not to shrink.
    """
    join_processes(device)
    _check_length(training_set, settings)
    check_surroundings(settings, device, has_validation=validation_set is not None)
    checkpoints = directory / "checkpoints"
    journal = Journal({**_identity(settings, seed), **identity, "model": model_digest(model)})
    resume_from = _newest_whole(checkpoints)
    if resume_from is not None:
        journal.load(resume_from)
        journal.meet(EXAMPLES, _first_examples(training_set, collate, settings))
    trainer = _NamedLossTrainer(
        journal,
        collate,
        settings,
        model=model,
        args=_arguments(settings, checkpoints, seed, device),
        train_dataset=training_set,
        eval_dataset=validation_set,
        callbacks=[_Rhythm(settings, journal, progress, evaluates=validation_set is not None)],
    )
    trainer.tidy_callbacks(directory)
    with quiet_transformers():
        if not trainer.has_stopped():
            trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
        trainer.conclude()
    model.eval()
    return journal.records


class _Rhythm(TrainerCallback):
    """Says when to log, evaluate and save, and seals each checkpoint with its marker."""

    def __init__(
        self, settings: LoopSettings, journal: Journal, progress: Progress, *, evaluates: bool
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

        self.journal.step = step
        control.should_log = due(settings.log_every)
        control.should_evaluate = self.evaluates and due(settings.evaluate_every)
        control.should_save = due(settings.checkpoint_every)
        self.progress(step, settings.steps)

    @override
    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # Every process has its own random state in the checkpoint.
        wait_for_all()
        if state.is_world_process_zero:
            self.journal.save(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}")


class _NamedLossTrainer(Trainer):
    """Trainer whose losses keep their names and whose examples keep their order."""

    def __init__(
        self, journal: Journal, collate: Collate, settings: LoopSettings, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        # Then the Trainer divides by the number of parts of a step, as a mean over them needs.
        self.model_accepts_loss_kwargs = False
        self._journal = journal
        self._collate = collate
        self._settings = settings
        self._shares: list[dict[str, Tensor]] = []

    def tidy_callbacks(self, directory: Path) -> None:
        """Print nothing, and keep TensorBoard's files out of the checkpoints."""
        self.remove_callback(PrinterCallback)
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, TensorBoardCallback) and callback.logging_dir is None:
                callback.logging_dir = str(directory / "tensorboard")

    def has_stopped(self) -> bool:
        """Whether validations have not become better for too long."""
        return 0 < self._settings.patience <= self._journal.n_worse

    def conclude(self) -> None:
        """Close the open interval, take the best weights if asked to, and unwrap the model."""
        self._write_interval()
        model = self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        if self._settings.patience:
            wait_for_all()
            model.load_state_dict(load_file(self._best_directory / "model.safetensors"), False)

    def get_train_dataloader(self) -> DataLoader:
        loader = DataLoader(
            cast("Dataset", self.train_dataset),
            batch_size=self.args.per_device_train_batch_size,
            shuffle=False,
            collate_fn=self._collate,
        )
        return self.accelerator.prepare(loader)

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        # Biases, norms and temperatures are vectors or scalars: shrinking them helps nothing.
        spared = {
            f"{prefix}.{name}" if prefix else name
            for prefix, module in model.named_modules()
            for name in getattr(module, "no_weight_decay", ())
        }
        named = model.named_parameters()
        return [name for name, p in named if p.ndim >= 2 and name not in spared]

    def get_batch_samples(
        self, epoch_iterator: Any, num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        batches, n_items = super().get_batch_samples(epoch_iterator, num_batches, device)
        self._shares = _shares(self._loss_counts, batches)
        if self.state.global_step == 0:
            self._journal.meet(EXAMPLES, batch_sample(batches[0]))
        return batches, n_items

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *_: Any, **__: Any) -> Tensor:
        outputs = model(**inputs)
        self._journal.meet("weights of the losses", batch_sample(outputs.get("weights", {})))
        shares = self._shares.pop(0)
        losses = {
            name: loss * shares[name].to(loss) if name in shares else loss
            for name, loss in outputs["losses"].items()
        }
        losses["total"] = _total(losses, outputs)
        self._journal.add(losses, outputs.get("tallies", {}))
        return losses["total"]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            logs = {key: value for key, value in logs.items() if key != "loss"}
            logs |= self._write_interval()
        super().log(logs, start_time)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        values = self._validate()
        self._journal.write("validation", values)
        self.log({f"eval_{name}": value for name, value in values.items()})
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, values
        )
        if self._settings.patience:
            by = getattr(self._plain_model, "best_by", "total")
            if self._journal.judge(values[by]):
                self.save_model(str(self._best_directory), _internal_call=True)
            if self.has_stopped():
                self.control.should_training_stop = self.control.should_save = True
        return values

    @property
    def _plain_model(self) -> nn.Module:
        return self.accelerator.unwrap_model(cast("nn.Module", self.model))

    @property
    def _loss_counts(self) -> Callable[..., dict[str, Tensor]]:
        return getattr(self._plain_model, "loss_counts", lambda **_: {})

    @property
    def _best_directory(self) -> Path:
        return Path(str(self.args.output_dir)) / "best"

    def _write_interval(self) -> dict[str, float]:
        means, tallies = self._journal.close_interval()
        values = means | self._metrics(tallies)
        self._journal.write("train", values)
        return values

    def _metrics(self, tallies: dict[str, Tensor]) -> dict[str, float]:
        return cast("Any", self._plain_model).metrics(tallies) if tallies else {}

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """Losses and metrics over the validation set, the same on every process.

        Whole batches are dealt to the processes, so that they are those of a single one. Where
        they do not go round, a process passes one twice, as sharded weights need all at once, and
        counts it not at all.
        """
        model = cast("nn.Module", self.model).eval()
        rank, n_processes = place_among_processes()
        batches = _batches(len(cast("Sized", self.eval_dataset)), self._settings)
        sums, counts, tallies = Sums(), Sums(), Sums()
        for place in range(rank, -(-len(batches) // n_processes) * n_processes, n_processes):
            items = batches[min(place, len(batches) - 1)]
            counted = float(place < len(batches))
            examples = [cast("Any", self.eval_dataset)[i] for i in items]
            batch = send_to_device(self._collate(examples), self.args.device)
            with alone():
                outputs = model(**batch)
                found = self._loss_counts(**batch)
            losses = outputs["losses"]
            weights = {
                name: counted * found.get(name, loss.new_tensor(len(items))).double()
                for name, loss in losses.items()
            }
            sums.add_scalars({name: weights[name] * loss for name, loss in losses.items()})
            counts.add_scalars(weights)
            tallies.add({n: (v * int(counted)) for n, v in outputs.get("tallies", {}).items()})
        means = {name: sums.values[name] / counts.values[name].clamp(min=1) for name in losses}
        values = {name: float(mean) for name, mean in means.items()}
        values["total"] = float(_total(means, outputs))
        return values | self._metrics(tallies.values)


class _OneGPU(TrainingArguments):
    """Arguments of a process that uses one GPU; more GPUs have a process each."""

    @property
    def n_gpu(self) -> int:
        return min(1, super().n_gpu)


def _total(losses: dict[str, Tensor], outputs: dict[str, Any]) -> Tensor:
    weights = outputs.get("weights", {})
    return sum((weights.get(n, 1.0) * losses[n] for n in outputs["losses"]), torch.tensor(0.0))


def _shares(
    loss_counts: Callable[..., dict[str, Tensor]], batches: list[Any]
) -> list[dict[str, Tensor]]:
    """By batch and name, what a loss counts in it over the mean of all batches of the step."""
    counts = [loss_counts(**batch) for batch in batches]
    names = sorted(counts[0])
    if not names:
        return [{} for _ in batches]
    table = torch.stack([torch.stack([count[name] for name in names]) for count in counts]).double()
    n_batches = len(batches) * place_among_processes()[1]
    mean = sum_over_processes(table.sum(dim=0)) / n_batches
    shares = table / mean.masked_fill(mean == 0, 1.0)
    return [dict(zip(names, row, strict=True)) for row in shares]


def _batches(n_items: int, settings: LoopSettings) -> list[range]:
    size = settings.batch_size // settings.accumulation_steps
    return [range(start, min(start + size, n_items)) for start in range(0, n_items, size)]


def _identity(settings: LoopSettings, seed: int) -> dict[str, Any]:
    return {"settings": asdict(settings), "seed": seed, "processes": place_among_processes()[1]}


def _first_examples(training_set: Dataset, collate: Collate, settings: LoopSettings) -> list[Any]:
    """Sample of what the first process sees first."""
    n_parts = settings.accumulation_steps * place_among_processes()[1]
    items = range(settings.batch_size // n_parts)
    return batch_sample(collate([cast("Any", training_set)[i] for i in items]))


def _check_length(training_set: Dataset, settings: LoopSettings) -> None:
    found = len(training_set) if isinstance(training_set, Sized) else None
    expected = settings.steps * settings.batch_size
    if found != expected:
        raise ValueError(
            f"training_set: {found} items, but {settings.steps} steps of {settings.batch_size} "
            f"examples need {expected}"
        )


def check_surroundings(settings: LoopSettings, device: str, *, has_validation: bool) -> None:
    """Refuse settings that do not fit the device, the processes or the installed packages.

    Raises
    ------
    InputError
    """
    n_processes = place_among_processes()[1]
    parts = n_processes * settings.accumulation_steps
    if settings.batch_size % parts:
        raise InputError(
            f"batch_size: {settings.batch_size}, but {n_processes} processes share each of the "
            f"{settings.accumulation_steps} parts of a step; give a multiple of {parts}"
        )
    if settings.precision == "float16" and device == "cpu":
        raise InputError("precision: 'float16' needs a GPU; on a CPU give 'bfloat16' or 'float32'")
    if settings.precision == "bfloat16" and device != "cpu" and not torch.cuda.is_bf16_supported():
        raise InputError("precision: 'bfloat16', but this GPU has none; give 'float16'")
    if settings.patience and not has_validation:
        raise InputError(
            f"patience: {settings.patience}, but there are no validation scans to stop by; give 0"
        )
    _check_tracker(settings.report_to)


def _check_tracker(name: str) -> None:
    known = ["none", "all", *INTEGRATION_TO_CALLBACK]
    if name not in known:
        near = get_close_matches(name, known, n=1, cutoff=0)[0]
        raise InputError(f"report_to: '{name}'; did you mean '{near}'?")
    if name not in ("none", "all", *get_available_reporting_integrations()):
        raise InputError(
            f"report_to: '{name}' is not installed; pip install {name}, or give 'none'"
        )


def _newest_whole(checkpoints: Path) -> Path | None:
    """Newest checkpoint that is whole; half-written ones are removed."""
    whole = []
    for checkpoint in checkpoints.glob("checkpoint-*"):
        if (checkpoint / MARKER).is_file():
            whole.append(checkpoint)
        elif place_among_processes()[0] == 0:
            shutil.rmtree(checkpoint)
    wait_for_all()
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _arguments(
    settings: LoopSettings, checkpoints: Path, seed: int, device: str
) -> TrainingArguments:
    n_processes = place_among_processes()[1]
    return _OneGPU(
        output_dir=str(checkpoints),
        max_steps=settings.steps,
        per_device_train_batch_size=(
            settings.batch_size // settings.accumulation_steps // n_processes
        ),
        gradient_accumulation_steps=settings.accumulation_steps,
        bf16=settings.precision == "bfloat16",
        fp16=settings.precision == "float16",
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(settings.warmup_fraction * settings.steps),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch",
        seed=seed,
        use_cpu=device == "cpu",
        # The codebook is kept equal by the quantizer; other buffers never change.
        ddp_broadcast_buffers=False,
        # `_Rhythm` alone says when to log, evaluate and save.
        logging_strategy="no",
        eval_strategy="no",
        save_strategy="no",
        # The older of the two is there until the newer one has its marker.
        save_total_limit=2,
        report_to=settings.report_to,
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
