"""Settings of the two stages; every default of the package lives here, once."""

import math
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fmri_descriptors.errors import InputError

NEGATIVE_EDGES = ("drop", "absolute", "negative_sym", "negative_asym")
"""What can become of negative correlations in the graph."""

GRADIENT_TEMPLATES = ("cohort", "schaefer400")
"""What gradients can be aligned to."""


def _require(holds: bool, key: str, value: object, fix: str) -> None:
    if not holds:
        raise InputError(f"{key}: {value}; {fix}")


@dataclass(frozen=True, kw_only=True)
class CohortSettings:
    """How recordings become a cohort.

    Parameters
    ----------
    parcellation : str, optional
        Name of the parcellation that the series were extracted with; without it, the source must
        tell it.
    test_fraction, validation_fraction : float
        Share of each site's subjects that is held out; each is ignored where its subjects
        are named.
    test_subjects, validation_subjects : tuple of str
        Subjects that are held out by name.
    max_masked_regions : int
        A scan with more missing or constant regions than this is an error.
    crop_frames : int, optional
        Frames that are kept of each scan, from its start; a shorter scan is rejected.
    crop_seconds : float, optional
        The same in seconds, for scans of several repetition times; one of the two.
    """

    parcellation: str | None = None
    test_fraction: float = 0.2
    validation_fraction: float = 0.1
    test_subjects: tuple[str, ...] = ()
    validation_subjects: tuple[str, ...] = ()
    max_masked_regions: int = 0
    crop_frames: int | None = None
    crop_seconds: float | None = None

    def __post_init__(self) -> None:
        for key in ("test_fraction", "validation_fraction"):
            value = getattr(self, key)
            _require(0 <= value < 1, key, value, "give a share from 0 to below 1")
        total = self.test_fraction + self.validation_fraction
        _require(total < 1, "test_fraction + validation_fraction", total, "leave some to train on")
        _require(
            self.max_masked_regions >= 0,
            "max_masked_regions",
            self.max_masked_regions,
            "give 0 or more",
        )
        self._check_crop(self.crop_frames, self.crop_seconds)

    def _check_crop(self, frames: int | None, seconds: float | None) -> None:
        if frames is not None:
            from fmri_descriptors.scan import MIN_FRAMES  # brings numpy, which settings do without

            fix = f"give {MIN_FRAMES} or more"
            _require(frames >= MIN_FRAMES, "crop_frames", frames, fix)
        _require(
            seconds is None or 0 < seconds < math.inf, "crop_seconds", seconds, "give more than 0"
        )
        _require(
            frames is None or seconds is None,
            "crop_frames, crop_seconds",
            (frames, seconds),
            "give one of the two",
        )


