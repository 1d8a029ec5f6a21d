"""Settings of the two stages; every default of the package lives here, once."""

from dataclasses import field
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from fmri_descriptors.errors import InputError
from fmri_descriptors.utils.settings_class import settings_class

Domain = Literal["FC", "gradients", "ICA", "graph"]
"""The four groups of descriptors."""

CaptionDomain = Literal["all", Domain]
"""What a caption is about: one domain, or all of them."""

MIN_FRAMES = 16
"""Fewest time points of a scan: fewer give no correlation worth a name."""

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


@settings_class
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
    n_folds : int, optional
        For cross-validation over several runs: parts that the subjects are dealt into. With the
        same seed each subject is held out in exactly one of them; `test_fraction` is ignored.
    fold : int
        The part that this run holds out, from 1 to `n_folds`.
    fold_by : str
        What is dealt: ``"subject"``, those of each site evenly, or ``"site"``, so that whole sites
        are held out.
    max_masked_regions : int
        A scan with more missing or constant regions than this is an error.
    crop_frames : int, optional
        Frames that are kept of each scan, from its start; a shorter scan is rejected.
    crop_seconds : float, optional
        The same in seconds, for scans of several repetition times; one of the two.
    """

    parcellation: str | None = None
    test_fraction: Share = 0.2
    validation_fraction: Share = 0.1
    test_subjects: tuple[str, ...] = ()
    validation_subjects: tuple[str, ...] = ()
    n_folds: Annotated[int, Field(ge=2)] | None = None
    fold: Count = 1
    fold_by: Literal["subject", "site"] = "subject"
    max_masked_regions: Annotated[int, Field(ge=0)] = 0
    crop_frames: Annotated[int, Field(ge=MIN_FRAMES)] | None = None
    crop_seconds: Positive | None = None

    def __post_init__(self) -> None:
        held_out = self.test_fraction if self.n_folds is None else 1 / self.n_folds
        total = held_out + self.validation_fraction
        if total >= 1:
            raise InputError(
                f"test_fraction + validation_fraction: {total}; leave some to train on"
            )
        if self.n_folds is not None and self.test_subjects:
            raise InputError("n_folds, test_subjects: both say who is held out; give one of them")
        if self.fold > (self.n_folds or 1):
            most = f"give at most {self.n_folds}" if self.n_folds else "give n_folds too"
            raise InputError(f"fold: {self.fold}; {most}")
        if self.crop_frames is not None and self.crop_seconds is not None:
            both = (self.crop_frames, self.crop_seconds)
            raise InputError(f"crop_frames, crop_seconds: {both}; give one of the two")


@settings_class
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

    graph_density: Annotated[float, Field(gt=0, le=1)] = 0.15
    negative_edges: Literal["drop", "absolute", "negative_sym", "negative_asym"] = "drop"
    louvain_runs: Count = 5
    gradient_sparsity: Share = 0.9
    gradient_template: Literal["cohort", "schaefer400"] = "cohort"
    gradient_components: Annotated[int, Field(ge=3)] = 10
    ica_components: Count = 20
    ica_maps: str = ""
    ica_least_overlap: Share = 0.3
    ica_least_energy: Share = 0.5
    falff_low_hz: float = 0.01
    falff_high_hz: float = 0.08
    falff_total_hz: float = 0.25
    ratio_low_hz: float = 0.0
    ratio_split_hz: float = 0.1
    ratio_high_from_hz: float = 0.15
    ratio_high_hz: float = 0.25
    window_seconds: Positive = 60.0

    def __post_init__(self) -> None:
        falff = (self.falff_low_hz, self.falff_high_hz, self.falff_total_hz)
        ratio = (
            self.ratio_low_hz,
            self.ratio_split_hz,
            self.ratio_high_from_hz,
            self.ratio_high_hz,
        )
        if not 0 < falff[0] < falff[1] <= falff[2]:
            raise InputError(
                f"falff_low_hz, falff_high_hz, falff_total_hz: {falff}; give rising frequencies "
                "above 0 Hz"
            )
        if not 0 <= ratio[0] < ratio[1] <= ratio[2] < ratio[3]:
            raise InputError(
                f"ratio_low_hz, ratio_split_hz, ratio_high_from_hz, ratio_high_hz: {ratio}; give "
                "rising frequencies from 0 Hz"
            )


@settings_class
class RewriteSettings:
    """How captions are rewritten by a language model.

    Parameters
    ----------
    base_url : str
        Address of an OpenAI-compatible endpoint, up to and including ``/v1``.
    model : str
        Name of the model at that endpoint.
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
    max_retries : int
        Times that a request is sent again to an endpoint that is busy or fails, with the waits
        that it names or longer ones each time.
    timeout_seconds : float
        Longest wait for an answer, in seconds.
    failures_in_a_row : int
        Captions in a row without any answer after which the run stops.
    concurrency : int
        Requests at a time.
    price_in, price_out : float, optional
        Price of a million tokens of questions and of answers, in any currency.
    """

    base_url: str
    model: Annotated[str, Field(min_length=1)]
    api_key_variable: str = "FMRI_REWRITE_API_KEY"
    domains: tuple[CaptionDomain, ...] = ()
    tries: Count = 3
    temperature: NotNegative = 0.3
    temperature_step: NotNegative = 0.3
    max_tokens: Count = 2048
    extra_words: tuple[str, ...] = ()
    max_retries: Annotated[int, Field(ge=0)] = 4
    timeout_seconds: Positive = 120.0
    failures_in_a_row: Count = 10
    concurrency: Count = 4
    price_in: NotNegative | None = None
    price_out: NotNegative | None = None

    def __post_init__(self) -> None:
        address = urlsplit(self.base_url)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise InputError(
                f"base_url: {self.base_url!r}; give an address such as http://localhost:8000/v1"
            )
        if address.username is not None or address.password is not None or address.query:
            raise InputError(
                f"base_url: {address.scheme}://…@{address.hostname}; put the key into the "
                "environment variable that api_key_variable names"
            )


@settings_class
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
    caption_form: Literal["short", "long"] = "short"
    robust: bool = False
    site_aware: bool = False
    min_site_scans: Annotated[int, Field(ge=2)] = 20
    rewrite: RewriteSettings | None = None
