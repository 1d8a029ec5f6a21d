"""Several processes that a launcher started for one stage: the first one owns the run.

`torchrun` and `accelerate launch` give each process its RANK, LOCAL_RANK and WORLD_SIZE. The first
process alone decides whether the stage is up to date, holds the lock, writes the record and prints.
The others wait until it has made the working directory, and do the stage's work there with it.
"""

import os
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fmri_cli.run.pipeline import DISTRIBUTED

if TYPE_CHECKING:
    from torch.distributed import Store

_PATIENCE = timedelta(hours=2)  # inputs are compared, and a language model fetched, in that time
_DIRECTORY, _NOTHING = "directory", "nothing to do"


def several() -> bool:
    """Whether a launcher started more than this process."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def rank() -> int:
    """Return the number of this process; 0 for the first, or the only one."""
    return int(os.environ.get("RANK", "0")) if several() else 0


def refuse_several(command: str) -> None:
    """Raise a UsageError if several processes would each do the whole work of a command."""
    if several():
        raise click.UsageError(
            f"`fmri {command}` runs in one process; start it without a launcher. "
            f"Several processes can share the work of {', '.join(DISTRIBUTED)}."
        )


def announce(directory: Path | None) -> None:
    """Tell the other processes where the stage is being made, or None if it is up to date."""
    if several():
        _store().set(_DIRECTORY, _NOTHING if directory is None else str(directory.absolute()))


def announced() -> Path | None:
    """Wait for the first process; where the stage is being made, or None if it is up to date."""
    answer = _store().get(_DIRECTORY).decode()
    return None if answer == _NOTHING else Path(answer)


@lru_cache(maxsize=1)
def _store() -> "Store":
    """Key-value store at MASTER_ADDR and MASTER_PORT, which torch itself uses to meet."""
    from torch.distributed import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    store, _, _ = next(rendezvous("env://", timeout=_PATIENCE))
    # A launcher that restarts its processes keeps the store: what it holds then is out of date.
    return PrefixStore(f"fmri-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
