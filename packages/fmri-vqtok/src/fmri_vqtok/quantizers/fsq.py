"""Finite scalar quantization: each component is rounded to one of a few levels.

After Mentzer et al., 2023, with the levels spread evenly and symmetrically over [-scale, scale].
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fmri_vqtok.config.quantizers import FSQSettings
from fmri_vqtok.distributed import broadcast
from fmri_vqtok.quantizers.base import NearestQuantizer

SCALE_CANDIDATES = torch.linspace(0.25, 4.0, 61)
"""Outermost levels that `initialise` tries, in root mean squares of a component."""


class FiniteScalarQuantizer(NearestQuantizer):
    """Nearest point of a grid with a fixed number of levels in each dimension.

    There is no codebook to learn or to collapse: the levels, here and nowhere else, are the codes.
    Code ``k`` has the digits ``k // (L_0 ... L_{i-1}) % L_i``, and digit j of L stands for the
    level ``scale * (2 j / (L - 1) - 1)``.

    Parameters
    ----------
    levels : sequence of int
        L of each dimension, from 2 to 256; K is their product and d their number.
    commitment : float, default=0.25
        Weight of the loss that keeps the input near its code, and so inside the grid.

    Raises
    ------
    InputError
        If a number of levels is out of range.

    Examples
    --------
    >>> import torch
    >>> from fmri_vqtok.quantizers import FiniteScalarQuantizer
    >>> quantizer = FiniteScalarQuantizer([3, 5])
    >>> quantizer(torch.tensor([[0.1, 0.6], [-7.0, 1.0]])).codes.tolist()
    [10, 12]
    >>> quantizer.lookup(torch.tensor([10, 12])).tolist()
    [[0.0, 0.5], [-1.0, 1.0]]
    """

    scale: Tensor
    n_levels: Tensor
    basis: Tensor

    def __init__(self, levels: Sequence[int], *, commitment: float = 0.25) -> None:
        self.levels = FSQSettings(levels=tuple(levels), commitment=commitment).levels
        super().__init__(math.prod(self.levels), len(self.levels), commitment)
        counts = torch.tensor(self.levels)
        self.register_buffer("scale", torch.ones(self.dim))
        self.register_buffer("n_levels", counts, persistent=False)
        self.register_buffer("basis", counts.cumprod(0) // counts, persistent=False)

    def assign(self, x: Tensor) -> Tensor:
        """Code of each vector, shape (...)."""
        return (self._digits(x / self.scale) * self.basis).sum(dim=-1)

    def lookup(self, codes: Tensor) -> Tensor:
        """Points of the grid, shape (..., d).

        Raises
        ------
        IndexError
            If a code is out of range.
        """
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < self.n_codes:
            raise IndexError(f"codes: {int(codes.min())} to {int(codes.max())} of {self.n_codes}")
        digits = codes[..., None] // self.basis % self.n_levels
        return self._points(digits) * self.scale

    @torch.no_grad()
    def initialise(self, samples: Tensor, generator: torch.Generator) -> None:  # noqa: ARG002
        """Spread each dimension's levels so that training vectors lose least.

        Parameters
        ----------
        samples : Tensor, shape (..., d)
        generator : torch.Generator
            Not drawn from: the best of a fixed list of scales is taken.
        """
        samples = samples.flatten(0, -2)
        size = samples.float().square().mean(dim=0).sqrt().clamp(min=1e-12)
        scaled = samples / size
        errors = torch.stack(
            [
                (scaled - c * self._points(self._digits(scaled / c))).square().mean(dim=0)
                for c in SCALE_CANDIDATES.tolist()
            ]
        )
        best = SCALE_CANDIDATES.to(errors)[errors.argmin(dim=0)]
        broadcast(self.scale.copy_(best * size))

    def _digits(self, bounded: Tensor) -> Tensor:
        """Index of the nearest level of each component, in units of the scale."""
        steps = (self.n_levels - 1) * (bounded.clamp(-1.0, 1.0) + 1) / 2
        return (steps + 0.5).floor().long()

    def _points(self, digits: Tensor) -> Tensor:
        """Level of each digit, from -1 to 1; the inverse of `_digits`."""
        return digits * (2.0 / (self.n_levels - 1)) - 1.0
