"""Vector quantization with a codebook that follows the data (van den Oord et al., 2017)."""

import torch
from torch import Tensor

from fmri_vqtok.errors import InputError
from fmri_vqtok.kernels import nearest_code, sum_by_code
from fmri_vqtok.quantizers.base import Quantized, Quantizer

START_COUNT = 8.0
"""Running count of an average code after the start."""


def kmeans(samples: Tensor, n_codes: int, generator: torch.Generator, n_rounds: int) -> Tensor:
    """Centres of Lloyd's algorithm; a centre that loses all its samples restarts at a sample.

    Parameters
    ----------
    samples : Tensor, shape (n, d)
    n_codes : int
        K, at most n.
    generator : torch.Generator
    n_rounds : int
        Rounds of assignment and averaging.

    Returns
    -------
    Tensor, shape (K, d)

    Raises
    ------
    InputError
        If there are fewer samples than codes.
    """
    if len(samples) < n_codes:
        raise InputError(
            f"n_codes: {n_codes}, but there are {len(samples)} training vectors; "
            "give fewer codes or more scans"
        )
    order = torch.randperm(len(samples), generator=generator)
    centres = samples[order[:n_codes]].clone()
    for _ in range(n_rounds):
        counts, sums = sum_by_code(samples, nearest_code(samples, centres), n_codes)
        centres = sums / counts.clamp(min=1)[:, None]
        empty = counts == 0
        restarts = torch.randint(len(samples), (int(empty.sum()),), generator=generator)
        centres[empty] = samples[restarts]
    return centres


class VectorQuantizer(Quantizer):
    """Nearest vector of a learned codebook, in Euclidean distance.

    The codebook is a running mean (EMA) of the vectors assigned to each code, so it takes no
    gradient. A code whose running count falls below ``revive_below`` restarts at a vector of the
    batch; the draw is seeded by the number of updates, so it is the same after a resume and on
    every process that sees the same batch.

    Parameters
    ----------
    n_codes : int
        K.
    dim : int
        d, width of a code vector.
    decay : float, default=0.999
        Of the running mean, per training batch.
    commitment : float, default=0.25
        Weight of the loss that keeps the input near its code.
    revive_below : float, default=0.5
        Running count, in vectors a batch, under which a code is dead.
    """

    codebook: Tensor
    counts: Tensor
    sums: Tensor
    n_updates: Tensor

    def __init__(
        self,
        n_codes: int,
        dim: int,
        *,
        decay: float = 0.999,
        commitment: float = 0.25,
        revive_below: float = 0.5,
    ) -> None:
        super().__init__()
        self.n_codes, self.dim = n_codes, dim
        self.decay, self.commitment, self.revive_below = decay, commitment, revive_below
        codebook = torch.randn(n_codes, dim)
        self.register_buffer("codebook", codebook)
        self.register_buffer("counts", torch.ones(n_codes))
        self.register_buffer("sums", codebook.clone())
        self.register_buffer("n_updates", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Quantized:
        """Quantize vectors; in training mode the codebook then moves towards them.

        Parameters
        ----------
        x : Tensor, shape (..., d)

        Returns
        -------
        Quantized
            With the loss "commitment".
        """
        codes = nearest_code(x.detach(), self.codebook)
        nearest = self.lookup(codes)
        losses = {"commitment": self.commitment * (x.float() - nearest).square().mean()}
        if self.training:
            self._follow(x.detach().float().reshape(-1, self.dim), codes.reshape(-1))
        return Quantized(x + (nearest.to(x.dtype) - x).detach(), codes, losses)

    def lookup(self, codes: Tensor) -> Tensor:
        """Codebook vectors of ``codes``, shape (..., d)."""
        return self.codebook[codes]

    @torch.no_grad()
    def initialise(self, samples: Tensor, generator: torch.Generator, n_rounds: int = 20) -> None:
        """Start the codebook at the k-means centres of training vectors.

        Parameters
        ----------
        samples : Tensor, shape (n, d)
        generator : torch.Generator
        n_rounds : int, default=20
        """
        centres = kmeans(samples.float(), self.n_codes, generator, n_rounds)
        counts, _ = sum_by_code(samples, nearest_code(samples, centres), self.n_codes)
        # As if each code had had several vectors in each batch so far: the first batches then move
        # the codebook gently, and kill no code that k-means found a use for.
        self.counts.copy_((counts / counts.mean()).clamp(min=1.0) * START_COUNT)
        self.codebook.copy_(centres)
        self.sums.copy_(centres * self.counts[:, None])

    @torch.no_grad()
    def _follow(self, x: Tensor, codes: Tensor) -> None:
        counts, sums = sum_by_code(x, codes, self.n_codes)
        self.counts.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        self.n_updates += 1
        self._revive(x)
        self.codebook.copy_(self.sums / self.counts[:, None])

    def _revive(self, x: Tensor) -> None:
        dead = self.counts < self.revive_below
        n_dead = int(dead.sum())
        if n_dead == 0:
            return
        generator = torch.Generator().manual_seed(int(self.n_updates))
        chosen = torch.randint(len(x), (n_dead,), generator=generator).to(x.device)
        self.counts[dead] = 1.0
        self.sums[dead] = x[chosen]
