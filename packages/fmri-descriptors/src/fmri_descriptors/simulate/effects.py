"""Planted effects, and the best score that anything measured from the scans can reach."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

from fmri_descriptors.errors import InputError

CLASSES = MappingProxyType({"sex": ("female", "male"), "diagnosis": ("control", "patient")})
"""Phenotypes with two classes, equally frequent; an effect raises the second."""

NUMBERS = ("age",)
"""Phenotypes that are numbers."""

N_NETWORKS = MappingProxyType(
    {
        "amplitude": 1,
        "coupling": 1,
        "pair": 2,
        "integration": 0,
        "segregation": 0,
        "gradient1": 0,
        "gradient2": 0,
        "gradient3": 0,
        "slowness": 0,
    }
)
"""What can be planted, and how many networks it names."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One property of the scans that goes with one phenotype.

    Every property of a subject has a latent strength, standard normal within a class. An effect
    shifts it between the classes, or correlates it with a number.

    Parameters
    ----------
    kind : str
        ``"amplitude"`` or ``"coupling"`` of one network, coupling of a ``"pair"`` of networks,
        ``"integration"`` (what all regions share), ``"segregation"`` (what sets networks apart),
        ``"gradient1"`` to ``"gradient3"`` (strength of the group's gradient), or
        ``"slowness"`` (a lower corner frequency).
    networks : tuple of str
        Networks that the kind is about: one, two or none.
    phenotype : str
        ``"diagnosis"``, ``"sex"`` or ``"age"``.
    size : float
        Cohen's d of the latent strength, second class minus first; for age, its correlation with
        the latent strength.

    Raises
    ------
    InputError
        If a kind or phenotype is not known, the number of networks is wrong, or the size is not
        finite (for age: not between -1 and 1).
    """

    kind: str
    phenotype: str
    size: float
    networks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "networks", tuple(self.networks))
        _require_known("kind", self.kind, N_NETWORKS)
        _require_known("phenotype", self.phenotype, (*CLASSES, *NUMBERS))
        wanted = N_NETWORKS[self.kind]
        if len(set(self.networks)) != wanted or len(self.networks) != wanted:
            raise InputError(
                f"networks: {list(self.networks)} for {self.kind}; name {wanted} of them, each once"
            )
        limit = 1.0 if self.phenotype in NUMBERS else math.inf
        if not abs(self.size) < limit:
            fix = "give a correlation between -1 and 1" if limit == 1 else "give a finite number"
            raise InputError(f"size: {self.size} of {self.kind} on {self.phenotype}; {fix}")


def _require_known(key: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise InputError(f"{key}: {value!r}; give one of {', '.join(known)}")


@dataclass(frozen=True)
class Best:
    """Best score that a phenotype can be predicted with from the latent strengths.

    No method that sees only the scans can do better in expectation, as the scans depend on the
    phenotype through the latent strengths alone.

    Parameters
    ----------
    size : float
        Mahalanobis distance d of the classes; for a number, the multiple correlation.
    scores : dict of str to float
        Two classes: ``balanced_accuracy`` Phi(d / 2) and ``auc`` Phi(d / sqrt 2), those of the
        likelihood ratio of two normal distributions. A number: ``r2`` of the best linear
        prediction.
    """

    size: float
    scores: dict[str, float]


def best_possible(effects: Iterable[Effect], phenotype: str) -> Best:
    """Return the best possible score of a phenotype in closed form.

    Latent strengths are independent given the phenotype, so squared effects add up: for classes
    d^2 is the sum of the squared sizes; for a number with correlations r, the ratio of explained
    to unexplained variance is the sum of r^2 / (1 - r^2).

    Parameters
    ----------
    effects : iterable of Effect
        All effects; those on other phenotypes do not count.
    phenotype : str
        ``"diagnosis"``, ``"sex"`` or ``"age"``.

    Examples
    --------
    >>> effect = Effect(kind="integration", phenotype="diagnosis", size=2.0)
    >>> round(best_possible([effect], "diagnosis").scores["balanced_accuracy"], 3)
    0.841
    """
    _require_known("phenotype", phenotype, (*CLASSES, *NUMBERS))
    sizes = [effect.size for effect in effects if effect.phenotype == phenotype]
    if phenotype in NUMBERS:
        explained = sum(r**2 / (1 - r**2) for r in sizes)
        r2 = explained / (1 + explained)
        return Best(math.sqrt(r2), {"r2": r2})
    d = math.sqrt(sum(size**2 for size in sizes))
    return Best(d, {"balanced_accuracy": _phi(d / 2), "auc": _phi(d / math.sqrt(2))})


def _phi(x: float) -> float:
    """Distribution function of the standard normal."""
    return 0.5 * math.erfc(-x / math.sqrt(2))
