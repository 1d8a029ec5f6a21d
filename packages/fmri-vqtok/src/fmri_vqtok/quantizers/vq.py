"""Vector quantization with a learned codebook (van den Oord et al., 2017)."""

import torch
from torch import Tensor, nn

from fmri_vqtok.distributed import all_reduce_sum, broadcast, draw_rows
from fmri_vqtok.errors import InputError
from fmri_vqtok.kernels import nearest_code, sum_by_code
from fmri_vqtok.quantizers.base import NearestQuantizer
from fmri_vqtok.quantizers.kmeans import Nearest, kmeans

START_COUNT = 8.0
"""Running count of an average code after initialisation."""


def nearest_by_angle(x: Tensor, codebook: Tensor) -> Tensor:
    """Index of the codebook vector at the smallest angle; lengths do not count.

    Parameters
    ----------
    x : Tensor, shape (..., d)
    codebook : Tensor, shape (K, d)

    Returns
    -------
    Tensor of int64, shape (...)
    """
    # Between vectors of length 1 the squared distance is 2 - 2 cos.
    return nearest_code(
        nn.functional.normalize(x.float(), dim=-1), nn.functional.normalize(codebook, dim=-1)
    )


NEAREST: dict[str, Nearest] = {"euclidean": nearest_code, "cosine": nearest_by_angle}


class VectorQuantizer(NearestQuantizer):
    """Nearest vector of a learned codebook.

    A dead code, whose running count is below ``dead_code_threshold``, restarts at a vector of the
    batch; the draw is seeded by the number of updates, so it is the same after a resume. With
    several processes counts, sums and draws are over the batches of all of them, so that every
    process has the same codebook.

    Parameters
    ----------
    n_codes : int
        K.
    dim : int
        d, width of a code vector.
    update : {"ema", "gradient"}
        How the codebook learns: as a running mean of the vectors of each code, without a gradient,
        or as a parameter, through the loss "codebook".
    distance : {"euclidean", "cosine"}
        How vectors and codes are compared. With "cosine" only the direction counts; the vector of
        a code keeps its length.
    decay : float, default=0.999
        Of the running counts and means, per training batch.
    commitment : float, default=0.25
        Weight of the loss that keeps the input near its code.
    dead_code_threshold : float, default=0.5
        Running count, in vectors per batch, below which a code is dead.

    Raises
    ------
    InputError
        If there is no such update or distance.
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
        update: str = "ema",
        distance: str = "euclidean",
        decay: float = 0.999,
        commitment: float = 0.25,
        dead_code_threshold: float = 0.5,
    ) -> None:
        super().__init__(n_codes, dim, commitment)
        if update not in ("ema", "gradient"):
            raise InputError(f"update: '{update}'; give 'ema' or 'gradient'")
        if distance not in NEAREST:
            raise InputError(f"distance: '{distance}'; give 'euclidean' or 'cosine'")
        self.by_gradient = update == "gradient"
        self.nearest = NEAREST[distance]
        self.decay, self.dead_code_threshold = decay, dead_code_threshold
        codebook = torch.randn(n_codes, dim)
        if self.by_gradient:
            self.codebook = nn.Parameter(codebook)
        else:
            self.register_buffer("codebook", codebook)
        self.register_buffer("counts", torch.ones(n_codes))
        if not self.by_gradient:
            self.register_buffer("sums", codebook.clone())
        self.register_buffer("n_updates", torch.zeros((), dtype=torch.int64))

    @property
    def no_weight_decay(self) -> tuple[str, ...]:
        """Parameters that are no weight matrices: shrinking vectors of data would misplace them."""
        return ("codebook",) if self.by_gradient else ()

    def assign(self, x: Tensor) -> Tensor:
        """Code of each vector, shape (...)."""
        return self.nearest(x, self.codebook.detach())

    def lookup(self, codes: Tensor) -> Tensor:
        """Codebook vectors of ``codes``, shape (..., d)."""
        return self.codebook[codes]

    def extra_losses(self, x: Tensor, nearest: Tensor) -> dict[str, Tensor]:
        """Squared distance that pulls a codebook trained by gradient to its vectors."""
        return {"codebook": (nearest - x).square().mean()} if self.by_gradient else {}

    @torch.no_grad()
    def initialise(
        self, samples: Tensor, generator: torch.Generator, n_iterations: int = 20
    ) -> None:
        """Initialise the codebook with the k-means centres of training vectors.

        Parameters
        ----------
        samples : Tensor, shape (..., d)
            With several processes, those of the first one are used.
        generator : torch.Generator
        n_iterations : int, default=20
        """
        samples = samples.flatten(0, -2)
        centres = kmeans(samples.float(), self.n_codes, generator, n_iterations, self.nearest)
        self.init_codebook(centres, self.nearest(samples, centres))

    @torch.no_grad()
    def init_codebook(self, centres: Tensor, codes: Tensor) -> None:
        """Set the codebook and its running counts, as after many batches with these codes.

        Parameters
        ----------
        centres : Tensor, shape (K, d)
        codes : Tensor of int64, shape (n,)
        """
        counts = torch.bincount(codes, minlength=self.n_codes).to(centres.dtype)
        # As if each code had had several vectors per batch so far: the first batches then change
        # the codebook little, and no code that k-means uses is dead.
        self.counts.copy_((counts / counts.mean()).clamp(min=1.0) * START_COUNT)
        broadcast(self.counts)
        broadcast(self.codebook.copy_(centres))
        if not self.by_gradient:
            self.sums.copy_(self.codebook * self.counts[:, None])

    @torch.no_grad()
    def update(self, x: Tensor, codes: Tensor) -> None:
        """Update counts, and the codebook if it is a running mean, from a batch; revive dead codes.

        Parameters
        ----------
        x : Tensor, shape (..., d)
        codes : Tensor of int64, shape (...)
        """
        x, codes = x.reshape(-1, self.dim), codes.reshape(-1)
        counts, sums = sum_by_code(x, codes, self.n_codes)
        self.counts.lerp_(all_reduce_sum(counts), 1 - self.decay)
        if not self.by_gradient:
            self.sums.lerp_(all_reduce_sum(sums), 1 - self.decay)
        self.n_updates += 1
        self._revive(x)
        if not self.by_gradient:
            self.codebook.copy_(self.sums / self.counts[:, None])

    def _revive(self, x: Tensor) -> None:
        dead = self.counts < self.dead_code_threshold
        n_dead = int(dead.sum())
        if n_dead == 0:
            return
        self.counts[dead] = 1.0
        learned = self.codebook if self.by_gradient else self.sums
        learned[dead] = draw_rows(x, n_dead, seed=int(self.n_updates))
