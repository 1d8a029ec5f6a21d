"""Simulated scans, each made only when it is asked for."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation, load_parcellation
from fmri_descriptors.scan import Scan
from fmri_descriptors.simulate.effects import CLASSES, NUMBERS, Best, Effect, best_possible
from fmri_descriptors.simulate.settings import (
    DEFAULT_EFFECTS,
    DEFAULT_SITES,
    SimulateSettings,
    Site,
)
from fmri_descriptors.simulate.subjects import (
    SPREAD,
    Mixing,
    Subject,
    draw_subject,
    latent_of,
    subject_name,
)

if TYPE_CHECKING:
    import pandas as pd

_BASELINE = 1000.0  # level of a region, in arbitrary units
_AMPLITUDE = 10.0  # standard deviation of a region, in the same units

_HIGH_PASS_HZ = 0.008  # as preprocessing leaves it
_LOW_PASS_HZ = 0.1  # as the haemodynamic response passes


class SimulatedCohort(Sequence[Scan]):
    """Scans with planted effects, each made when it is asked for.

    Scan i is a function of the seed and i alone, whatever the number of subjects.

    Parameters
    ----------
    settings : SimulateSettings
        What the cohort holds.
    seed : int
        Seed of the cohort.
    parcellation : Parcellation, optional
        Regions; without it, the parcellation that the settings name.

    Raises
    ------
    InputError
        If an effect names a network that the parcellation does not have.
    """

    def __init__(
        self, settings: SimulateSettings, seed: int = 0, parcellation: Parcellation | None = None
    ) -> None:
        if not isinstance(seed, int) or seed < 0:
            raise InputError(f"seed: {seed!r}; give an integer from 0")
        self.settings = settings
        self.seed = seed
        self.parcellation = parcellation or load_parcellation(settings.parcellation)
        self.planted = [latent_of(effect, self.parcellation) for effect in settings.effects]
        self._mixing = Mixing(self.parcellation)

    def __len__(self) -> int:
        return self.settings.n_subjects * self.settings.scans_per_subject

    @overload
    def __getitem__(self, index: int) -> Scan: ...

    @overload
    def __getitem__(self, index: slice) -> list[Scan]: ...

    def __getitem__(self, index: int | slice) -> Scan | list[Scan]:
        if isinstance(index, slice):
            return [self.scan(i) for i in range(*index.indices(len(self)))]
        return self.scan(range(len(self))[index])

    def __iter__(self) -> Iterator[Scan]:
        return (self.scan(i) for i in range(len(self)))

    def subject_of(self, index: int) -> Subject:
        """Return the subject of a scan."""
        return draw_subject(
            index // self.settings.scans_per_subject,
            self.seed,
            self.parcellation,
            self.settings.effects,
            len(self.settings.sites),
        )

    def scan(self, index: int, shifts: Mapping[str, float] | None = None) -> Scan:
        """Make a scan.

        Parameters
        ----------
        index : int
            Number of the scan, from 0.
        shifts : mapping of str to float, optional
            Latent strength to what is added to it, in standard deviations; signals and noise stay
            the same, so that two scans differ by the shift alone.

        Raises
        ------
        InputError
            If a shift names no latent strength.
        """
        subject = self.subject_of(index)
        latents = _shifted(subject.latents, shifts or {})
        site = self.settings.sites[subject.site]
        subject_number, session = divmod(index, self.settings.scans_per_subject)
        chance = np.random.default_rng([self.seed, subject_number, session + 1])
        with threadpool_limits(limits=1):  # the same bits whatever the number of cores
            series = self._series(latents, site, chance)
        return Scan(
            series,
            site.tr,
            self.parcellation,
            self.scan_id(index),
            subject.name,
            session=f"ses-{session + 1}",
            site=site.name,
        )

    def _series(
        self, latents: Mapping[str, float], site: Site, chance: np.random.Generator
    ) -> NDArray[np.float64]:
        corner = _LOW_PASS_HZ * math.exp(-SPREAD["slowness"] * latents["slowness"])
        size = (site.n_frames, self.parcellation.n_regions)
        signals = bold_like(chance.standard_normal(size), site.tr, corner)
        noise = chance.standard_normal(size)
        mixed = signals @ self._mixing.loadings(latents).T
        series = math.sqrt(1 - site.noise) * mixed + math.sqrt(site.noise) * noise
        return _BASELINE + _AMPLITUDE * self._mixing.amplitudes(latents) * series

    def best_possible(self) -> dict[str, Best]:
        """Return the best score of every phenotype, in closed form."""
        return {name: best_possible(self.settings.effects, name) for name in (*CLASSES, *NUMBERS)}

    def scan_id(self, index: int) -> str:
        """Return the name of a scan."""
        subject_number, session = divmod(index, self.settings.scans_per_subject)
        return f"{subject_name(subject_number)}_ses-{session + 1}"

    def row(self, index: int) -> dict[str, str | float]:
        """Return what a scans table says of a scan: names, site, TR and phenotypes."""
        subject = self.subject_of(index)
        site = self.settings.sites[subject.site]
        known: dict[str, str | float] = {
            "scan_id": self.scan_id(index),
            "subject": subject.name,
            "session": f"ses-{index % self.settings.scans_per_subject + 1}",
            "site": site.name,
            "tr": site.tr,
        }
        return known | subject.phenotypes

    def phenotypes(self) -> "pd.DataFrame":
        """Return subject, session, site, TR, sex, age, diagnosis a scan, by ``scan_id``."""
        import pandas as pd

        return pd.DataFrame([self.row(index) for index in range(len(self))]).set_index("scan_id")


def simulate_cohort(
    n_subjects: int,
    parcellation: str | Parcellation,
    seed: int = 0,
    *,
    effects: Sequence[Effect] = DEFAULT_EFFECTS,
    sites: Sequence[Site] = DEFAULT_SITES,
    scans_per_subject: int = 1,
) -> SimulatedCohort:
    """Simulate a cohort with planted effects of known size.

    Parameters
    ----------
    n_subjects : int
        Number of subjects.
    parcellation : str or Parcellation
        Regions of the series.
    seed : int
        Seed; scan i is the same in a cohort of any size.
    effects : sequence of Effect
        What goes with which phenotype.
    sites : sequence of Site
        Scanner sites with their TR, length and noise.
    scans_per_subject : int
        Scans of each subject.

    Returns
    -------
    SimulatedCohort
        A sequence of scans, made one at a time as they are asked for.

    Raises
    ------
    InputError
        If a number is below 1, or an effect or site is not valid.

    Examples
    --------
    >>> cohort = simulate_cohort(4, "aal2", seed=1)
    >>> cohort[0].timeseries.shape[1]
    94
    """
    regions = load_parcellation(parcellation) if isinstance(parcellation, str) else parcellation
    settings = SimulateSettings(
        n_subjects=n_subjects,
        parcellation=regions.name,
        scans_per_subject=scans_per_subject,
        effects=tuple(effects),
        sites=tuple(sites),
    )
    return SimulatedCohort(settings, seed, regions)


def bold_like(white: NDArray[np.float64], tr: float, low_pass_hz: float) -> NDArray[np.float64]:
    """Give white noise a spectrum like that of preprocessed BOLD, of unit variance, (T, C).

    Power falls as 1 / f between the high-pass of preprocessing and a low-pass corner, faster
    beyond it, and vanishes at 0 Hz.

    Parameters
    ----------
    white : ndarray, (T, C)
        White noise of unit variance.
    tr : float
        Repetition time, in seconds.
    low_pass_hz : float
        Corner frequency, in Hz.
    """
    n_frames = len(white)
    frequencies = np.fft.rfftfreq(n_frames, d=tr)
    power = frequencies / (frequencies**2 + _HIGH_PASS_HZ**2)
    power /= 1 + (frequencies / low_pass_hz) ** 2
    # Every frequency but 0 and, for even T, the last stands for a pair of mirrored ones.
    weights = np.full(len(frequencies), 2.0)
    if n_frames % 2 == 0:
        weights[-1] = 1.0
    gain = np.sqrt(power * n_frames / (power * weights).sum())
    return np.asarray(np.fft.irfft(np.fft.rfft(white, axis=0) * gain[:, None], n=n_frames, axis=0))


def _shifted(latents: Mapping[str, float], shifts: Mapping[str, float]) -> dict[str, float]:
    for name in shifts:
        if name not in latents:
            raise InputError(f"shifts: {name!r} is no latent strength; see `latent_names`")
    return {name: value + shifts.get(name, 0.0) for name, value in latents.items()}
