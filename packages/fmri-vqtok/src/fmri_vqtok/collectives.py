"""Means and rows over all processes of a training run; with a single one nothing is exchanged.

Data-parallel training averages gradients over its processes. What is here makes that average the
gradient of the loss of the whole batch, also where processes hold different numbers of rows.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed
from torch.nn import functional

from fmri_vqtok.processes import place_among_processes


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


def mean_over_processes(total: Tensor, count: Tensor | int) -> Tensor:
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
    if place_among_processes()[1] == 1:
        return total / count.clamp(min=1)
    return _SharedMean.apply(total, count)


@torch.no_grad()
def gather_rows(x: Tensor) -> Gathered:
    """Rows that all processes have, without gradient; their numbers may differ.

    Parameters
    ----------
    x : Tensor, shape (n, ...)
        The rows of this process.
    """
    if place_among_processes()[1] == 1:
        return Gathered(x.detach(), 0)
    sizes = _gather(torch.tensor([len(x)], device=x.device)).flatten().tolist()
    padding = [0, 0] * (x.ndim - 1) + [0, max(sizes) - len(x)]
    everyone = _gather(functional.pad(x.detach(), padding))
    rows = torch.cat([part[:size] for part, size in zip(everyone, sizes, strict=True)])
    return Gathered(rows, sum(sizes[: place_among_processes()[0]]))


def gather_with_gradient(x: Tensor) -> Tensor:
    """Rows that all processes have, in the order of their ranks.

    Where every process computes the same loss from these rows, its gradients, averaged over the
    processes, are those of that loss.

    Parameters
    ----------
    x : Tensor, shape (n, ...)
        The rows of this process; n may differ from one to the next.
    """
    return x if place_among_processes()[1] == 1 else _GatheredRows.apply(x)


def _gather(x: Tensor) -> Tensor:
    parts = [torch.empty_like(x) for _ in range(place_among_processes()[1])]
    distributed.all_gather(parts, x.contiguous())
    return torch.stack(parts)


class _SharedMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, total: Tensor, count: Tensor) -> Tensor:
        # In double precision a count is exact beyond the 16.7 million of single precision.
        sums = torch.stack([total.detach().double(), count.double()])
        distributed.all_reduce(sums)
        mean_weight = 1 / sums[1].clamp(min=1)
        ctx.weight = (place_among_processes()[1] * mean_weight).to(total.dtype)
        return (sums[0] * mean_weight).to(total.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.weight, None


class _GatheredRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        rows, first = gather_rows(x)
        ctx.own = slice(first, first + len(x))
        return rows

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        # The average over the processes divides what only one of them has.
        return place_among_processes()[1] * gradients[0][ctx.own]
