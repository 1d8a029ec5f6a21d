"""The brain block in front of the text: which columns it has, their positions and who sees whom.

B sequences, W time steps, N regions, M = W * N signal tokens, C context tokens, P = M + C + 2.

::

    columns   0        | 1 .......... M | M+1 ....... M+C | M+C+1
    holds     <fmri>   | signal tokens  | context tokens  | </fmri>

Signal tokens are time-major (`fmri_llm.packing.token_grid`): the regions of a step share one
position and attend to each other and the past. Context tokens say something about the whole scan
and therefore hold the future of every step: they attend to each other, and no signal token attends
to them. ``</fmri>`` and the text attend to the whole block.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from fmri_llm.packing import token_grid

__all__ = ["BrainColumns", "block_causal_mask"]


class BrainColumns(NamedTuple):
    """Layout of the brain blocks of a batch.

    Attributes
    ----------
    signal_mask : Tensor of bool, shape (B, M)
        False for a region without signal and for the padding steps of a shorter scan.
    steps_per_scan : Tensor of int64, shape (B,)
        Steps of each scan without padding; 0 in a block without signal tokens.
    n_regions : int
    context_mask : Tensor of bool, shape (B, C)
        False for a context token of a region without signal.
    context_offsets : Tensor of int64, shape (C,)
        Positions of the context tokens after the signal tokens.
    """

    signal_mask: Tensor
    steps_per_scan: Tensor
    n_regions: int
    context_mask: Tensor
    context_offsets: Tensor

    @property
    def n_steps(self) -> int:
        """W, steps of the longest scan."""
        return self.signal_mask.shape[1] // self.n_regions

    @property
    def signal(self) -> slice:
        """Columns of the signal tokens."""
        return slice(1, 1 + self.signal_mask.shape[1])

    @property
    def context(self) -> slice:
        """Columns of the context tokens."""
        return slice(self.signal.stop, self.signal.stop + self.context_mask.shape[1])

    @property
    def n_columns(self) -> int:
        """P."""
        return self.context.stop + 1

    @property
    def visible(self) -> Tensor:
        """Which columns text may attend to; shape (B, P), bool."""
        end = self.signal_mask.new_ones(len(self.signal_mask), 1)
        return torch.cat([end, self.signal_mask, self.context_mask, end], dim=1)

    @property
    def text_start(self) -> Tensor:
        """Position of the first text token after each block, shape (B,)."""
        offsets = self.context_offsets
        n_context = int(offsets.max()) + 1 if len(offsets) else 0
        return self.steps_per_scan + n_context + 2

    @property
    def position_ids(self) -> Tensor:
        """Position of each column; shape (B, P)."""
        steps = token_grid.step_ids(self.n_steps, self.n_regions, self.signal_mask.device)
        after_signal = 1 + self.steps_per_scan[:, None]
        return torch.cat(
            [
                torch.zeros_like(after_signal),
                (1 + steps).expand(len(self.signal_mask), -1),
                after_signal + self.context_offsets,
                self.text_start[:, None] - 1,
            ],
            dim=1,
        )

    def mask(self) -> Tensor:
        """Which column (last axis) each column (middle axis) may attend to; (B, P, P), bool.

        One row serves all, (1, P, P), where all blocks have the same columns.
        """
        signal_mask, context_mask = self.signal_mask, self.context_mask
        if signal_mask.all() and context_mask.all():
            signal_mask, context_mask = signal_mask[:1], context_mask[:1]
        n_rows, n_columns = len(signal_mask), self.n_columns
        mask = signal_mask.new_zeros(n_rows, n_columns, n_columns)
        mask[:, :, 0] = True
        past = block_causal_mask(self.n_steps, self.n_regions, signal_mask.device)
        mask[:, self.signal, self.signal] = past & signal_mask[:, None]
        mask[:, self.context, self.context] = context_mask[:, None]
        mask[:, -1] = self.visible[:n_rows]
        mask.diagonal(dim1=1, dim2=2).fill_(True)
        return mask


def block_causal_mask(
    n_steps: int, n_regions: int, device: torch.device | str | None = None
) -> Tensor:
    """Which signal token (column) each one (row) may attend to: its own step and the past.

    Returns
    -------
    Tensor of bool, shape (M, M)
    """
    steps = token_grid.step_ids(n_steps, n_regions, device)
    return steps[None, :] <= steps[:, None]
