"""Features and z-scores to the 23 descriptors, captions, and the files of a cohort."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmri_descriptors.cohort import Cohort, read_cohort
from fmri_descriptors.errors import InputError
from fmri_descriptors.features.extractor import FeatureExtractor
from fmri_descriptors.norms import POOLED, CohortNorms
from fmri_descriptors.parcellation import Parcellation
from fmri_descriptors.registry import DESCRIPTORS, DOMAINS, DescriptorRow, row_columns
from fmri_descriptors.render import (
    Part,
    relation,
    render_descriptor,
    render_paragraph,
    variant,
    verdict,
)
from fmri_descriptors.scan import Scan
from fmri_descriptors.settings import DescribeSettings
from fmri_descriptors.splits import SPLITS
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
    text : str
        One or more sentences.
    headline : str
        The most telling of these sentences.
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
    text: str
    headline: str
    joins: bool = False
    variant: int = 0
    norms: str = POOLED


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
    the scan.

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
    z = norms.transform(features, sites)
    described = describe_features(
        features.iloc[0],
        z.iloc[0],
        extractor.parcellation_,
        seed=extractor.seed if seed is None else seed,
        templates=templates,
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

    Raises
    ------
    InputError
        If a template fails.
    """
    descriptors = []
    for row in DESCRIPTORS:
        values = _values(row, features, z, parcellation)
        chosen = variant(seed, str(features.name), row.name)
        sentences = render_descriptor(row, values, chosen, templates)
        whole = [capitalised(sentence) for sentence in sentences]
        descriptors.append(
            Descriptor(
                row.name,
                row.domain,
                row.level,
                tuple(values),
                " ".join(whole),
                whole[0],
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
) -> list[FeatureValue]:
    values = [
        FeatureValue(column, float(features[column]), float(z[column]), networks)
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
    if form not in {"long", "short"}:
        raise InputError(f"caption form: {form!r}; give 'long' or 'short'")
    by_domain: dict[str, list[Descriptor]] = {}
    for descriptor in descriptors:
        by_domain.setdefault(descriptor.domain, []).append(descriptor)
    return "\n".join(
        # Other bits than those that chose the first phrasing, or the two would go together.
        render_paragraph(domain, _parts(members, form), members[0].variant >> 8, templates)
        for domain, members in by_domain.items()
    )


def _parts(descriptors: Sequence[Descriptor], form: str) -> list[Part]:
    parts: list[Part] = []
    before: int | None = None
    for descriptor in descriptors:
        # Patterns are told by value, not by how unusual they are.
        told_by_z = descriptor.name != "fc_patterns"
        now = verdict(descriptor.values) if told_by_z else None
        how = relation(before, now) if parts else "first"
        text = descriptor.text if form == "long" else descriptor.headline
        parts.append(Part(text, how, descriptor.joins))
        before = now
    return parts


def describe_cohort(
    cohort_dir: Path,
    directory: Path,
    settings: DescribeSettings,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> str:
    """Write features, norms, z-scores, descriptors and captions of a cohort.

    The extractor and the norms are fitted on the training split alone; every split is described.

    Parameters
    ----------
    cohort_dir : Path
        What `write_cohort` wrote.
    directory : Path
        An existing directory; gets ``features.parquet``, ``zscores.parquet``, ``norms.json``,
        ``extractor.npz``, ``extractor.json``, ``descriptors.parquet`` and ``captions.jsonl``.
    settings : DescribeSettings
        How scans are measured and captioned.
    seed : int
        Seed of ICA and Louvain, and of the choice of phrasings.
    progress : callable
        Called with (scans done, scans in all); training scans count twice, as they are read
        twice.

    Returns
    -------
    str
        One line that says what was written.

    Raises
    ------
    InputError
        If the cohort cannot be read or a scan cannot be measured.
    """
    cohort = read_cohort(cohort_dir)
    directory = Path(directory)
    tick = _ticker(len(cohort) + cohort.n_scans("train"), progress)
    extractor = FeatureExtractor(settings.features, seed).fit(tick(cohort.scans("train")))
    features, splits = _measure(cohort, extractor, tick)
    norms = CohortNorms().fit(features[splits == "train"])
    z = norms.transform(features)
    extractor.save(directory)
    norms.save(directory / "norms.json")
    features.assign(split=splits).to_parquet(directory / "features.parquet")
    z.assign(split=splits).to_parquet(directory / "zscores.parquet")
    described = {
        str(scan_id): describe_features(
            features.loc[scan_id], z.loc[scan_id], cohort.parcellation, seed=seed
        )
        for scan_id in features.index
    }
    _write_descriptors(described, directory / "descriptors.parquet")
    _write_captions(described, settings.caption_form, directory / "captions.jsonl")
    return (
        f"{len(features)} scans, {features.shape[1]} features, {len(DESCRIPTORS)} descriptors "
        f"each; norms from {len(norms.fitted_on_)} training scans"
    )


def _ticker(
    total: int, progress: Callable[[int, int], None]
) -> Callable[[Iterable[Scan]], Iterator[Scan]]:
    done = 0

    def tick(scans: Iterable[Scan]) -> Iterator[Scan]:
        nonlocal done
        for scan in scans:
            yield scan
            done += 1
            progress(done, total)

    return tick


def _measure(
    cohort: Cohort,
    extractor: FeatureExtractor,
    tick: Callable[[Iterable[Scan]], Iterator[Scan]],
) -> tuple["pd.DataFrame", "pd.Series[str]"]:
    import pandas as pd

    tables = {split: extractor.transform(tick(cohort.scans(split))) for split in SPLITS}
    features = pd.concat([table for table in tables.values() if len(table)])
    features.attrs = tables["train"].attrs
    splits = [split for split, table in tables.items() for _ in range(len(table))]
    return features, pd.Series(splits, index=features.index, name="split", dtype=object)


def _write_descriptors(described: dict[str, list[Descriptor]], path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = [
        {
            "scan_id": scan_id,
            "name": item.name,
            "domain": item.domain,
            "level": item.level,
            "values": _plain(item),
            "text": item.text,
        }
        for scan_id, descriptors in described.items()
        for item in descriptors
    ]
    names = ("scan_id", "name", "domain", "level", "values", "text")
    schema = pa.schema([(name, pa.string()) for name in names])
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), path)


def _plain(descriptor: Descriptor) -> str:
    def known(number: float) -> float | None:
        return None if math.isnan(number) else number

    values: list[dict[str, Any]] = [
        {
            "feature": entry.feature,
            "value": known(entry.value),
            "z": known(entry.z),
            "level_word": entry.level_word,
        }
        for entry in descriptor.values  # noqa: PD011
    ]
    return json.dumps(values, ensure_ascii=False)


def _write_captions(described: dict[str, list[Descriptor]], form: str, path: Path) -> None:
    lines = [
        json.dumps(line, ensure_ascii=False)
        for scan_id, descriptors in described.items()
        for line in _caption_lines(scan_id, descriptors, form)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _caption_lines(
    scan_id: str, descriptors: Sequence[Descriptor], form: str
) -> Iterator[dict[str, str]]:
    texts = {"all": caption(descriptors, form)} | {
        domain: caption(item for item in descriptors if item.domain == domain) for domain in DOMAINS
    }
    for domain, text in texts.items():
        yield {"scan_id": scan_id, "domain": domain, "text": text, "source": "template"}
