"""A cohort described: features, norms, z-scores, sentences and captions as files."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fmri_descriptors.cohort.read import Cohort, read_cohort
from fmri_descriptors.features.availability import by_column
from fmri_descriptors.features.cohort_features import measure_cohort
from fmri_descriptors.features.extractor import FeatureExtractor
from fmri_descriptors.features.gradients.reference import gradient_note
from fmri_descriptors.norms.cohort_norms import POOLED, CohortNorms
from fmri_descriptors.norms.outside_counts import outside_typical_range
from fmri_descriptors.phenotypes.dictionary import load_dictionary
from fmri_descriptors.phenotypes.sentences import require_columns, write_semantic
from fmri_descriptors.registry import DESCRIPTORS
from fmri_descriptors.rewrite.described import rewrite_described
from fmri_descriptors.scan import Scan
from fmri_descriptors.settings import DescribeSettings
from fmri_descriptors.text.cohort_captions import Measured, Wording, write_texts
from fmri_descriptors.text.render import load_templates
from fmri_descriptors.text.summary import (
    chance_note,
    component_notes,
    missing_notes,
    write_unavailable,
)
from fmri_descriptors.utils.files import atomic_write, file_digest, write_json

if TYPE_CHECKING:
    import pandas as pd

SUMMARY_SCHEMA = 1
"""Version of ``summary.json``."""

_PARTS = ".parts-"
_JOURNALS = "checkpoints"


@dataclass(frozen=True, kw_only=True)
class DescribeOptions:
    """What a description needs besides its settings.

    Parameters
    ----------
    templates : Path, optional
        A folder of templates that go before the package's own.
    phenotype_dictionary : Path, optional
        What the phenotypes mean (see `load_dictionary`); ``semantic.jsonl`` is written with it.
    jobs : int
        Worker processes; they change no byte of what is written.
    scheduler : str, optional
        Address of a Dask scheduler whose workers do the work instead; they must see the cohort
        and the directory under the same paths.
    """

    templates: Path | None = None
    phenotype_dictionary: Path | None = None
    jobs: int = 1
    scheduler: str | None = None


def describe_cohort(
    cohort_dir: Path,
    directory: Path,
    settings: DescribeSettings,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda *_: None,
    options: DescribeOptions | None = None,
) -> str:
    """Write features, norms, z-scores, descriptors and captions of a cohort.

    The extractor and the norms are fitted on the training split alone; every split is described.
    A training scan is compared with the other training people.
    Measured scans are kept in a hidden folder until all is written, so that the same call resumes
    where an earlier one was stopped, and ends with the same bytes.

    Parameters
    ----------
    cohort_dir : Path
        What `write_cohort` wrote.
    directory : Path
        An existing directory; gets ``features.parquet``, ``zscores.parquet``, ``norms.json``,
        ``norms-values.npy``, ``extractor.npz``, ``extractor.json``, ``descriptors.parquet``,
        ``captions.jsonl``, ``summary.json``, ``typical_range.tsv``; where norms look at sites
        ``norms_used.tsv``, and where recordings cannot show some features ``unavailable.tsv``,
        which says why. Where captions are rewritten also ``rewriting.json``, and with a phenotype
        dictionary ``semantic.jsonl``.
    settings : DescribeSettings
        How scans are measured, compared and captioned.
    seed : int
        Seed of ICA and Louvain, and of the choice of phrasings.
    progress : callable
        Called with (scans done, scans in all); a scan counts when it is measured and when it is
        put into words, a training scan also when the extractor has seen it. Called again with
        captions where these are rewritten.
    options : DescribeOptions, optional
        Templates and workers.

    Returns
    -------
    str
        One line that says what was written.

    Raises
    ------
    InputError
        If the cohort cannot be read, a scan cannot be measured, a template fails, the phenotype
        dictionary does not fit, or captions cannot be rewritten.
    """
    options = options or DescribeOptions()
    load_templates(options.templates)  # a mistake in one is reported before scans are measured
    cohort = read_cohort(cohort_dir)
    if options.phenotype_dictionary is not None:
        dictionary = load_dictionary(options.phenotype_dictionary)
        require_columns(dictionary, cohort.document.get("phenotypes", {}))
    directory = Path(directory)
    parts = directory / f"{_PARTS}{_key(cohort, settings, seed)}"
    parts.mkdir(exist_ok=True)
    count = _Counter(2 * len(cohort) + cohort.n_scans("train"), progress)
    extractor = _fitted(cohort, settings, seed, parts, count)
    features, splits, reasons = measure_cohort(
        cohort, extractor, parts, jobs=options.jobs, scheduler=options.scheduler, progress=count
    )
    norms, z, pooled = _compared(cohort, features, splits, settings, directory)
    fitted = FeatureExtractor.load(extractor)
    fitted.save(directory)
    _write_summary(fitted, z, norms, directory)
    write_unavailable(reasons, directory / "unavailable.tsv")
    wording = Wording(seed=seed, form=settings.caption_form, templates=options.templates)
    write_texts(
        Measured(
            features=features,
            z=z,
            parcellation=cohort.parcellation,
            used=norms.reference(features.index, cohort.sites(), leave_out=True),
            negative_edges=settings.features.negative_edges,
            reasons=_reasons_by_column(features, fitted, reasons),
        ),
        wording,
        directory,
        jobs=options.jobs,
        scheduler=options.scheduler,
        progress=count,
    )
    rewritten = _rewritten(cohort, directory, settings, seed, progress, options)
    for left in directory.glob(f"{_PARTS}*"):
        shutil.rmtree(left)
    notes = "".join(
        f"; {sentence}" for sentence in [*component_notes(fitted), *missing_notes(reasons)]
    )
    return (
        f"{len(features)} scans, {features.shape[1]} features, {len(DESCRIPTORS)} descriptors "
        f"each; norms from {len(norms.fitted_on_)} training scans of {norms.n_people_} people"
        f"{pooled}; {chance_note(z, norms)}{notes}{rewritten}"
    )


def _write_summary(
    extractor: FeatureExtractor, z: "pd.DataFrame", norms: CohortNorms, directory: Path
) -> None:
    """Write what is to be known of the measures, in words, and the counts of each scan."""
    document = {
        "schema": SUMMARY_SCHEMA,
        "gradients": gradient_note(extractor.reference_r_),
        "components": list(component_notes(extractor)),
    }
    write_json(document, directory / "summary.json")
    counts = outside_typical_range(z, norms)
    counts.to_csv(directory / "typical_range.tsv", sep="\t", lineterminator="\n")


def _reasons_by_column(
    features: "pd.DataFrame", extractor: FeatureExtractor, reasons: Mapping[str, Mapping[str, str]]
) -> dict[str, Mapping[str, str]]:
    """Why columns are missing, by scan id; scans without a reason of their own share one table."""
    everywhere = extractor.reasons_
    return {
        str(i): by_column({**everywhere, **reasons[i]}, features.columns)
        if i in reasons
        else everywhere
        for i in features.index
    }


def _rewritten(
    cohort: Cohort,
    directory: Path,
    settings: DescribeSettings,
    seed: int,
    progress: Callable[[int, int], None],
    options: DescribeOptions,
) -> str:
    """Write what is asked for beyond templates, and say what came of it."""
    if options.phenotype_dictionary is not None:
        write_semantic(cohort, options.phenotype_dictionary, directory / "semantic.jsonl")
    if settings.rewrite is None:
        return ""
    report = rewrite_described(
        cohort,
        directory,
        settings.rewrite,
        workspace=directory / _JOURNALS,
        seed=seed,
        progress=progress,
    )
    return f"; {report}"


class _Counter:
    """Count of the scans done so far, reported to a progress function."""

    def __init__(self, total: int, progress: Callable[[int, int], None]) -> None:
        self.total = total
        self.done = 0
        self._progress = progress

    def __call__(self, n_scans: int) -> None:
        self.done += n_scans
        self._progress(self.done, self.total)

    def through(self, scans: Iterable[Scan]) -> Iterator[Scan]:
        """Give scans on, each counted once it is used."""
        for scan in scans:
            yield scan
            self(1)


def _key(cohort: Cohort, settings: DescribeSettings, seed: int) -> str:
    """Name of what decides the features; parts of another key are never taken up."""
    from fmri_descriptors import __version__

    data = sorted(cohort.directory.glob("*/state.json"))
    decisive = {
        "cohort": [file_digest(path) for path in (cohort.directory / "cohort.json", *data)],
        "features": asdict(settings.features),
        "seed": seed,
        "version": __version__,
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]


def _fitted(
    cohort: Cohort, settings: DescribeSettings, seed: int, parts: Path, count: _Counter
) -> Path:
    """Directory of the extractor fitted on the training scans, from an earlier call or now."""
    extractor = parts / "extractor"
    if extractor.is_dir():
        count(cohort.n_scans("train"))
        return extractor
    with atomic_write(extractor) as unfinished:
        unfinished.mkdir(exist_ok=True)
        training = count.through(cohort.scans("train"))
        FeatureExtractor(settings.features, seed).fit(training).save(unfinished)
    return extractor


def _compared(
    cohort: Cohort,
    features: "pd.DataFrame",
    splits: "pd.Series[str]",
    settings: DescribeSettings,
    directory: Path,
) -> "tuple[CohortNorms, pd.DataFrame, str]":
    """Write features, norms and z-scores; return the last two, and a word on pooling."""
    sites = cohort.sites()
    norms = CohortNorms(settings.robust, settings.site_aware, settings.min_site_scans)
    norms.fit(features[splits == "train"], sites=sites, subjects=cohort.subjects())
    z = norms.transform(features, sites, leave_out=True)
    norms.save(directory / "norms.json")
    features.assign(split=splits).to_parquet(directory / "features.parquet")
    z.assign(split=splits).to_parquet(directory / "zscores.parquet")
    if not settings.site_aware:
        return norms, z, ""
    used = norms.reference(features.index, sites)
    used.to_csv(directory / "norms_used.tsv", sep="\t", lineterminator="\n")
    n_pooled = int((used["norms"] == POOLED).sum())
    note = f"; {n_pooled} scans compared with all sites, see norms_used.tsv" if n_pooled else ""
    return norms, z, note
