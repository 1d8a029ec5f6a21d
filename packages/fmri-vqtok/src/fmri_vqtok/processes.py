"""What the processes of a training run share; with a single process nothing is exchanged."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, distributed

_apart = False
"""Whether this process works on its own for a while."""


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Exchange nothing inside this context: what it does, the other processes may not do."""
    global _apart  # noqa: PLW0603 - the state of the process, like the group itself
    before, _apart = _apart, True
    try:
        yield
    finally:
        _apart = before


def place_among_processes() -> tuple[int, int]:
    """Rank of this process, and the number of processes; (0, 1) without others."""
    return (distributed.get_rank(), distributed.get_world_size()) if _several() else (0, 1)


def wait_for_all() -> None:
    """Go on when every process has come here."""
    if _several():
        distributed.barrier()


def sum_over_processes(values: Tensor) -> Tensor:
    """Add up, in place, what every process has; the sum stands on each of them."""
    if _several():
        distributed.all_reduce(values)
    return values


def share_first(values: Tensor) -> Tensor:
    """Overwrite, in place, what every process has with what the first one has."""
    if _several():
        distributed.broadcast(values, src=0)
    return values


def draw_rows(x: Tensor, n_rows: int, seed: int) -> Tensor:
    """Rows drawn with replacement from the rows of all processes, the same on each.

    Parameters
    ----------
    x : Tensor, shape (n, d)
        The rows of this process; n may differ from one to the next.
    n_rows : int
    seed : int
        The same on every process.

    Returns
    -------
    Tensor, shape (n_rows, d)
    """
    rank, n_processes = place_among_processes()
    sizes = torch.zeros(n_processes, dtype=torch.int64, device=x.device)
    sizes[rank] = len(x)
    sum_over_processes(sizes)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(int(sizes.sum()), (n_rows,), generator=generator).to(x.device)
    own = chosen - sizes[:rank].sum()
    here = (own >= 0) & (own < len(x))
    rows = x.new_zeros(n_rows, x.shape[1])
    rows[here] = x[own[here]]
    return sum_over_processes(rows)


def _several() -> bool:
    return not _apart and distributed.is_available() and distributed.is_initialized()
