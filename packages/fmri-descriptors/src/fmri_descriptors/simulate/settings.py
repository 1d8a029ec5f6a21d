"""Settings of simulated cohorts."""

from collections import Counter
from dataclasses import dataclass

from fmri_descriptors.errors import InputError
from fmri_descriptors.simulate.effects import Effect


def _require(holds: bool, key: str, value: object, fix: str) -> None:
    if not holds:
        raise InputError(f"{key}: {value}; {fix}")


@dataclass(frozen=True, kw_only=True)
class Site:
    """A scanner site.

    Parameters
    ----------
    name : str
        Name of the site.
    tr : float
        Repetition time, in seconds.
    n_frames : int
        Frames of each scan, T.
    noise : float
        Share of each region's variance that is white noise of its own.
    """

    name: str
    tr: float
    n_frames: int
    noise: float

    def __post_init__(self) -> None:
        _require(bool(self.name.strip()), "name", repr(self.name), "give a name")
        _require(0 < self.tr < 60, "tr", self.tr, "give seconds above 0 and below 60")
        _require(self.n_frames >= 16, "n_frames", self.n_frames, "give at least 16")
        _require(0 <= self.noise < 1, "noise", self.noise, "give a share from 0 to below 1")


DEFAULT_EFFECTS = (
    Effect(kind="segregation", phenotype="diagnosis", size=1.5),
    Effect(kind="integration", phenotype="age", size=0.6),
    Effect(kind="slowness", phenotype="sex", size=1.0),
)

DEFAULT_SITES = (
    Site(name="north", tr=2.0, n_frames=200, noise=0.2),
    Site(name="south", tr=0.8, n_frames=450, noise=0.4),
)


@dataclass(frozen=True, kw_only=True)
class SimulateSettings:
    """What a simulated cohort holds.

    Parameters
    ----------
    n_subjects : int
        Number of subjects.
    parcellation : str
        Name of the parcellation of the series.
    scans_per_subject : int
        Scans of each subject, with the same latent strengths and new signals.
    effects : tuple of Effect
        What goes with which phenotype; at most one effect on each latent strength.
    sites : tuple of Site
        Scanner sites; each subject belongs to one, drawn by its own seed.

    Raises
    ------
    InputError
        If a number is below 1, there is no site, or a site or a latent strength occurs twice.
    """

    n_subjects: int = 100
    parcellation: str = "aal2"
    scans_per_subject: int = 1
    effects: tuple[Effect, ...] = DEFAULT_EFFECTS
    sites: tuple[Site, ...] = DEFAULT_SITES

    def __post_init__(self) -> None:
        for key in ("effects", "sites"):
            object.__setattr__(self, key, tuple(getattr(self, key)))
        for key in ("n_subjects", "scans_per_subject"):
            value = getattr(self, key)
            _require(value >= 1, key, value, "give at least 1")
        _require(bool(self.sites), "sites", "none", "give at least one")
        latents = [".".join([e.kind, *sorted(e.networks)]) for e in self.effects]
        for key, names in (("sites", [site.name for site in self.sites]), ("effects", latents)):
            name, count = Counter(names).most_common(1)[0] if names else ("", 0)
            _require(count <= 1, key, f"{name} occurs {count} times", "keep one of them")
