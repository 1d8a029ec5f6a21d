"""The interface of quantizers, and what those with nearest codes share."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Quantized(NamedTuple):
    """Vectors of width d after quantization.

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
        """Initialise from training vectors, shape (..., d); a tokenizer gives (n_steps, N, d)."""

    def code_vectors(self) -> Tensor:
        """Vectors that represent codes, shape (K, width): what each decodes to, or its digits."""
        return self.lookup(torch.arange(self.n_codes, device=next(self.buffers()).device))


class NearestQuantizer(Quantizer):
    """Quantizer that assigns each vector its nearest code, with a straight-through gradient.

    Distances and losses are taken in float32, inside autocast too.

    Parameters
    ----------
    n_codes : int
        K.
    dim : int
        d.
    commitment : float
        Weight of the loss that keeps the input near its code.
    """

    def __init__(self, n_codes: int, dim: int, commitment: float) -> None:
        super().__init__()
        self.n_codes, self.dim, self.commitment = n_codes, dim, commitment

    def forward(self, x: Tensor) -> Quantized:
        """Quantize vectors; in training mode the quantizer is then updated from them.

        Parameters
        ----------
        x : Tensor, shape (..., d)

        Returns
        -------
        Quantized
            With the loss "commitment", and those of `extra_losses`.
        """
        with torch.autocast(x.device.type, enabled=False):
            exact = x.float()
            codes = self.assign(exact.detach())
            nearest = self.lookup(codes)
            distance = (exact - nearest.detach()).square().mean()
            losses = {"commitment": self.commitment * distance}
            losses |= self.extra_losses(exact.detach(), nearest)
            if self.training:
                self.update(exact.detach(), codes)
        straight_through = x + (nearest.to(x.dtype) - x).detach()
        return Quantized(straight_through, codes, losses)

    @abstractmethod
    def assign(self, x: Tensor) -> Tensor:
        """Code of each vector of ``x``, float32 of shape (..., d)."""

    def extra_losses(self, x: Tensor, nearest: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """Losses beyond commitment, by name, from vectors and those of their codes, (..., d)."""
        return {}

    def update(self, x: Tensor, codes: Tensor) -> None:
        """Learn from a training batch: vectors, shape (..., d), and their codes, shape (...)."""
