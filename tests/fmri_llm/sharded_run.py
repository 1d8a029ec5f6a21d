"""One training run on weights that are sharded over the CPU processes that `torchrun` starts.

Accelerate shards on GPUs alone. Torch also does on CPUs, so accelerate is told that it may.
"""

import contextlib
import sys
from pathlib import Path

import torch
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

from fmri_vqtok.distributed import init_process_group

from .training.test_base_training import fresh
from .training.test_training import tune_and_validate

plain_init = AcceleratorState.__init__


def sharding_init(state, *args, **options):
    plain_init(state, *args, **options)
    state.distributed_type = DistributedType.FSDP
    state.fsdp_plugin = FullyShardedDataParallelPlugin()


def stop(done, _total):
    if done == 3:
        raise KeyboardInterrupt


if __name__ == "__main__":
    torch.set_num_threads(1)
    AcceleratorState.__init__ = sharding_init
    folder, directory, architecture, base_training = sys.argv[1:]
    init_process_group("cpu")
    with contextlib.suppress(KeyboardInterrupt):
        model = fresh(folder, base_training, architecture)
        tune_and_validate(model, Path(directory), 4, progress=stop)
    model = fresh(folder, base_training, architecture)
    tune_and_validate(model, Path(directory), 4)
