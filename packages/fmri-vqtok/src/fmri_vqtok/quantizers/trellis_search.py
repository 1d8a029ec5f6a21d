"""The nearest path through a bit-shift trellis (Viterbi)."""

from collections.abc import Sequence

import torch
from torch import Tensor

PATH_BYTES = 2**26
"""Memory for the paths of the steps that are searched at one time."""


def search(
    steps: Tensor, scales: Tensor, counts: Sequence[int], table: Tensor, places: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Squared errors and states of the best paths, from the register at 0.

    Parameters
    ----------
    steps : Tensor, shape (S, n)
        Components in the order of the register.
    scales : Tensor, shape (n,)
        What the numbers of the table are multiplied by.
    counts : sequence of int, length n
        New bits that the register takes before each component.
    table : Tensor, shape (d, 2^L)
        What a component at each place of a token can be, by state.
    places : sequence of int, length n
        Row of the table for each component.

    Returns
    -------
    errors : Tensor, shape (S,)
    states : Tensor of int64, shape (S, n)
    """
    at_once = max(1, PATH_BYTES // (table.shape[1] * max(sum(counts), 1)))
    parts = [_search(part, scales, counts, table, places) for part in steps.split(at_once)]
    errors, states = zip(*parts, strict=True)
    return torch.cat(errors), torch.cat(states)


def _search(
    steps: Tensor, scales: Tensor, counts: Sequence[int], table: Tensor, places: Sequence[int]
) -> tuple[Tensor, Tensor]:
    n_states = table.shape[1]
    state_bits = n_states.bit_length() - 1
    errors = steps.new_full((len(steps), n_states), torch.inf)
    errors[:, 0] = 0
    dropped: list[Tensor | None] = []
    for i, count in enumerate(counts):
        fresh = min(count, state_bits)
        if fresh:
            errors, oldest = errors.view(len(steps), 2**fresh, -1).min(dim=1)
            errors = errors.repeat_interleave(2**fresh, dim=1)
            dropped.append(oldest.to(torch.uint8 if fresh <= 8 else torch.int32))
        else:
            dropped.append(None)
        away = steps[:, i, None] - scales[i] * table[places[i]]
        errors = torch.addcmul(errors, away, away)
    best, state = errors.min(dim=1)
    return best, _trace_back(state, dropped, counts, state_bits)


def _trace_back(
    state: Tensor, dropped: Sequence[Tensor | None], counts: Sequence[int], state_bits: int
) -> Tensor:
    """States of the paths that end in these, shape (S, n), from the last component to the first."""
    states = []
    for oldest, count in zip(reversed(dropped), reversed(counts), strict=True):
        states.append(state)
        if oldest is not None:
            fresh = min(count, state_bits)
            kept = state >> fresh
            taken = oldest.gather(1, kept[:, None])[:, 0].long()
            state = kept + (taken << (state_bits - fresh))
    return torch.stack(states[::-1], dim=1)
