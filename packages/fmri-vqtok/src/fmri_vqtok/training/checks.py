"""What is refused before the first step."""

from collections.abc import Sized

import torch
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from torch.utils.data import Dataset

from fmri_vqtok.config.stages import LoopSettings
from fmri_vqtok.distributed import rank_and_world_size
from fmri_vqtok.errors import InputError, did_you_mean


def check_length(training_set: Dataset, settings: LoopSettings) -> None:
    """Refuse a training set that has not one item for each example of each step.

    Raises
    ------
    ValueError
    """
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
    world_size = rank_and_world_size()[1]
    parts = world_size * settings.accumulation_steps
    if settings.batch_size % parts:
        raise InputError(
            f"batch_size: {settings.batch_size}, but {world_size} processes share each of the "
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
    known = ["none", "all", *LOGGER_TYPE_TO_CLASS]
    if name not in known:
        raise InputError(f"report_to: '{name}'; {did_you_mean(name, known)}")
    if name not in ("none", "all", *map(str, get_available_trackers())):
        raise InputError(
            f"report_to: '{name}' is not installed; pip install {name}, or give 'none'"
        )
