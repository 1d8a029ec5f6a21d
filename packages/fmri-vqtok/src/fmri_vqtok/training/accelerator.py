"""What the loop has of accelerate: precision, processes, trackers, and sharded weights (FSDP)."""

import copy
from collections.abc import Mapping
from pathlib import Path

import torch
from accelerate import Accelerator, DataLoaderConfiguration, DistributedDataParallelKwargs
from accelerate.tracking import TensorBoardTracker, get_available_trackers
from accelerate.utils import DistributedType, GradientAccumulationPlugin
from torch import Tensor, nn

from fmri_vqtok.config.stages import LoopSettings

_PRECISIONS = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}
_PROJECT = "fmri-lm"


def make_accelerator(settings: LoopSettings, directory: Path, device: str) -> Accelerator:
    """Accelerator of a run, with its trackers.

    Parameters
    ----------
    settings : LoopSettings
    directory : Path
        TensorBoard's files, where it is asked for, go to its folder ``tensorboard``.
    device : str
        "cpu" or "cuda".
    """
    names = {"none": [], "all": list(map(str, get_available_trackers()))}
    trackers = [
        TensorBoardTracker("", directory / "tensorboard") if name == "tensorboard" else name
        for name in names.get(settings.report_to, [settings.report_to])
    ]
    accelerator = Accelerator(
        cpu=device == "cpu",
        mixed_precision=_PRECISIONS[settings.precision],
        gradient_accumulation_plugin=GradientAccumulationPlugin(
            num_steps=settings.accumulation_steps
        ),
        # Then the schedule advances once per step, whatever the number of processes.
        dataloader_config=DataLoaderConfiguration(split_batches=True),
        kwargs_handlers=[
            # The codebook is kept equal by the quantizer; other buffers never change.
            DistributedDataParallelKwargs(broadcast_buffers=False, find_unused_parameters=True)
        ],
        log_with=trackers or None,
        project_dir=directory,
    )
    accelerator.init_trackers(_PROJECT)
    return accelerator


def model_to_shard(accelerator: Accelerator, model: nn.Module) -> nn.Module:
    """Model that accelerate may shard: a copy where it does, else the model itself.

    Sharding changes a model for good, and takes no parameter that is a scalar; those of the copy
    have one element along one axis.
    """
    if accelerator.distributed_type != DistributedType.FSDP:
        return model
    copied = copy.deepcopy(model)
    for module in copied.modules():
        for name, value in module.named_parameters(recurse=False):
            if value.ndim == 0:
                with torch.no_grad():
                    whole = nn.Parameter(value[None], requires_grad=value.requires_grad)
                setattr(module, name, whole)
    return copied


def load_whole(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a whole state, maybe that of a sharded copy, into a model.

    Parameters
    ----------
    model : nn.Module
    state : mapping
        Gathered by accelerate: on the first process everything, on others it may be nothing.
    """
    own = model.state_dict()
    model.load_state_dict(
        {name: value.reshape(own[name].shape) for name, value in state.items()}, strict=False
    )