@dataclass(frozen=True, kw_only=True)
class FeatureSettings:
    """How a scan is measured.

    Parameters
    ----------
    graph_density : float
        Share of all possible edges that the proportional threshold keeps.
    negative_edges : str
        What becomes of negative correlations in the graph: ``"drop"`` leaves them out,
        ``"absolute"`` makes them positive, ``"negative_asym"`` and ``"negative_sym"`` keep their
        signs and give them less or the same weight (Rubinov and Sporns 2011).
    louvain_runs : int
        Seeded Louvain runs a scan; the best modularity counts.
    gradient_sparsity : float
        Share of each row's smallest weights that is set to zero before the affinity.
    gradient_template : str
        What the gradients of a scan are aligned to: ``"cohort"``, the mean connectivity of the
        training scans, or ``"schaefer400"``, the group connectome that brainspace ships, for
        `schaefer400-7n` and `tian3-schaefer400-7n`.
    gradient_components : int
        Diffusion components that take part in the Procrustes alignment; three are described.
    ica_components : int
        Components of the group ICA; at least as many as there are networks.
    ica_maps : str
        TSV table of spatial maps to use instead of a group ICA; empty for the group ICA.
    ica_least_overlap, ica_least_energy : float
        A network whose component of the group ICA correlates less than the one with the network's
        outline (components of noise reach about 0.25 on 94 regions), and has a smaller share than
        the other of its squared map inside, has no component: its ICA features are missing. They
        do not apply to `ica_maps`.
    falff_low_hz, falff_high_hz, falff_total_hz : float
        fALFF is the amplitude from low to high over the amplitude from 0 to total, in Hz. Where
        training scans cannot show so much, total is the lowest of their Nyquist frequencies from
        twice high on.
    ratio_low_hz, ratio_split_hz, ratio_high_from_hz, ratio_high_hz : float
        The spectral ratio is the power from low to split over the power from high_from to high,
        in Hz. Where training scans cannot show so much, high is the lowest of their Nyquist
        frequencies in the upper half of its band.
    window_seconds : float
        Length of the windows whose amplitudes give the variability, in seconds.
    """

    graph_density: float = 0.15
    negative_edges: str = "drop"
    louvain_runs: int = 5
    gradient_sparsity: float = 0.9
    gradient_template: str = "cohort"
    gradient_components: int = 10
    ica_components: int = 20
    ica_maps: str = ""
    ica_least_overlap: float = 0.3
    ica_least_energy: float = 0.5
    falff_low_hz: float = 0.01
    falff_high_hz: float = 0.08
    falff_total_hz: float = 0.25
    ratio_low_hz: float = 0.0
    ratio_split_hz: float = 0.1
    ratio_high_from_hz: float = 0.15
    ratio_high_hz: float = 0.25
    window_seconds: float = 60.0

    def __post_init__(self) -> None:
        for key in ("louvain_runs", "ica_components"):
            value = getattr(self, key)
            _require(value >= 1, key, value, "give at least 1")
        _require(
            self.gradient_components >= 3,
            "gradient_components",
            self.gradient_components,
            "give at least 3",
        )
        _require(
            0 < self.graph_density <= 1,
            "graph_density",
            self.graph_density,
            "give a share above 0, at most 1",
        )
        _require(
            0 <= self.gradient_sparsity < 1,
            "gradient_sparsity",
            self.gradient_sparsity,
            "give a share from 0 to below 1",
        )
        _require(
            self.window_seconds > 0, "window_seconds", self.window_seconds, "give more than 0 s"
        )
        for key in ("ica_least_overlap", "ica_least_energy"):
            value = getattr(self, key)
            _require(0 <= value < 1, key, value, "give a share from 0 to below 1")
        for key, choices in (
            ("negative_edges", NEGATIVE_EDGES),
            ("gradient_template", GRADIENT_TEMPLATES),
        ):
            value = getattr(self, key)
            _require(value in choices, key, repr(value), f"give one of {', '.join(choices)}")
        self._check_bands()

    def _check_bands(self) -> None:
        falff = (self.falff_low_hz, self.falff_high_hz, self.falff_total_hz)
        ratio = (
            self.ratio_low_hz,
            self.ratio_split_hz,
            self.ratio_high_from_hz,
            self.ratio_high_hz,
        )
        _require(
            0 < falff[0] < falff[1] <= falff[2],
            "falff_low_hz, falff_high_hz, falff_total_hz",
            falff,
            "give rising frequencies above 0 Hz",
        )
        _require(
            0 <= ratio[0] < ratio[1] <= ratio[2] < ratio[3],
            "ratio_low_hz, ratio_split_hz, ratio_high_from_hz, ratio_high_hz",
            ratio,
            "give rising frequencies from 0 Hz",
        )


