"""Features and z-scores to the 23 descriptors, captions, and the files of a cohort."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from fmri_descriptors.errors import InputError
from fmri_descriptors.features.availability import by_column
from fmri_descriptors.features.extractor import FeatureExtractor
from fmri_descriptors.norms.cohort_norms import POOLED, CohortNorms
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.registry import (
    ABOUT_THE_SAME,
    DESCRIPTORS,
    DOMAINS,
    DescriptorRow,
    row_columns,
)
from fmri_descriptors.scan import Scan
from fmri_descriptors.settings import FeatureSettings
from fmri_descriptors.text.render import (
    Part,
    common_gap,
    discourse_relation,
    most_unusual_direction,
    render_descriptor,
    render_gap,
    render_paragraph,
    variant,
)
from fmri_descriptors.text.sentences import Sentence, joined
from fmri_descriptors.text.tally import Reference, Tally
from fmri_descriptors.text.templating import Templates
from fmri_descriptors.text.values import FeatureValue, select_patterns
from fmri_descriptors.text.wording import capitalised, plain_name

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
    short_sentences : tuple of str
        What it says of the most unusual values in each direction alone.
    joins : bool
        Whether a caption may put words before the text, such as "Likewise".
    variant : int
        Number by which wordings are chosen; it follows from the run's seed, the scan's id and the
        name.
    opening : int
        Number by which the opening of its paragraph is chosen; neighbouring paragraphs of a scan
        have different ones.
    norms : str
        What the scan is compared with: ``"pooled"``, or the name of its site.
    n_norms : int, optional
        Training subjects that it is compared with, where this is known.
    """

    name: str
    domain: str
    level: str
    values: tuple[FeatureValue, ...]
    sentences: tuple[str, ...]
    short_sentences: tuple[str, ...] = ()
    joins: bool = False
    variant: int = 0
    opening: int = 0
    norms: str = POOLED
    n_norms: int | None = None

    @property
    def text(self) -> str:
        """All sentences."""
        return " ".join(self.sentences)

    @property
    def reference(self) -> Reference | None:
        """The training subjects that it is compared with."""
        return None if self.n_norms is None else Reference(self.n_norms, self.norms != POOLED)


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
        negative_edges=(extractor.settings or FeatureSettings()).negative_edges,
        reasons=by_column(missing, features.columns),
    )
    used = norms.reference([scan.scan_id], sites, leave_out=True)
    return with_reference(described, used.iloc[0])


def with_reference(descriptors: Iterable[Descriptor], used: "pd.Series[Any]") -> list[Descriptor]:
    """Return descriptors that know what they are compared with.

    Parameters
    ----------
    descriptors : iterable of Descriptor
        A scan's descriptors.
    used : Series
        The scan's row of `CohortNorms.reference`.
    """
    name, n_people = str(used["norms"]), int(used["n_people"])
    return [replace(descriptor, norms=name, n_norms=n_people) for descriptor in descriptors]


def describe_features(
    features: "pd.Series[float]",
    z: "pd.Series[float]",
    parcellation: Parcellation,
    *,
    seed: int = 0,
    templates: Templates | None = None,
    negative_edges: str = "drop",
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
    negative_edges : str
        The setting of that name with which the graph was measured.
    reasons : mapping of str to str, optional
        Why features are missing, by column or stem of columns: a clause that can follow
        "because", such as "the recording was band-passed".

    Raises
    ------
    InputError
        If a template fails.
    """
    descriptors = []
    for row in DESCRIPTORS:
        values = _values(row, features, z, parcellation, reasons or {})
        chosen = variant(seed, str(features.name), row.name)
        long, short = (
            render_descriptor(
                row, values, chosen, templates, negative_edges=negative_edges, short=short
            )
            for short in (False, True)
        )
        descriptors.append(
            Descriptor(
                name=row.name,
                domain=row.domain,
                level=row.level,
                values=tuple(values),
                sentences=tuple(map(capitalised, long)),
                short_sentences=tuple(map(capitalised, short)),
                joins=long[0][:1].islower(),
                variant=chosen,
                opening=variant(seed, str(features.name), "caption") + DOMAINS.index(row.domain),
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
            tuple(map(plain_name, networks)),
            row.unit,
            reasons.get(column) or reasons.get(row.column, ""),
        )
        for column, networks in row_columns(row, parcellation).items()
    ]
    return select_patterns(values) if row.kind == "patterns" else values


def caption(
    descriptors: Iterable[Descriptor], form: str = "long", templates: Templates | None = None
) -> str:
    """Return descriptors as readable text, one paragraph a domain.

    A paragraph opens with how many of its values lie outside the typical range, and how many would
    by chance. Connecting words say where a descriptor goes the way of the one before it, or the
    other way, if both measure the same thing.

    Parameters
    ----------
    descriptors : iterable of Descriptor
        All or some of a scan's descriptors.
    form : str
        ``"long"`` keeps every sentence, ``"short"`` those about the most unusual values in each
        direction.
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
        render_paragraph(
            domain, _parts(members, form, templates), members[0].opening, templates, _tally(members)
        )
        for domain, members in by_domain.items()
    ]


def _tally(descriptors: Sequence[Descriptor]) -> Tally | None:
    values = list(chain.from_iterable(descriptor.values for descriptor in descriptors))  # noqa: PD011
    tally = Tally.of(values, descriptors[0].reference)
    return tally if tally.n_values else None


def _parts(descriptors: Sequence[Descriptor], form: str, templates: Templates | None) -> list[Part]:
    shared = _shared_gaps(descriptors)
    parts: list[Part] = []
    before: Descriptor | None = None
    for descriptor in descriptors:
        sentences = descriptor.sentences if form == "long" else descriptor.short_sentences
        if any(descriptor in members for members in shared.values()):
            sentences = sentences[:-1]
        parts.append(Part("\n".join(sentences), _relation_to(before, descriptor), descriptor.joins))
        before = descriptor
    rows = {row.name: row for row in DESCRIPTORS}
    for members in shared.values():
        missing = common_gap(members[0].values)
        if missing is not None:
            gap = render_gap([rows[d.name] for d in members], missing, templates)
            parts.append(Part(gap, "other", joins=False))
    return parts


def _shared_gaps(descriptors: Sequence[Descriptor]) -> dict[Any, list[Descriptor]]:
    """Descriptors that lack the same networks for the same reason, where there are several."""
    gaps: dict[Any, list[Descriptor]] = {}
    for descriptor in descriptors:
        missing = common_gap(descriptor.values)
        if missing is not None:
            networks = tuple(value.networks for value in missing.values)  # noqa: PD011
            gaps.setdefault((networks, missing.reason), []).append(descriptor)
    return {key: members for key, members in gaps.items() if len(members) > 1}


def _relation_to(before: Descriptor | None, now: Descriptor) -> str:
    if before is None:
        return "first"
    if (before.name, now.name) not in ABOUT_THE_SAME:
        return "other"
    return discourse_relation(
        most_unusual_direction(before.values), most_unusual_direction(now.values)
    )
