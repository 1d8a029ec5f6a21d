"""Collective operations over the processes of a training run; without others nothing is exchanged.

Data-parallel training averages gradients over its processes. `all_reduce_mean` and
`all_gather_with_gradient` make that average the gradient of the loss of the whole batch, also where
processes hold different numbers of rows.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed
from torch.nn import functional

_no_sync = False
"""Whether this process exchanges nothing for a while."""


def init_process_group(device: str) -> None:
    """Join the other processes of a run that ``accelerate launch`` or ``torchrun`` started.

    Parameters
    ----------
    device : str
        "cpu" or "cuda".
    """
    from accelerate.state import AcceleratorState, PartialState

    # Accelerate keeps one state per process; an earlier run may have had another device or
    # precision. The process group itself stays.
    AcceleratorState._reset_state(reset_partial_state=True)  # noqa: SLF001
    PartialState(cpu=device == "cpu")


def rank_and_world_size() -> tuple[int, int]:
    """Rank of this process, and the number of processes; (0, 1) without others."""
    return (distributed.get_rank(), distributed.get_world_size()) if _synchronises() else (0, 1)


def is_main_process() -> bool:
    """Whether this is the process that writes."""
    return rank_and_world_size()[0] == 0


@contextlib.contextmanager
def no_sync() -> Iterator[None]:
    """Exchange nothing inside this context: what this process does, the others may not do."""
    global _no_sync  # noqa: PLW0603 - the state of the process, like the group itself
    before, _no_sync = _no_sync, True
    try:
        yield
    finally:
        _no_sync = before


def barrier() -> None:
    """Wait until every process has come here."""
    if _synchronises():
        distributed.barrier()


def broadcast(values: Tensor) -> Tensor:
    """Overwrite, in place, the values of every process with those of the first one."""
    if _synchronises():
        distributed.broadcast(values, src=0)
    return values


def all_reduce_sum(values: Tensor) -> Tensor:
    """Add up, in place, the values of all processes; each has the sum."""
    if _synchronises():
        distributed.all_reduce(values)
    return values


def all_reduce_mean(total: Tensor, count: Tensor | int) -> Tensor:
    """Mean of a batch that is spread over processes, from each one's sum and number of terms.

    Parameters
    ----------
    total : Tensor
        Scalar, the sum over the terms of this process.
    count : Tensor or int
        Number of these terms; 0 is allowed.

    Returns
    -------
    Tensor
        Scalar, the same on every process. Its gradient, averaged over the processes, is that of
        the mean over all terms.
    """
    count = torch.as_tensor(count, device=total.device)
    if not _synchronises():
        return total / count.clamp(min=1)
    return _AllReducedMean.apply(total, count)


class Gathered(NamedTuple):
    """Rows of all processes, in the order of their ranks.

    Attributes
    ----------
    rows : Tensor, shape (n, ...)
    first : int
        Where the rows of this process begin.
    """

    rows: Tensor
    first: int


@torch.no_grad()
def all_gather(x: Tensor) -> Gathered:
    """Rows that all processes have, without gradient; their numbers may differ.

    Parameters
    ----------
    x : Tensor, shape (n, ...)
        The rows of this process.
    """
    if not _synchronises():
        return Gathered(x.detach(), 0)
    sizes = _all_gather_equal(torch.tensor([len(x)], device=x.device)).flatten().tolist()
    padding = [0, 0] * (x.ndim - 1) + [0, max(sizes) - len(x)]
    padded = _all_gather_equal(functional.pad(x.detach(), padding))
    rows = torch.cat([part[:size] for part, size in zip(padded, sizes, strict=True)])
    return Gathered(rows, sum(sizes[: rank_and_world_size()[0]]))


def all_gather_with_gradient(x: Tensor) -> Tensor:
    """Rows that all processes have, in the order of their ranks.

    Where every process computes the same loss from these rows, its gradients, averaged over the
    processes, are those of that loss.

    Parameters
    ----------
    x : Tensor, shape (n, ...)
        The rows of this process; n may differ from one to the next.
    """
    return _GatheredRows.apply(x) if _synchronises() else x


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
    rank, world_size = rank_and_world_size()
    sizes = torch.zeros(world_size, dtype=torch.int64, device=x.device)
    sizes[rank] = len(x)
    all_reduce_sum(sizes)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(int(sizes.sum()), (n_rows,), generator=generator).to(x.device)
    own = chosen - sizes[:rank].sum()
    here = (own >= 0) & (own < len(x))
    rows = x.new_zeros(n_rows, x.shape[1])
    rows[here] = x[own[here]]
    return all_reduce_sum(rows)


def _synchronises() -> bool:
    if _no_sync or not (distributed.is_available() and distributed.is_initialized()):
        return False
    return distributed.get_world_size() > 1


def _all_gather_equal(x: Tensor) -> Tensor:
    parts = [torch.empty_like(x) for _ in range(rank_and_world_size()[1])]
    distributed.all_gather(parts, x.contiguous())
    return torch.stack(parts)


class _AllReducedMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, total: Tensor, count: Tensor) -> Tensor:
        # In double precision a count is exact beyond the 16.7 million of single precision.
        sums = torch.stack([total.detach().double(), count.double()])
        distributed.all_reduce(sums)
        mean_weight = 1 / sums[1].clamp(min=1)
        ctx.weight = (rank_and_world_size()[1] * mean_weight).to(total.dtype)
        return (sums[0] * mean_weight).to(total.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.weight, None


class _GatheredRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        rows, first = all_gather(x)
        ctx.own = slice(first, first + len(x))
        return rows

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        # The average over the processes divides what only one of them has.
        return rank_and_world_size()[1] * gradients[0][ctx.own]
