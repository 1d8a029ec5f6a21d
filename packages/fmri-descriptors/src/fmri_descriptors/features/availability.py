"""Why a scan has no value of some features: what its recording cannot show."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from fmri_descriptors.features.filtering import was_filtered
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.registry import DESCRIPTORS, row_columns
from fmri_descriptors.scan import Scan
from fmri_descriptors.settings import FeatureSettings

FILTERED = "the recording was band-passed before"
TOO_SLOW = "the repetition time is too long for it"
TOO_SHORT = "the recording is too short for it"
NO_COMPONENT = "no component stands for it"
NO_COMPONENT_OF_PAIR = "no component stands for one of the two"
TOO_FEW_REGIONS = "too few regions can be used"

RATIO_STEMS = ("ica.spectral_ratio", "ica.overall_spectral_ratio")
FALFF_STEMS = ("ica.falff",)

_SLACK = 1e-6


def shown_bands(trs: Iterable[float], settings: FeatureSettings) -> FeatureSettings:
    """End the bands of settings where the training scans can show them.

    Parameters
    ----------
    trs : iterable of float
        Repetition times of the training scans, in seconds.
    settings : FeatureSettings
        The bands wanted.

    Returns
    -------
    FeatureSettings
        ``falff_total_hz`` is at most the lowest Nyquist frequency that reaches twice
        ``falff_high_hz``, and ``ratio_high_hz`` at most the lowest that reaches the middle of its
        band; scans of a lower one have no value. So all scans are measured alike, and a slow
        scan changes nothing for the others.
    """
    nyquists = [0.5 / tr for tr in trs]

    def end(wanted: float, least: float) -> float:
        return min([wanted, *(n for n in nyquists if n >= least * (1 - _SLACK))])

    total, high = settings.falff_total_hz, settings.ratio_high_hz
    return replace(
        settings,
        falff_total_hz=end(total, min(total, 2 * settings.falff_high_hz)),
        ratio_high_hz=end(high, (settings.ratio_high_from_hz + high) / 2),
    )


def unavailable_spectra(scan: Scan, settings: FeatureSettings) -> dict[str, str]:
    """Why a scan has no fALFF or spectral ratio; nothing for what it has.

    Parameters
    ----------
    scan : Scan
        Series (T, N).
    settings : FeatureSettings
        The bands, as `shown_bands` gave them.

    Returns
    -------
    dict of str to str
        Stem of the feature columns to a reason that ends a sentence: the recording holds no full
        period of ``falff_low_hz``, was filtered, or its Nyquist frequency is below a band's end.
    """
    if scan.n_frames * scan.tr * settings.falff_low_hz < 1 - _SLACK:
        return dict.fromkeys((*FALFF_STEMS, *RATIO_STEMS), TOO_SHORT)
    if was_filtered(scan):
        return dict.fromkeys((*FALFF_STEMS, *RATIO_STEMS), FILTERED)
    nyquist = 0.5 / scan.tr * (1 + _SLACK)
    ends = ((FALFF_STEMS, settings.falff_total_hz), (RATIO_STEMS, settings.ratio_high_hz))
    return {stem: TOO_SLOW for stems, end in ends if end > nyquist for stem in stems}


def reasons_without_component(
    networks: Iterable[str], parcellation: Parcellation
) -> dict[str, str]:
    """Columns of the components of networks that have none, to the reason."""
    absent = set(networks)
    return {
        column: NO_COMPONENT_OF_PAIR if row.kind == "pairs" else NO_COMPONENT
        for row in DESCRIPTORS
        if row.domain == "ICA"
        for column, about in row_columns(row, parcellation).items()
        if absent.intersection(about)
    }


def domain_stems(domain: str) -> list[str]:
    """Stems of a domain's feature columns."""
    return [row.column for row in DESCRIPTORS if row.domain == domain]


def why_missing(column: str, reasons: Mapping[str, str]) -> str:
    """Reason for a missing feature, by its column or its column's stem; empty if there is none."""
    if column in reasons:
        return reasons[column]
    return next((why for stem, why in reasons.items() if column.startswith(f"{stem}.")), "")


def by_column(reasons: Mapping[str, str], columns: Iterable[str]) -> dict[str, str]:
    """Reason for each column that one applies to."""
    found = {column: why_missing(column, reasons) for column in columns}
    return {column: why for column, why in found.items() if why}
