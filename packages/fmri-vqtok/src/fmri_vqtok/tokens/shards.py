"""Codes of a cohort in shards, made by several processes; each file is written atomically."""

import contextlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.atomic import whole_file
from fmri_vqtok.formats.cohort import Cohort, CohortScan
from fmri_vqtok.tokenizer import FMRITokenizer
from fmri_vqtok.tokens.encode_scan import EncodedScan, encode_scan

COLUMNS = {
    "scan_id": pa.string(),
    "window": pa.int32(),
    "codes": pa.list_(pa.list_(pa.int32())),
    "mask": pa.list_(pa.bool_()),
    "new": pa.list_(pa.bool_()),
}

COLUMNS_OF_SCALE = {
    "log_amplitude": pa.list_(pa.float32()),
    "spectrum": pa.list_(pa.float32()),
    "n_seconds": pa.float32(),
    "tr": pa.float32(),
}

COLUMNS_OF_RELATIONS = {"covariance": pa.list_(pa.list_(pa.float32()))}


@dataclass(frozen=True)
class Shard:
    """Scans of a split whose codes are in one file.

    Attributes
    ----------
    split : str
    places : range
        Of the scans in the split.
    path : Path
    made_of : str
        What determines the content of the file; a file with another content is made anew.
    """

    split: str
    places: range
    path: Path
    made_of: str

    def is_complete(self) -> bool:
        """Whether the file exists with the right content."""
        if not self.path.is_file():
            return False
        with _mapped(self.path) as reader:
            return reader.schema.metadata[b"made_of"].decode() == self.made_of


def plan_shards(cohort: Cohort, folder: Path, n_scans: int, made_of: dict[str, Any]) -> list[Shard]:
    """Shards of ``n_scans`` scans each, split by split, in the order of the cohort.

    Parameters
    ----------
    cohort : Cohort
    folder : Path
        Of the files.
    n_scans : int
    made_of : dict
        What determines the codes, besides the scans.
    """
    shards = []
    for split in cohort.splits():
        ids = cohort.scan_ids(split)
        for start in range(0, len(ids), n_scans):
            places = range(start, min(start + n_scans, len(ids)))
            content = made_of | {"scans": ids[places.start : places.stop]}
            path = folder / f"{split}-{start:06d}.arrow"
            shards.append(Shard(split, places, path, json.dumps(content, sort_keys=True)))
    return shards


def make_shards(shards: Sequence[Shard], encoder: "ScanEncoder", n_jobs: int) -> Iterator[Shard]:
    """Write the files of shards, and yield each shard when its file is complete.

    Parameters
    ----------
    shards : sequence of Shard
    encoder : ScanEncoder
    n_jobs : int
        Processes; with several, each has one thread.
    """
    if n_jobs == 1:
        for shard in shards:
            encoder.write(shard)
            yield shard
        return
    context = get_context("spawn")
    workers = min(n_jobs, max(1, len(shards)))
    with ProcessPoolExecutor(workers, context, _become_worker, (encoder,)) as pool:
        waiting: dict[Future[None], Shard] = {
            pool.submit(_write_in_worker, shard): shard for shard in shards
        }
        try:
            for done in as_completed(waiting):
                done.result()
                yield waiting[done]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def join_shards(shards: Sequence[Shard]) -> dict[str, tuple[pa.Table, list[str]]]:
    """By split, the rows of all its shards, memory-mapped, and the upsampled scans."""
    tables: dict[str, list[pa.Table]] = {}
    upsampled: dict[str, list[str]] = {}
    for shard in shards:
        with _mapped(shard.path) as reader:
            table = reader.read_all()
        tables.setdefault(shard.split, []).append(table.replace_schema_metadata(None))
        upsampled.setdefault(shard.split, []).extend(
            json.loads(table.schema.metadata[b"upsampled"])
        )
    return {split: (pa.concat_tables(parts), upsampled[split]) for split, parts in tables.items()}


class ScanEncoder:
    """Makes rows of scans; pickled, it is made anew in the worker process.

    Parameters
    ----------
    cohort_dir, tokenizer_dir : Path
    batch_size : int
        Windows encoded at a time.
    device : str
    relations : {"codes", "latents", "recording"}
        What the column ``covariance`` is computed from; there is none with "codes".

    Raises
    ------
    InputError
        If the tokenizer has no processor, or another region order than the cohort.
    """

    def __init__(
        self,
        cohort_dir: Path,
        tokenizer_dir: Path,
        batch_size: int,
        device: str,
        relations: str = "codes",
    ) -> None:
        self._made_with = (cohort_dir, tokenizer_dir, batch_size, device, relations)
        self.cohort = Cohort(cohort_dir)
        tokenizer = FMRITokenizer.from_pretrained(
            tokenizer_dir, order_hash=self.cohort.order_hash, labels=self.cohort.labels
        )
        if tokenizer.processor is None:
            raise InputError(
                f"{tokenizer_dir}: the tokenizer has no processor; fit it with `fmri fit-tokenizer`"
            )
        self.processor = tokenizer.processor
        self.fingerprint = tokenizer.fingerprint
        self.tokenizer = tokenizer.to(device)
        self.batch_size, self.relations = batch_size, relations

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._made_with

    def write(self, shard: Shard) -> None:
        """Write the file of a shard."""
        rows: list[dict[str, object]] = []
        upsampled = []
        for scan in self.cohort.scans(shard.split, shard.places):
            rows += self.rows(scan)
            if self.processor.is_upsampled(len(scan.bold), scan.tr):
                upsampled.append(scan.scan_id)
        notes = {"made_of": shard.made_of, "upsampled": json.dumps(upsampled)}
        table = pa.Table.from_pylist(rows, self.schema.with_metadata(notes))
        shard.path.parent.mkdir(exist_ok=True)
        with whole_file(shard.path) as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        has_scale = self.processor.pooled_log_amplitude_ is not None
        columns = COLUMNS | (COLUMNS_OF_SCALE if has_scale else {})
        return pa.schema(columns | (COLUMNS_OF_RELATIONS if self.relations != "codes" else {}))

    def rows(self, scan: CohortScan) -> list[dict[str, object]]:
        """One row per window; the columns are those of `schema`."""
        encoded = encode_scan(
            self.tokenizer,
            scan.bold,
            scan.tr,
            scan.site,
            unit=scan.unit,
            relations=self.relations,
            batch_size=self.batch_size,
        )
        of_scan = _facts_of_scan(scan.scan_id, encoded)
        rows = [
            {**of_scan, "window": k, "codes": grid.tolist(), "new": encoded.new[k].tolist()}
            for k, grid in enumerate(encoded.codes)
        ]
        if encoded.covariance is not None:
            # N x N numbers about the whole scan: once is enough.
            rows[0]["covariance"] = encoded.covariance.tolist()
        return rows


def _facts_of_scan(scan_id: str, encoded: EncodedScan) -> dict[str, object]:
    """Columns that all windows of a scan share."""
    facts: dict[str, object] = {"scan_id": scan_id, "mask": encoded.region_mask.tolist()}
    return facts if encoded.scale is None else facts | encoded.scale._asdict()


_of_this_worker: list[ScanEncoder] = []


def _become_worker(encoder: ScanEncoder) -> None:
    torch.set_num_threads(1)
    _of_this_worker[:] = [encoder]
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent has ended, even by SIGKILL."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _write_in_worker(shard: Shard) -> None:
    _of_this_worker[0].write(shard)


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[pa.RecordBatchStreamReader]:
    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
        yield reader
