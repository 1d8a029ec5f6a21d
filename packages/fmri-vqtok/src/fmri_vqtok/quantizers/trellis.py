"""Trellis coding: the vector of a token is a sum over its own code and those of tokens before it.

Few codes of few components each leave much of what a rate allows unused: a code for 16 components
on its own wastes a fifth of 9 bits. Here each code also reaches into the next tokens of its step,
so that many sequences of codes stand for nearly the same tokens, and a search finds the best.
See Marcellin and Fischer (1990) for trellis coded quantization, Jelinek and Anderson (1971) for
the search.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from fmri_vqtok.kernels import sum_by_code
from fmri_vqtok.quantizer_settings import TrellisSettings
from fmri_vqtok.quantizers.base import NearestQuantizer
from fmri_vqtok.quantizers.kmeans import kmeans
from fmri_vqtok.quantizers.vq import VectorQuantizer

BUFFER_BYTES = 2**20
"""Distances held at one time; so many stay in the cache."""

MOST_SEQUENCES, SEQUENCE_TOKENS = 120, 94
"""Sequences that a round of the start draws at most, and tokens of each."""

DRAWN_SHARE = 2
"""Tokens that a round draws, for each training vector, where there are few of them."""

START_SURVIVORS = 12
"""Beginnings that the search keeps during the start, at most; the codebooks need no better one."""

POOLED_ROUNDS = 8
"""Rounds of the start whose sequences the codebooks are fitted to together."""


class TrellisQuantizer(NearestQuantizer):
    """Codes of a sequence of tokens that together come near to all of them.

    The vector of token n is ``codebook_0[c_n] + codebook_1[c_(n-1)] + ...`` over ``memory`` codes;
    terms before the first token are left out. Sequences run along the last axis but one of the
    vectors, in a tokenizer along the tokens of a step, and know nothing of each other.

    Parameters
    ----------
    n_codes : int
        K.
    dim : int
        d.
    memory : int, default=3
        Codes that the vector of a token is a sum of.
    survivors : int, default=32
        Beginnings of a sequence that the search keeps at each token.
    decay, commitment, revive_below : float
        As for `VectorQuantizer`; the codebooks are running means.
    """

    def __init__(
        self,
        n_codes: int,
        dim: int,
        *,
        memory: int = 3,
        survivors: int = 32,
        decay: float = 0.999,
        commitment: float = 0.25,
        revive_below: float = 0.5,
    ) -> None:
        TrellisSettings(memory=memory, survivors=survivors, commitment=commitment)
        super().__init__(n_codes, dim, commitment)
        self.survivors = survivors
        self.lags = nn.ModuleList(
            # A revived code starts as a whole vector, so only its own place is revived.
            VectorQuantizer(n_codes, dim, decay=decay, revive_below=0 if lag else revive_below)
            for lag in range(memory)
        )

    def assign(self, x: Tensor) -> Tensor:
        """Codes of sequences, shape (..., n), from their vectors, shape (..., n, d)."""
        if x.ndim == 1:
            return self.assign(x[None])[0]
        sequences = x.reshape(-1, *x.shape[-2:])
        return search(sequences, self._codebooks(), self.survivors).reshape(x.shape[:-1])

    def lookup(self, codes: Tensor) -> Tensor:
        """Vectors of sequences of codes: shape (..., n, d) from (..., n)."""
        return vectors_of(codes, self._codebooks())

    @torch.no_grad()
    def initialise(self, samples: Tensor, generator: torch.Generator, n_rounds: int = 20) -> None:
        """Start at k-means centres, spread over the lags, and fit them to drawn sequences.

        In every second sequence signs of components are drawn too: components without correlation
        have no common sign, so few scans then show as much as many. The others keep what is rare
        and strong as it is.

        Parameters
        ----------
        samples : Tensor, shape (n, d)
            Vectors of tokens that are alike in distribution; their order does not count.
        generator : torch.Generator
        n_rounds : int, default=20
        """
        samples = samples.float()
        codebooks = self._spread(kmeans(samples, self.n_codes, generator, 5), generator)
        survivors = min(self.survivors, START_SURVIVORS)
        pool: list[tuple[Tensor, Tensor]] = []
        for _ in range(n_rounds):
            sequences = draw_sequences(samples, generator)
            pool.append((sequences, search(sequences, codebooks, survivors)))
            pool = pool[-POOLED_ROUNDS:]
            drawn, codes = (torch.cat(parts) for parts in zip(*pool, strict=True))
            codebooks = fitted(drawn, codes, codebooks)
        for lag, codebook in zip(self._lags(), codebooks, strict=True):
            lag.start_at(codebook, codes.flatten())

    def follow(self, x: Tensor, codes: Tensor) -> None:
        """Move each lag's codebook towards what the others leave of a batch.

        Parameters
        ----------
        x : Tensor, shape (..., n, d)
        codes : Tensor of int64, shape (..., n)
        """
        rest = x - self.lookup(codes)
        for k, lag in enumerate(self._lags()):
            own = codes[..., : codes.shape[-1] - k].flatten()
            left = rest[..., k:, :].flatten(0, -2)
            lag.follow(left + lag.lookup(own), own)

    def _spread(self, centres: Tensor, generator: torch.Generator) -> Tensor:
        """Codebooks of all lags, each with half the variance of the one before; (lags, K, d)."""
        shares = 0.5 ** torch.arange(len(self.lags)).to(centres)
        orders = [torch.randperm(len(centres), generator=generator) for _ in self.lags]
        scaled = (shares / shares.sum()).sqrt()[:, None, None]
        return torch.stack([centres[order.to(centres.device)] for order in orders]) * scaled

    def _lags(self) -> list[VectorQuantizer]:
        return cast("list[VectorQuantizer]", list(self.lags))

    def _codebooks(self) -> Tensor:
        """Codebooks of all lags, shape (lags, K, d)."""
        return torch.stack([lag.codebook for lag in self._lags()])


def vectors_of(codes: Tensor, codebooks: Tensor) -> Tensor:
    """Return sums over the lags, shape (..., n, d), for codes of shape (..., n)."""
    vectors = codebooks[0][codes]
    for lag, codebook in enumerate(codebooks[1:], start=1):
        if codes.ndim and codes.shape[-1] > lag:
            earlier = codebook[codes[..., :-lag]]
            vectors = vectors + nn.functional.pad(earlier, (0, 0, lag, 0))
    return vectors


def search(sequences: Tensor, codebooks: Tensor, survivors: int) -> Tensor:
    """Codes whose vectors come near to whole sequences; the best beginnings are kept (M-algorithm).

    Parameters
    ----------
    sequences : Tensor, shape (S, n, d)
    codebooks : Tensor, shape (lags, K, d)
    survivors : int

    Returns
    -------
    Tensor of int64, shape (S, n)
    """
    at_once = max(1, BUFFER_BYTES // (survivors * codebooks.shape[1] * torch.float32.itemsize))
    return torch.cat([_search(part, codebooks, survivors) for part in sequences.split(at_once)])


def _search(sequences: Tensor, codebooks: Tensor, survivors: int) -> Tensor:
    n_sequences, n_codes, own = len(sequences), codebooks.shape[1], codebooks[0]
    # Half of each squared distance, |x|^2 / 2 - x c + |c|^2 / 2, needs one matrix product.
    half_norms = own.square().sum(dim=1) / 2
    buffer = sequences.new_empty(n_sequences * survivors, n_codes)
    by_code = nn.functional.pad(codebooks[1:], (0, 0, 0, 0, 0, 1)).transpose(0, 1)
    cost = sequences.new_zeros(n_sequences, 1)
    # What the codes of each survivor so far give to this token and those after it.
    given = sequences.new_zeros(n_sequences, 1, *by_code.shape[1:])
    kept, origins = [], []
    for token in sequences.unbind(1):
        rest = token[:, None] - given[:, :, 0]
        total = buffer[: cost.numel()]
        torch.addmm(half_norms, rest.flatten(0, 1), own.T, alpha=-1, out=total)
        total += (cost + rest.square().sum(dim=2) / 2).view(-1, 1)
        total = total.view(n_sequences, -1)
        cost, places = total.topk(min(survivors, total.shape[1]), dim=1, largest=False)
        origin, code = places // n_codes, places % n_codes
        index = origin[:, :, None, None].expand(-1, -1, *given.shape[2:])
        given = nn.functional.pad(given.gather(1, index)[:, :, 1:], (0, 0, 0, 1)) + by_code[code]
        kept.append(code)
        origins.append(origin)
    return _trace_back(cost, kept, origins)


def _trace_back(cost: Tensor, kept: Sequence[Tensor], origins: Sequence[Tensor]) -> Tensor:
    """Codes of the cheapest survivor, shape (S, n), from the last token to the first."""
    at = cost.argmin(dim=1, keepdim=True)
    codes = []
    for code, origin in zip(reversed(kept), reversed(origins), strict=True):
        codes.append(code.gather(1, at))
        at = origin.gather(1, at)
    return torch.cat(codes[::-1], dim=1)


def draw_sequences(samples: Tensor, generator: torch.Generator) -> Tensor:
    """Sequences of drawn vectors, every second one with drawn signs; shape (S, n, d)."""
    n_sequences = min(MOST_SEQUENCES, -(-DRAWN_SHARE * len(samples) // SEQUENCE_TOKENS))
    shape = (n_sequences, SEQUENCE_TOKENS)
    rows = torch.randint(len(samples), shape, generator=generator)
    signs = torch.randint(2, (*shape, samples.shape[1]), generator=generator) * 2.0 - 1.0
    signs[::2] = 1.0
    return samples[rows.to(samples.device)] * signs.to(samples)


def fitted(sequences: Tensor, codes: Tensor, codebooks: Tensor, n_sweeps: int = 4) -> Tensor:
    """Codebooks nearer to the least squares for given codes, one lag after the other.

    Parameters
    ----------
    sequences : Tensor, shape (S, n, d)
    codes : Tensor of int64, shape (S, n)
    codebooks : Tensor, shape (lags, K, d)
        Where to start; each vector counts as one sample beside its own.
    """
    found = codebooks.clone()
    for _ in range(n_sweeps):
        for lag in range(len(found)):
            own = codes[:, : codes.shape[1] - lag].flatten()
            rest = (sequences - vectors_of(codes, found))[:, lag:].flatten(0, 1)
            counts, sums = sum_by_code(rest + found[lag][own], own, found.shape[1])
            found[lag] = (sums + codebooks[lag]) / (counts + 1)[:, None]
    return found
