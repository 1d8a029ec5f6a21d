"""Residual vector quantization: a code is one vector of each of several small codebooks, summed."""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from fmri_vqtok.config.quantizers import ResidualSettings
from fmri_vqtok.kernels import nearest_code, sum_by_code
from fmri_vqtok.quantizers.base import NearestQuantizer
from fmri_vqtok.quantizers.kmeans import kmeans
from fmri_vqtok.quantizers.packing import pack, unpack
from fmri_vqtok.quantizers.vq import VectorQuantizer


class ResidualQuantizer(NearestQuantizer):
    """Nearest sum of one vector from each stage; later stages refine what earlier ones leave.

    The codes of the stages are packed to one, the first stage most significant, as
    `fmri_vqtok.quantizers.packing.pack` does. So codes with the same first digit are neighbours, in
    number and in vector, and other code need not know of the stages. All K sums are compared, not
    one stage after the other, so that the nearest sum is found.

    Parameters
    ----------
    stages : sequence of int
        Codes of each stage; K is their product, at most 65,536.
    dim : int
        d.
    decay, commitment, dead_code_threshold : float
        As for `VectorQuantizer`; every stage's codebook is a running mean.

    Raises
    ------
    InputError
        If a stage has fewer than 2 codes, or all together too many.
    """

    def __init__(
        self,
        stages: Sequence[int],
        dim: int,
        *,
        decay: float = 0.999,
        commitment: float = 0.25,
        dead_code_threshold: float = 0.5,
    ) -> None:
        sizes = ResidualSettings(stages=tuple(stages), commitment=commitment).stages
        super().__init__(math.prod(sizes), dim, commitment)
        self.sizes = sizes
        self.stages = nn.ModuleList(
            VectorQuantizer(size, dim, decay=decay, dead_code_threshold=dead_code_threshold)
            for size in sizes
        )

    def pack(self, stage_codes: Tensor) -> Tensor:
        """One code, shape (...), from those of the stages, shape (..., n_stages)."""
        return pack(stage_codes, self.sizes)

    def unpack(self, codes: Tensor) -> Tensor:
        """Codes of the stages, shape (..., n_stages); the inverse of `pack`."""
        return unpack(codes, self.sizes)

    def vectors(self) -> Tensor:
        """Vector of every packed code, shape (K, d)."""
        first, *later = (stage.codebook for stage in self._stages())
        for codebook in later:
            first = (first[:, None] + codebook).flatten(0, 1)
        return first

    def assign(self, x: Tensor) -> Tensor:
        """Code of each vector, shape (...)."""
        return nearest_code(x, self.vectors())

    def lookup(self, codes: Tensor) -> Tensor:
        """Vectors of packed ``codes``, shape (..., d)."""
        return self.vectors()[codes]

    @torch.no_grad()
    def initialise(
        self, samples: Tensor, generator: torch.Generator, n_iterations: int = 20
    ) -> None:
        """Initialise each stage by k-means of the residuals before it, then refine all together.

        Parameters
        ----------
        samples : Tensor, shape (..., d)
        generator : torch.Generator
        n_iterations : int, default=20
            Of k-means, and then of refining all stages together.
        """
        rest = samples = samples.flatten(0, -2).float()
        for stage in self._stages():
            centres = kmeans(rest, stage.n_codes, generator, n_iterations)
            codes = stage.nearest(rest, centres)
            stage.init_codebook(centres, codes)
            rest = rest - centres[codes]
        for _ in range(n_iterations):
            self._refine(samples)

    def update(self, x: Tensor, codes: Tensor) -> None:
        """Update each stage from the residuals that the other stages leave of a batch.

        Parameters
        ----------
        x : Tensor, shape (..., d)
        codes : Tensor of int64, shape (...)
        """
        rest = x - self.lookup(codes)
        for stage, own in zip(self._stages(), self.unpack(codes).unbind(-1), strict=True):
            stage.update(rest + stage.lookup(own), own)

    def _refine(self, samples: Tensor) -> None:
        """Set each stage's vectors to the means of the residuals that the other stages leave."""
        codes = self.assign(samples)
        for stage, own in zip(self._stages(), self.unpack(codes).unbind(-1), strict=True):
            left = samples - self.lookup(codes) + stage.lookup(own)
            counts, sums = sum_by_code(left, own, stage.n_codes)
            means = sums / counts.clamp(min=1)[:, None]
            stage.init_codebook(torch.where(counts[:, None] > 0, means, stage.codebook), own)

    def _stages(self) -> list[VectorQuantizer]:
        return cast("list[VectorQuantizer]", list(self.stages))
