"""A subject's phenotypes and latent strengths, and the mixing of regions that follows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.registry import pairs
from fmri_descriptors.simulate.covariance import group_covariance
from fmri_descriptors.simulate.effects import CLASSES, N_NETWORKS, NUMBERS, Effect

_GRADIENT_SPARSITY = 0.9  # as measured by default, so that what is stretched is what is described
_LEAST_REGIONS = 8  # for three distinct gradients

AGE_MEAN, AGE_HALF_RANGE = 50.0, 30.0  # years; age is uniform

# One standard deviation of a latent strength multiplies (or, for a pair, adds) by this much.
SPREAD = MappingProxyType(
    {
        "amplitude": 0.25,
        "coupling": 0.2,
        "pair": 0.05,
        "integration": 0.2,
        "segregation": 0.2,
        "gradient1": 0.2,
        "gradient2": 0.2,
        "gradient3": 0.2,
        "slowness": 0.2,
    }
)


@dataclass(frozen=True)
class Subject:
    """Who is scanned.

    Parameters
    ----------
    name : str
        Name of the subject.
    site : int
        Number of its site.
    phenotypes : dict of str to (str or float)
        Sex, age and diagnosis.
    latents : dict of str to float
        Latent strength by name; within a class standard normal.
    """

    name: str
    site: int
    phenotypes: dict[str, str | float]
    latents: dict[str, float]


def subject_name(index: int) -> str:
    """Name of the subject of a number, from 0."""
    return f"sub-{index + 1:05d}"


def latent_names(parcellation: Parcellation) -> list[str]:
    """Name every latent strength of a parcellation, in a fixed order."""
    names = []
    for kind, count in N_NETWORKS.items():
        if count == 0:
            names.append(kind)
        elif count == 1:
            names += [f"{kind}.{network}" for network in parcellation.network_names]
        else:
            names += [f"{kind}.{a}-{b}" for a, b in pairs(parcellation, within=False)]
    return names


def latent_of(effect: Effect, parcellation: Parcellation) -> str:
    """Return the latent strength that an effect shifts, its networks in the parcellation's order.

    Raises
    ------
    InputError
        If a network is not one of the parcellation's.
    """
    known = parcellation.network_names
    for network in effect.networks:
        if network not in known:
            raise InputError(
                f"effects: network {network!r} is not in parcellation '{parcellation.name}'; "
                f"give one of {', '.join(known)}"
            )
    ordered = "-".join(sorted(effect.networks, key=known.index))
    return f"{effect.kind}.{ordered}" if ordered else effect.kind


def draw_subject(
    index: int,
    seed: int,
    parcellation: Parcellation,
    effects: Sequence[Effect],
    n_sites: int,
) -> Subject:
    """Draw a subject from its own seed, so that it is the same in a cohort of any size.

    Parameters
    ----------
    index : int
        Number of the subject, from 0.
    seed : int
        Seed of the cohort.
    parcellation : Parcellation
        Gives the networks.
    effects : sequence of Effect
        What goes with which phenotype.
    n_sites : int
        Number of sites to draw one from.
    """
    chance = np.random.default_rng([seed, index, 0])
    site = int(chance.integers(n_sites))
    # Every phenotype as a standardised number: -1 or 1 for classes, uniform for age.
    standard = {name: float(chance.choice([-1.0, 1.0])) for name in CLASSES}
    standard["age"] = float(chance.uniform(-math.sqrt(3), math.sqrt(3)))
    names = latent_names(parcellation)
    latents = dict(zip(names, chance.standard_normal(len(names)).tolist(), strict=True))
    for effect in effects:
        latent = latent_of(effect, parcellation)
        latents[latent] = _shifted(latents[latent], standard[effect.phenotype], effect)
    phenotypes: dict[str, str | float] = {
        name: classes[int(standard[name] > 0)] for name, classes in CLASSES.items()
    }
    phenotypes["age"] = round(AGE_MEAN + AGE_HALF_RANGE / math.sqrt(3) * standard["age"], 2)
    return Subject(subject_name(index), site, phenotypes, latents)


def _shifted(latent: float, phenotype: float, effect: Effect) -> float:
    if effect.phenotype in NUMBERS:
        return effect.size * phenotype + math.sqrt(1 - effect.size**2) * latent
    return latent + effect.size / 2 * phenotype


class Mixing:
    """How latent strengths change the covariance of a parcellation's regions.

    White signals times ``root`` have the group's covariance. A subject's mixing matrix stretches
    the directions that the latent strengths are about; rows are then scaled, so that every region
    has unit variance whatever is stretched.

    Parameters
    ----------
    parcellation : Parcellation
        The N regions.

    Raises
    ------
    InputError
        If there are too few regions for three gradients.
    """

    def __init__(self, parcellation: Parcellation) -> None:
        if parcellation.n_regions < _LEAST_REGIONS:
            raise InputError(
                f"parcellation '{parcellation.name}': {parcellation.n_regions} regions; at least "
                f"{_LEAST_REGIONS} are needed to simulate"
            )
        self.parcellation = parcellation

    @cached_property
    def root(self) -> NDArray[np.float64]:
        """Cholesky factor of the group's covariance, (N, N)."""
        return np.asarray(np.linalg.cholesky(group_covariance(self.parcellation)))

    @cached_property
    def _outlines(self) -> NDArray[np.float64]:
        """Unit vector of each network, (K, N)."""
        members = self.parcellation.membership.astype(np.float64)
        return np.asarray(members / np.sqrt(members.sum(axis=1, keepdims=True)))

    @cached_property
    def _axes(self) -> NDArray[np.float64]:
        """Gradients of the group's covariance, made orthonormal, (3, N)."""
        from fmri_descriptors.features.gradients.gradients import N_GRADIENTS, diffusion_map

        maps = diffusion_map(self.root @ self.root.T, N_GRADIENTS, _GRADIENT_SPARSITY)
        axes, triangle = np.linalg.qr(maps - maps.mean(axis=0))
        return np.asarray((axes * np.sign(triangle.diagonal())).T)

    def loadings(self, latents: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the loadings of the regions on white signals, rows of unit length, (N, N).

        Parameters
        ----------
        latents : mapping of str to float
            Strength of each of `latent_names`.
        """
        n_regions = self.parcellation.n_regions
        shared = np.full((1, n_regions), 1 / math.sqrt(n_regions))
        couplings = [latents[f"coupling.{name}"] for name in self.parcellation.network_names]
        gains = np.diag([math.expm1(SPREAD["coupling"] * coupling) for coupling in couplings])
        # In the space of network means: its own gain a network, a mutual share a pair.
        in_networks = gains + self._pair_shares(latents)
        stretch = self._outlines.T @ in_networks @ self._outlines
        segregation = self._outlines.T @ self._outlines - shared.T @ shared
        stretch += _excess(latents, "segregation") * segregation
        stretch += _excess(latents, "integration") * shared.T @ shared
        for number, axis in enumerate(self._axes, start=1):
            stretch += _excess(latents, f"gradient{number}") * np.outer(axis, axis)
        mixed = self.root + stretch @ self.root
        return np.asarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True))

    def amplitudes(self, latents: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the factor of each region's signal, (N,)."""
        names = self.parcellation.network_names
        factors = [math.exp(SPREAD["amplitude"] * latents[f"amplitude.{name}"]) for name in names]
        return np.asarray(np.array(factors) @ self.parcellation.membership)

    def _pair_shares(self, latents: Mapping[str, float]) -> NDArray[np.float64]:
        names = self.parcellation.network_names
        shares = np.zeros((len(names), len(names)))
        for (i, a), (j, b) in _index_pairs(names):
            shares[i, j] = shares[j, i] = SPREAD["pair"] * latents[f"pair.{a}-{b}"]
        return shares


def _excess(latents: Mapping[str, float], kind: str) -> float:
    return math.expm1(SPREAD[kind] * latents[kind])


def _index_pairs(names: Sequence[str]) -> list[tuple[tuple[int, str], tuple[int, str]]]:
    numbered = list(enumerate(names))
    return [(a, b) for i, a in enumerate(numbered) for b in numbered[i + 1 :]]
