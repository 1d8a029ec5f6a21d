"""Sentences and captions of measured scans, rendered in parallel and written as they come."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.registry import DOMAINS
from fmri_descriptors.text.captions import Descriptor, describe_features, paragraphs, with_reference
from fmri_descriptors.text.render import load_templates
from fmri_descriptors.text.sentences import as_records, joined
from fmri_descriptors.text.templating import Templates
from fmri_descriptors.utils.files import atomic_write
from fmri_descriptors.utils.parallel import map_ordered

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("scan_id", "name", "domain", "level", "values", "text")
"""Columns of ``descriptors.parquet``."""

_CHUNK = 64  # scans rendered together


@dataclass(frozen=True, kw_only=True)
class Wording:
    """How scans are put into words.

    Parameters
    ----------
    seed : int
        Seed that, with a scan's id, chooses the phrasings.
    form : str
        Form of the caption over all domains, ``"short"`` or ``"long"``.
    templates : Path, optional
        A user's folder of templates.
    """

    seed: int
    form: str
    templates: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Scans as they were measured and compared.

    Parameters
    ----------
    features, z : DataFrame
        One row a scan, indexed by scan id.
    parcellation : Parcellation
        Regions that were measured.
    used : DataFrame
        What each scan is compared with, as `CohortNorms.reference` gives it.
    negative_edges : str
        The setting of that name with which the graph was measured.
    reasons : mapping of str to mapping
        By scan id, why features are missing, as in `describe_features`.
    """

    features: "pd.DataFrame"
    z: "pd.DataFrame"
    parcellation: Parcellation
    used: "pd.DataFrame"
    negative_edges: str = "drop"
    reasons: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.features)

    def pieces(self, size: int) -> "Iterator[Measured]":
        """Give the scans in order, so many at a time."""
        for start in range(0, len(self), size):
            rows = self.features.index[start : start + size]
            yield replace(
                self,
                features=self.features.loc[rows],
                z=self.z.loc[rows],
                used=self.used.loc[rows],
                reasons={i: self.reasons[i] for i in rows if i in self.reasons},
            )


@dataclass(frozen=True)
class _Texts:
    descriptors: list[dict[str, str]]
    captions: list[str]
    n_scans: int


def write_texts(
    measured: Measured,
    wording: Wording,
    directory: Path,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Write ``descriptors.parquet`` and ``captions.jsonl``; few scans are in memory at a time.

    Parameters
    ----------
    measured : Measured
        The scans.
    wording : Wording
        How scans are put into words.
    directory : Path
        An existing directory.
    jobs, scheduler
        As in `map_ordered`.
    progress : callable
        Called with the number of scans of each piece as it is written.

    Raises
    ------
    InputError
        If a template fails.
    """
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    with ExitStack() as open_files:
        paths = [
            open_files.enter_context(atomic_write(directory / name))
            for name in ("descriptors.parquet", "captions.jsonl")
        ]
        table = open_files.enter_context(parquet.ParquetWriter(paths[0], schema))
        captions = open_files.enter_context(paths[1].open("w", encoding="utf-8"))
        for texts in map_ordered(
            partial(_texts_of, wording), measured.pieces(_CHUNK), jobs, scheduler
        ):
            table.write_table(pa.Table.from_pylist(texts.descriptors, schema=schema))
            captions.writelines(f"{line}\n" for line in texts.captions)
            progress(texts.n_scans)


def _texts_of(wording: Wording, rows: Measured) -> _Texts:
    templates = _templates(wording.templates)
    descriptors: list[dict[str, str]] = []
    captions: list[str] = []
    for scan_id in rows.features.index:
        described = describe_features(
            rows.features.loc[scan_id],
            rows.z.loc[scan_id],
            rows.parcellation,
            seed=wording.seed,
            templates=templates,
            negative_edges=rows.negative_edges,
            reasons=rows.reasons.get(scan_id),
        )
        described = with_reference(described, rows.used.loc[scan_id])
        descriptors += [_plain(str(scan_id), item) for item in described]
        captions += _caption_lines(str(scan_id), described, wording.form, templates)
    return _Texts(descriptors, captions, len(rows))


@lru_cache(maxsize=1)
def _templates(directory: Path | None) -> Templates:
    return load_templates(directory)


def _plain(scan_id: str, descriptor: Descriptor) -> dict[str, str]:
    def known(number: float) -> float | None:
        return None if math.isnan(number) else number

    values: list[dict[str, Any]] = [
        {
            "feature": entry.feature,
            "value": known(entry.value),
            "z": known(entry.z),
            "level_word": entry.level_word,
            "unit": entry.unit,
            "reason": entry.reason,
        }
        for entry in descriptor.values  # noqa: PD011
    ]
    return {
        "scan_id": scan_id,
        "name": descriptor.name,
        "domain": descriptor.domain,
        "level": descriptor.level,
        "values": json.dumps(values, ensure_ascii=False),
        "text": descriptor.text,
    }


def _caption_lines(
    scan_id: str, descriptors: Sequence[Descriptor], form: str, templates: Templates
) -> Iterator[str]:
    texts = {"all": paragraphs(descriptors, form, templates)} | {
        domain: paragraphs((d for d in descriptors if d.domain == domain), "long", templates)
        for domain in DOMAINS
    }
    for domain, text in texts.items():
        sentences = list(chain.from_iterable(text))
        line = {
            "scan_id": scan_id,
            "domain": domain,
            "text": joined(sentences),
            "sentences": as_records(sentences),
            "source": "template",
        }
        yield json.dumps(line, ensure_ascii=False)
