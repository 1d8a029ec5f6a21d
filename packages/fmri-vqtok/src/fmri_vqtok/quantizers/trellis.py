"""Trellis coding: the codes of a step are one bit stream; a component is read from L of its bits.

Codes of few components each, chosen independently, waste a fifth of 9 bits. Here a shift register
runs over the bits of all codes of a step; each component takes as many new bits as its variance is
worth, and is read from a fixed random table at the state of the register. A code thus also affects
the components after it, and a search over all states finds the codes of the step jointly. Only
means and variances are learned. See Mao et al. (2022) on random trellis coding of this kind,
Tseng et al. (2024, QTIP) for its use with many components, and Cover and Thomas (2006, 10.3.3) for
the rate that each component gets.
"""

import numpy as np
import torch
from torch import Tensor

from fmri_vqtok.config.quantizers import TrellisSettings, check_code_bits
from fmri_vqtok.distributed import broadcast
from fmri_vqtok.errors import InputError
from fmri_vqtok.quantizers.base import NearestQuantizer
from fmri_vqtok.quantizers.step_classes import fit_classes
from fmri_vqtok.quantizers.trellis_search import search
from fmri_vqtok.quantizers.water_filling import allotted_bits, water_level

TABLE_SEED, QUARTERS = 0, 4


class TrellisQuantizer(NearestQuantizer):
    """Codes of a step's tokens that are the bits of one path through a trellis.

    The first bits of a step are its class, which has its own means and variances, so that rare
    strong steps do not set the scale of the others. The rest drive the shift register.

    Parameters
    ----------
    n_codes : int
        K, a power of two.
    dim : int
        d.
    n_tokens : int
        N, tokens of a step: the last axis but one of the vectors.
    state_bits : int, default=12
        L, bits of the shift register.
    classes : int, default=2
        Kinds of steps, a power of two.
    commitment : float, default=0.25
        Weight of the loss that keeps vectors near what their codes decode to.

    Raises
    ------
    InputError
        If numbers of codes or classes are no powers of two.

    Notes
    -----
    Before `initialise`, all components have variance 1.
    """

    table: Tensor
    means: Tensor
    scales: Tensor
    ends: Tensor

    def __init__(
        self,
        n_codes: int,
        dim: int,
        n_tokens: int,
        *,
        state_bits: int = 12,
        classes: int = 2,
        commitment: float = 0.25,
    ) -> None:
        settings = TrellisSettings(state_bits=state_bits, classes=classes, commitment=commitment)
        check_code_bits(n_codes, settings)
        super().__init__(n_codes, dim, commitment)
        self.n_tokens, self.state_bits = n_tokens, state_bits
        self.code_bits, self.class_bits = n_codes.bit_length() - 1, classes.bit_length() - 1
        # Saved with the weights: numpy's generators may differ between versions.
        self.register_buffer("table", random_table(dim, 2**state_bits))
        self.register_buffer("means", torch.zeros(classes, n_tokens * dim))
        self.register_buffer("scales", torch.zeros(classes, n_tokens * dim))
        self.register_buffer("ends", torch.zeros(classes, n_tokens * dim, dtype=torch.int64))
        self._allocate(torch.ones(classes, n_tokens * dim))

    def assign(self, x: Tensor) -> Tensor:
        """Codes of steps, shape (..., N), from their vectors, shape (..., N, d)."""
        self._check(tuple(x.shape[-2:]), (self.n_tokens, self.dim))
        steps = x.reshape(-1, self.n_tokens * self.dim)
        found = [self._search(steps, k) for k in range(len(self.means))]
        errors, codes = (torch.stack(parts) for parts in zip(*found, strict=True))
        best = errors.argmin(dim=0)
        return codes[best, torch.arange(len(steps), device=x.device)].reshape(x.shape[:-1])

    def lookup(self, codes: Tensor) -> Tensor:
        """Vectors of steps, shape (..., N, d), from their codes, shape (..., N)."""
        self._check((codes.shape[-1],) if codes.ndim else (), (self.n_tokens,))
        steps = codes.reshape(-1, self.n_tokens)
        kinds = steps[:, 0] >> (self.code_bits - self.class_bits)
        read = self.table[self._places(), self._states(steps, self.ends[kinds])]
        return (self.means[kinds] + self.scales[kinds] * read).reshape(*codes.shape, self.dim)

    @torch.no_grad()
    def initialise(self, samples: Tensor, generator: torch.Generator) -> None:  # noqa: ARG002
        """Fit classes of steps, and means and variances of each component in them.

        Parameters
        ----------
        samples : Tensor, shape (n_steps, N, d)
        generator : torch.Generator
            Not drawn from.
        """
        means, variances = fit_classes(samples.flatten(-2).flatten(0, -2), len(self.means))
        self.means.copy_(means)
        self._allocate(variances)
        for fitted in (self.means, self.scales, self.ends):
            broadcast(fitted)

    def code_vectors(self) -> Tensor:
        """Bits of each code as signs, shape (K, bits): a single code has no vector."""
        codes = torch.arange(self.n_codes, device=self.table.device)
        places = torch.arange(self.code_bits - 1, -1, -1, device=codes.device)
        return ((codes[:, None] >> places) & 1) * 2.0 - 1.0

    def _allocate(self, variances: Tensor) -> None:
        """Allocate the bits of a step to components, and set their scales."""
        total = self.n_tokens * self.code_bits - self.class_bits
        for k, variance in enumerate(variances.double()):
            level = water_level(variance, total)
            self.scales[k] = (variance - level).clamp(min=0).sqrt()
            self.ends[k] = self.class_bits + allotted_bits(variance, level, total)

    def _search(self, steps: Tensor, kind: int) -> tuple[Tensor, Tensor]:
        """Squared errors, shape (n,), and codes, shape (n, N), of steps as if of this class."""
        ends = self.ends[kind]
        counts = ends.diff(prepend=ends.new_tensor([self.class_bits]))
        is_used = (self.scales[kind] > 0) | (counts > 0)
        used = torch.nonzero(is_used)[:, 0]
        rest = (steps - self.means[kind]) * ~is_used
        errors, states = search(
            (steps - self.means[kind])[:, used],
            self.scales[kind, used],
            counts[used].tolist(),
            self.table,
            self._places()[used].tolist(),
        )
        errors = errors + rest.square().sum(dim=1)
        return errors, self._codes(states, ends[used], kind)

    def _codes(self, states: Tensor, ends: Tensor, kind: int) -> Tensor:
        """Codes, shape (n, N), from the states of the register, shape (n, components)."""
        places = torch.arange(self.n_tokens * self.code_bits, device=states.device)
        # Each bit of the stream is in the state of the component that took it.
        owners = torch.searchsorted(ends, places, right=True)
        bits = (states[:, owners] >> (ends[owners] - 1 - places).clamp(max=self.state_bits)) & 1
        bits[:, : self.class_bits] = (kind >> places[: self.class_bits].flip(0)) & 1
        values = 2 ** torch.arange(self.code_bits - 1, -1, -1, device=states.device)
        return (bits.unflatten(1, (self.n_tokens, self.code_bits)) * values).sum(dim=2)

    def _states(self, codes: Tensor, ends: Tensor) -> Tensor:
        """State of the register at each component, shape (n, N d): the last L bits up to its end.

        Parameters
        ----------
        codes : Tensor of int64, shape (n, N)
        ends : Tensor of int64, shape (n, N d)
            Bits of the stream up to each component.
        """
        stream = codes.clone()
        stream[:, 0] &= 2 ** (self.code_bits - self.class_bits) - 1
        last = (ends - 1).clamp(min=0) // self.code_bits
        ahead = (last + 1) * self.code_bits - ends
        states = torch.zeros_like(ends)
        for back in range(-(-self.state_bits // self.code_bits) + 1):
            own = stream.gather(1, (last - back).clamp(min=0)) * (last >= back)
            states |= (own << (back * self.code_bits)) >> ahead
        return states & (2**self.state_bits - 1)

    def _places(self) -> Tensor:
        """Index of each component of a step in its token, shape (N d,)."""
        return torch.arange(self.dim, device=self.table.device).repeat(self.n_tokens)

    def _check(self, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
        if shape != wanted:
            raise InputError(
                f"steps: last axes of sizes {list(shape)}; give whole steps, {list(wanted)}"
            )


def random_table(n_rows: int, n_states: int) -> Tensor:
    """Rows of normal quantiles in random order, shape (n_rows, n_states), of variance 1.

    States that differ in their last two bits alone, which follow on one state, are in different
    quarters of the distribution, so that no choice of the search is between near numbers.
    """
    generator = np.random.default_rng(TABLE_SEED)
    normal = torch.special.ndtri((torch.arange(n_states).double() + 0.5) / n_states)
    normal /= normal.square().mean().sqrt()
    parts = normal.view(min(QUARTERS, n_states), -1).numpy()
    shuffled = generator.permuted(np.repeat(parts[None], n_rows, axis=0), axis=2)
    by_state = generator.permuted(shuffled, axis=1).transpose(0, 2, 1)
    return torch.from_numpy(by_state.reshape(n_rows, n_states)).float()