@dataclass(frozen=True, kw_only=True)
class RewriteSettings:
    """How captions are rewritten by a language model.

    Parameters
    ----------
    base_url : str, optional
        Address of an OpenAI-compatible endpoint, up to and including ``/v1``.
    model : str, optional
        Name of the model at that endpoint.
    local_model : str, optional
        Folder of a transformers model, served on this machine while it is needed; instead of
        ``base_url`` and ``model``.
    api_key_variable : str
        Name of the environment variable with the endpoint's key; the key itself is never written
        anywhere.
    domains : tuple of str
        Domains whose captions are rewritten; none for all.
    tries : int
        Answers that may be asked for a caption before its template text stays.
    temperature, temperature_step : float
        Temperature of the first try, and what each further try adds.
    max_tokens : int
        Longest answer, in tokens.
    extra_words : tuple of str
        Words that a rewrite may use besides those of its source and the neutral ones.
    attempts : int
        Times that a request is sent to an endpoint that is busy or fails.
    wait_seconds : float
        Wait after the first of these, in seconds; doubled after each.
    timeout_seconds : float
        Longest wait for an answer, in seconds.
    failures_in_a_row : int
        Captions in a row without any answer after which the run stops.
    requests_per_minute : float, optional
        Most requests in a minute; no limit if not given.
    concurrency : int
        Requests at a time; a local model always gets one.
    price_in, price_out : float, optional
        Price of a million tokens of questions and of answers, in any currency.
    """

    base_url: str | None = None
    model: str | None = None
    local_model: str | None = None
    api_key_variable: str = "FMRI_REWRITE_API_KEY"
    domains: tuple[str, ...] = ()
    tries: int = 3
    temperature: float = 0.3
    temperature_step: float = 0.3
    max_tokens: int = 2048
    extra_words: tuple[str, ...] = ()
    attempts: int = 5
    wait_seconds: float = 1.0
    timeout_seconds: float = 120.0
    failures_in_a_row: int = 10
    requests_per_minute: float | None = None
    concurrency: int = 4
    price_in: float | None = None
    price_out: float | None = None

    def __post_init__(self) -> None:
        self._check_where()
        for key in ("tries", "max_tokens", "attempts", "failures_in_a_row", "concurrency"):
            value = getattr(self, key)
            _require(value >= 1, key, value, "give at least 1")
        for key in ("temperature", "temperature_step", "wait_seconds", "price_in", "price_out"):
            value = getattr(self, key)
            _require(value is None or value >= 0, key, value, "give 0 or more")
        for key in ("timeout_seconds", "requests_per_minute"):
            value = getattr(self, key)
            _require(value is None or value > 0, key, value, "give more than 0")
        self._check_domains()

    def _check_domains(self) -> None:
        from fmri_descriptors.registry import DOMAINS  # brings numpy, which settings do without

        known = ("all", *DOMAINS)
        for domain in self.domains:
            _require(domain in known, "domains", repr(domain), f"known are: {', '.join(known)}")

    def _check_where(self) -> None:
        _require(
            (self.base_url is None) != (self.local_model is None),
            "base_url, local_model",
            (self.base_url, self.local_model),
            "give the address of an endpoint or a local model, one of the two",
        )
        if self.base_url is None:
            return
        address = urlsplit(self.base_url)
        _require(
            address.scheme in {"http", "https"} and bool(address.hostname),
            "base_url",
            repr(self.base_url),
            "give an address such as http://localhost:8000/v1",
        )
        _require(
            address.username is None and address.password is None and not address.query,
            "base_url",
            f"{address.scheme}://…@{address.hostname}",
            "put the key into the environment variable that api_key_variable names",
        )
        _require(bool(self.model), "model", repr(self.model), "name the endpoint's model")


@dataclass(frozen=True, kw_only=True)
class DescribeSettings:
    """How a cohort is described.

    Parameters
    ----------
    features : FeatureSettings
        How each scan is measured.
    caption_form : str
        Form of the caption over all domains: ``"short"`` keeps one sentence a descriptor,
        ``"long"`` keeps them all. Captions of one domain are always long.
    robust : bool
        Whether z-scores are made from median and MAD instead of mean and standard deviation.
    site_aware : bool
        Whether a scan is compared with the training scans of its own site, if these are enough.
    min_site_scans : int
        A site with fewer training scans than this is compared with all of them.
    rewrite : RewriteSettings, optional
        How captions are rewritten by a language model; not at all if not given.
    """

    features: FeatureSettings = field(default_factory=FeatureSettings)
    caption_form: str = "short"
    robust: bool = False
    site_aware: bool = False
    min_site_scans: int = 20
    rewrite: RewriteSettings | None = None

    def __post_init__(self) -> None:
        _require(
            self.caption_form in {"short", "long"},
            "caption_form",
            repr(self.caption_form),
            "give 'short' or 'long'",
        )
        _require(self.min_site_scans >= 2, "min_site_scans", self.min_site_scans, "give at least 2")
