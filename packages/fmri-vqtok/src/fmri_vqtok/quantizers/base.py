"""What every quantizer is and gives."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Quantized(NamedTuple):
    """What a quantizer makes of vectors of width d.

    Attributes
    ----------
    latents : Tensor, shape (..., d)
        Code vectors; their gradient passes straight through to the quantizer's input.
    codes : Tensor of int64, shape (...)
    losses : dict of str to Tensor
        Scalars to add to the objective, by name.
    """

    latents: Tensor
    codes: Tensor
    losses: dict[str, Tensor]


class Quantizer(nn.Module, ABC):
    """Maps vectors of width ``dim`` to one of ``n_codes`` codes, and codes to vectors."""

    n_codes: int
    dim: int

    @abstractmethod
    def forward(self, x: Tensor) -> Quantized:
        """Quantize ``x``, shape (..., d)."""

    @abstractmethod
    def lookup(self, codes: Tensor) -> Tensor:
        """Vectors of ``codes``, shape (..., d)."""

    @abstractmethod
    def initialise(self, samples: Tensor, generator: torch.Generator) -> None:
        """Start from training vectors, shape (n, d)."""
