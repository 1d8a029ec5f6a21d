"""Sentences and captions of measured scans, rendered in parallel and written as they come."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmri_descriptors.description import Descriptor, caption, describe_features
from fmri_descriptors.files import rename_whole
from fmri_descriptors.parallel import map_ordered
from fmri_descriptors.parcellation import Parcellation
from fmri_descriptors.registry import DOMAINS
from fmri_descriptors.render import load_templates
from fmri_descriptors.templating import Templates

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


@dataclass(frozen=True)
class _Rows:
    features: "pd.DataFrame"
    z: "pd.DataFrame"
    parcellation: Parcellation
    wording: Wording


@dataclass(frozen=True)
class _Texts:
    descriptors: list[dict[str, str]]
    captions: list[str]
    n_scans: int


def write_texts(
    features: "pd.DataFrame",
    z: "pd.DataFrame",
    parcellation: Parcellation,
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
    features, z : DataFrame
        One row a scan, indexed by scan id.
    parcellation : Parcellation
        Regions that were measured.
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

    chunks = _chunks(features, z, parcellation, wording)
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    with ExitStack() as open_files:
        paths = [
            open_files.enter_context(rename_whole(directory / name))
            for name in ("descriptors.parquet", "captions.jsonl")
        ]
        table = open_files.enter_context(parquet.ParquetWriter(paths[0], schema))
        captions = open_files.enter_context(paths[1].open("w", encoding="utf-8"))
        for texts in map_ordered(_texts_of, chunks, jobs, scheduler):
            table.write_table(pa.Table.from_pylist(texts.descriptors, schema=schema))
            captions.writelines(f"{line}\n" for line in texts.captions)
            progress(texts.n_scans)


def _chunks(
    features: "pd.DataFrame", z: "pd.DataFrame", parcellation: Parcellation, wording: Wording
) -> Iterator[_Rows]:
    for start in range(0, len(features), _CHUNK):
        rows = slice(start, start + _CHUNK)
        yield _Rows(features.iloc[rows], z.iloc[rows], parcellation, wording)


def _texts_of(rows: _Rows) -> _Texts:
    templates = _templates(rows.wording.templates)
    descriptors: list[dict[str, str]] = []
    captions: list[str] = []
    for scan_id in rows.features.index:
        described = describe_features(
            rows.features.loc[scan_id],
            rows.z.loc[scan_id],
            rows.parcellation,
            seed=rows.wording.seed,
            templates=templates,
        )
        descriptors += [_plain(str(scan_id), item) for item in described]
        captions += _caption_lines(str(scan_id), described, rows.wording.form, templates)
    return _Texts(descriptors, captions, len(rows.features))


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
    texts = {"all": caption(descriptors, form, templates)} | {
        domain: caption((d for d in descriptors if d.domain == domain), "long", templates)
        for domain in DOMAINS
    }
    for domain, text in texts.items():
        line = {"scan_id": scan_id, "domain": domain, "text": text, "source": "template"}
        yield json.dumps(line, ensure_ascii=False)
