"""Settings of simulated cohorts."""

from collections import Counter
from typing import Annotated

from pydantic import Field

from fmri_descriptors.errors import InputError
from fmri_descriptors.settings import MIN_FRAMES, Count, Share
from fmri_descriptors.simulate.effects import Effect
from fmri_descriptors.utils.settings_class import settings_class


@settings_class
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

    name: Annotated[str, Field(pattern=r"\S")]
    tr: Annotated[float, Field(gt=0, lt=60)]
    n_frames: Annotated[int, Field(ge=MIN_FRAMES)]
    noise: Share


DEFAULT_EFFECTS = (
    Effect(kind="segregation", phenotype="diagnosis", size=1.5),
    Effect(kind="integration", phenotype="age", size=0.6),
    Effect(kind="slowness", phenotype="sex", size=1.0),
)

DEFAULT_SITES = (
    Site(name="north", tr=2.0, n_frames=200, noise=0.2),
    Site(name="south", tr=0.8, n_frames=450, noise=0.4),
)


@settings_class
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

    n_subjects: Count = 100
    parcellation: str = "aal2"
    scans_per_subject: Count = 1
    effects: tuple[Effect, ...] = DEFAULT_EFFECTS
    sites: Annotated[tuple[Site, ...], Field(min_length=1)] = DEFAULT_SITES

    def __post_init__(self) -> None:
        latents = [".".join([e.kind, *sorted(e.networks)]) for e in self.effects]
        for key, names in (("sites", [site.name for site in self.sites]), ("effects", latents)):
            for name, count in Counter(names).most_common(1):
                if count > 1:
                    raise InputError(f"{key}: {name} occurs {count} times; keep one of them")
