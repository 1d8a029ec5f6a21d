"""Features and z-scores to the 23 descriptors, captions, and the files of a cohort."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmri_descriptors.cohort import Cohort, read_cohort
from fmri_descriptors.errors import InputError
from fmri_descriptors.features.extractor import FeatureExtractor
from fmri_descriptors.norms import CohortNorms
from fmri_descriptors.parcellation import Parcellation
from fmri_descriptors.phenotype_dictionary import load_dictionary
from fmri_descriptors.registry import DESCRIPTORS, DOMAINS, DescriptorRow, row_columns
from fmri_descriptors.render import (
    FeatureValue,
    render_caption,
    render_descriptor,
    select_patterns,
)
from fmri_descriptors.rewrite.described import rewrite_described
from fmri_descriptors.scan import Scan
from fmri_descriptors.semantic import require_columns, write_semantic
from fmri_descriptors.settings import DescribeSettings
from fmri_descriptors.splits import SPLITS

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
    """

    name: str
    domain: str
    level: str
    values: tuple[FeatureValue, ...]
    text: str
    headline: str


def describe(scan: Scan, extractor: FeatureExtractor, norms: CohortNorms) -> list[Descriptor]:
    """Return the 23 descriptors of a scan, next to a cohort.

    Parameters
    ----------
    scan : Scan
        What to describe; it need not belong to the cohort.
    extractor : FeatureExtractor
        Fitted on the cohort's training scans.
    norms : CohortNorms
        Fitted on the features of the same scans.

    Raises
    ------
    InputError
        If the scan's regions or the features differ from those of the cohort.
    """
    features = extractor.transform([scan])
    z = norms.transform(features)
    return _descriptors(features.iloc[0], z.iloc[0], extractor.parcellation_)


def _descriptors(
    features: "pd.Series[float]", z: "pd.Series[float]", parcellation: Parcellation
) -> list[Descriptor]:
    return [_descriptor(row, features, z, parcellation) for row in DESCRIPTORS]


def _descriptor(
    row: DescriptorRow,
    features: "pd.Series[float]",
    z: "pd.Series[float]",
    parcellation: Parcellation,
) -> Descriptor:
    values = [
        FeatureValue(column, float(features[column]), float(z[column]), networks)
        for column, networks in row_columns(row, parcellation).items()
    ]
    if row.kind == "patterns":
        values = select_patterns(values)
    sentences = render_descriptor(row, values)
    return Descriptor(
        row.name, row.domain, row.level, tuple(values), " ".join(sentences), sentences[0]
    )


def caption(descriptors: Iterable[Descriptor], form: str = "long") -> str:
    """Return descriptors as readable text, one paragraph a domain.

    Parameters
    ----------
    descriptors : iterable of Descriptor
        All or some of a scan's descriptors.
    form : str
        ``"long"`` keeps every sentence, ``"short"`` the most telling one of each descriptor.

    Raises
    ------
    InputError
        If the form is not known.
    """
    if form not in {"long", "short"}:
        raise InputError(f"caption form: {form!r}; give 'long' or 'short'")
    paragraphs: dict[str, list[str]] = {}
    for descriptor in descriptors:
        text = descriptor.text if form == "long" else descriptor.headline
        paragraphs.setdefault(descriptor.domain, []).append(text)
    return render_caption(paragraphs)


def describe_cohort(
    cohort_dir: Path,
    directory: Path,
    settings: DescribeSettings,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda *_: None,
    *,
    workspace: Path | None = None,
    phenotype_dictionary: Path | None = None,
    find_model: Callable[[str], Path] = Path,
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
        Seed of ICA and Louvain.
    progress : callable
        Called with (scans done, scans in all); training scans count twice, as they are read
        twice. Called again with captions where these are rewritten.
    workspace : Path, optional
        Folder for what a later run of the same may go on from; ``checkpoints`` in the directory
        if not given.
    phenotype_dictionary : Path, optional
        What the phenotypes mean (see `load_dictionary`); ``semantic.jsonl`` is written with it.
    find_model : callable
        Gives the folder of a local model by the name in ``settings.rewrite``.

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
    if phenotype_dictionary is not None:
        # A mistake in it is told before the scans are measured.
        phenotypes = cohort.document.get("phenotypes", {})
        require_columns(load_dictionary(phenotype_dictionary), phenotypes)
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
        str(scan_id): _descriptors(features.loc[scan_id], z.loc[scan_id], cohort.parcellation)
        for scan_id in features.index
    }
    _write_descriptors(described, directory / "descriptors.parquet")
    _write_captions(described, settings.caption_form, directory / "captions.jsonl")
    summary = (
        f"{len(features)} scans, {features.shape[1]} features, {len(DESCRIPTORS)} descriptors "
        f"each; norms from {len(norms.fitted_on_)} training scans"
    )
    if phenotype_dictionary is not None:
        write_semantic(cohort, phenotype_dictionary, directory / "semantic.jsonl")
    if settings.rewrite is None:
        return summary
    report = rewrite_described(
        cohort,
        directory,
        settings.rewrite,
        workspace=workspace or directory / "checkpoints",
        seed=seed,
        progress=progress,
        find_model=find_model,
    )
    return f"{summary}; {report}"


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
