"""Features and z-scores to the 23 descriptors, captions, and the files of a cohort."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fmri_descriptors.errors import InputError
from fmri_descriptors.features.availability import by_column
from fmri_descriptors.features.extractor import FeatureExtractor
from fmri_descriptors.norms import POOLED, CohortNorms
from fmri_descriptors.parcellation import Parcellation
from fmri_descriptors.registry import DESCRIPTORS, DescriptorRow, row_columns
from fmri_descriptors.render import (
    Part,
    relation,
    render_descriptor,
    render_paragraph,
    variant,
    verdict,
)
from fmri_descriptors.scan import Scan
from fmri_descriptors.sentences import Sentence, joined
from fmri_descriptors.templating import Templates
from fmri_descriptors.values import FeatureValue, select_patterns
from fmri_descriptors.wording import capitalised

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Descriptor:
    """One of the 23 statements about a scan.

    Parameters
    ----------
    name : str
        Stable name, a row of the registry.
    domain : str
        ``"FC"``, ``"gradients"``, ``"ICA"`` or ``"graph"``.
    level : str
        ``"network"`` or ``"global"``.
    values : tuple of FeatureValue
        The numbers that it is about.
    sentences : tuple of str
        What it says, the most telling sentence first.
    joins : bool
        Whether a caption may put words before the text, such as "Likewise".
    variant : int
        Number by which wordings are chosen; it follows from the run's seed, the scan's id and the
        name.
    norms : str
        What the scan is compared with: ``"pooled"``, or the name of its site.
    """

    name: str
    domain: str
    level: str
    values: tuple[FeatureValue, ...]
    sentences: tuple[str, ...]
    joins: bool = False
    variant: int = 0
    norms: str = POOLED

    @property
    def text(self) -> str:
        """All sentences."""
        return " ".join(self.sentences)

    @property
    def headline(self) -> str:
        """The most telling sentence."""
        return self.sentences[0]


def describe(
    scan: Scan,
    extractor: FeatureExtractor,
    norms: CohortNorms,
    *,
    seed: int | None = None,
    templates: Templates | None = None,
) -> list[Descriptor]:
    """Return the 23 descriptors of a scan, next to a cohort.

    With the extractor and the norms that a run saved, the text is what the run would have given
    the scan: one that the norms were fitted on is compared with the other people.

    Parameters
    ----------
    scan : Scan
        What to describe; it need not belong to the cohort.
    extractor : FeatureExtractor
        Fitted on the cohort's training scans.
    norms : CohortNorms
        Fitted on the features of the same scans.
    seed : int, optional
        Seed that chooses the phrasings; the extractor's if not given.
    templates : Templates, optional
        The package's own if not given; `load_templates` reads a user's.

    Raises
    ------
    InputError
        If the scan's regions or the features differ from those of the cohort, or a template
        fails.
    """
    features = extractor.transform([scan])
    sites = {scan.scan_id: scan.site}
    z = norms.transform(features, sites, leave_out=True)
    missing = extractor.reasons_ | features.attrs["reasons"].get(scan.scan_id, {})
    described = describe_features(
        features.iloc[0],
        z.iloc[0],
        extractor.parcellation_,
        seed=extractor.seed if seed is None else seed,
        templates=templates,
        reasons=by_column(missing, features.columns),
    )
    compared_with = str(norms.reference([scan.scan_id], sites)["norms"].iloc[0])
    return [replace(descriptor, norms=compared_with) for descriptor in described]


def describe_features(
    features: "pd.Series[float]",
    z: "pd.Series[float]",
    parcellation: Parcellation,
    *,
    seed: int = 0,
    templates: Templates | None = None,
    reasons: Mapping[str, str] | None = None,
) -> list[Descriptor]:
    """Return the 23 descriptors of a scan that has been measured.

    Parameters
    ----------
    features, z : Series
        One row of features and of z-scores; their name is the scan's id.
    parcellation : Parcellation
        Regions that were measured.
    seed : int
        Seed that, with the scan's id, chooses the phrasings.
    templates : Templates, optional
        The package's own if not given.
    reasons : mapping of str to str, optional
        Why a feature is missing, by column: a clause that can follow "because", such as "the
        recording was band-passed".

    Raises
    ------
    InputError
        If a template fails.
    """
    descriptors = []
    for row in DESCRIPTORS:
        values = _values(row, features, z, parcellation, reasons or {})
        chosen = variant(seed, str(features.name), row.name)
        sentences = render_descriptor(row, values, chosen, templates)
        whole = [capitalised(sentence) for sentence in sentences]
        descriptors.append(
            Descriptor(
                row.name,
                row.domain,
                row.level,
                tuple(values),
                tuple(whole),
                sentences[0][:1].islower(),
                chosen,
            )
        )
    return descriptors


def _values(
    row: DescriptorRow,
    features: "pd.Series[float]",
    z: "pd.Series[float]",
    parcellation: Parcellation,
    reasons: Mapping[str, str],
) -> list[FeatureValue]:
    values = [
        FeatureValue(
            column,
            float(features[column]),
            float(z[column]),
            networks,
            reasons.get(column, ""),
        )
        for column, networks in row_columns(row, parcellation).items()
    ]
    return select_patterns(values) if row.kind == "patterns" else values


def caption(
    descriptors: Iterable[Descriptor], form: str = "long", templates: Templates | None = None
) -> str:
    """Return descriptors as readable text, one paragraph a domain.

    A paragraph opens with words for its domain, and connecting words say where a descriptor goes
    the way of the one before it, or the other way.

    Parameters
    ----------
    descriptors : iterable of Descriptor
        All or some of a scan's descriptors.
    form : str
        ``"long"`` keeps every sentence, ``"short"`` the most telling one of each descriptor.
    templates : Templates, optional
        The package's own if not given.

    Raises
    ------
    InputError
        If the form is not known or a template fails.
    """
    return "\n".join(joined(paragraph) for paragraph in paragraphs(descriptors, form, templates))


def paragraphs(
    descriptors: Iterable[Descriptor], form: str = "long", templates: Templates | None = None
) -> list[list[Sentence]]:
    """Return a caption as paragraphs of sentences that know whether they stand alone.

    Parameters and errors are those of `caption`.
    """
    if form not in {"long", "short"}:
        raise InputError(f"caption form: {form!r}; give 'long' or 'short'")
    by_domain: dict[str, list[Descriptor]] = {}
    for descriptor in descriptors:
        by_domain.setdefault(descriptor.domain, []).append(descriptor)
    return [
        # Other bits than those that chose the first phrasing, or the two would go together.
        render_paragraph(domain, _parts(members, form), members[0].variant >> 8, templates)
        for domain, members in by_domain.items()
    ]


def _parts(descriptors: Sequence[Descriptor], form: str) -> list[Part]:
    parts: list[Part] = []
    before: int | None = None
    for descriptor in descriptors:
        # Patterns are told by value, not by how unusual they are.
        told_by_z = descriptor.name != "fc_patterns"
        now = verdict(descriptor.values) if told_by_z else None
        how = relation(before, now) if parts else "first"
        told = descriptor.sentences if form == "long" else descriptor.sentences[:1]
        parts.append(Part("\n".join(told), how, descriptor.joins))
        before = now
    return parts
