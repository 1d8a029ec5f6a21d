"""Codes of every window of a cohort, as a dataset directory."""

import json
from pathlib import Path

import pyarrow as pa
import torch
from datasets import Dataset, DatasetDict

from fmri_vqtok.cohort_reader import Cohort, CohortScan
from fmri_vqtok.errors import InputError
from fmri_vqtok.processor import TimeSeriesProcessor
from fmri_vqtok.quiet import quiet_datasets
from fmri_vqtok.reading import read_description
from fmri_vqtok.settings import TokenizeSettings
from fmri_vqtok.tokenizer import FMRITokenizer
from fmri_vqtok.training_loop import Progress

SCHEMA = 1
"""Newest layout of ``tokens.json`` that this version reads, and the one it writes."""


def write_tokens(
    cohort_dir: Path,
    tokenizer_dir: Path,
    directory: Path,
    settings: TokenizeSettings,
    *,
    device: str = "cpu",
    progress: Progress = lambda _done, _total: None,
) -> str:
    """Write the codes of all scans, by split, with ``tokens.json`` beside them.

    Each row is a window: scan_id, window (int32), codes ((W, N) int32) and mask ((N,) bool).

    Parameters
    ----------
    cohort_dir, tokenizer_dir : Path
    directory : Path
        Existing folder for the artefacts.
    settings : TokenizeSettings
    device : str, default="cpu"
    progress : callable, optional
        ``progress(done, total)`` over the scans.

    Returns
    -------
    str
        One line about the result.

    Raises
    ------
    InputError
        If the tokenizer has no processor, or another region order than the cohort.
    """
    cohort = Cohort(cohort_dir)
    tokenizer = FMRITokenizer.from_pretrained(
        tokenizer_dir, order_hash=cohort.order_hash, labels=cohort.labels
    )
    writer = _TokenWriter(tokenizer.to(device), tokenizer_dir, settings.batch_size)
    scans = [(split, scan) for split in cohort.splits() for scan in cohort.scans(split)]
    for done, (split, scan) in enumerate(scans, start=1):
        writer.add(split, scan)
        progress(done, len(scans))
    return writer.write(directory, cohort)


def check_tokens_of(tokens_dir: Path, tokenizer: FMRITokenizer) -> None:
    """Refuse tokens that another tokenizer made: the same code would mean something else.

    Parameters
    ----------
    tokens_dir : Path
        Folder that `write_tokens` wrote.
    tokenizer : FMRITokenizer

    Raises
    ------
    InputError
        If the folder holds no tokens, or those of another tokenizer.
    """
    made_by = read_description(
        tokens_dir / "tokens.json", SCHEMA, "give the folder that `fmri tokenize` wrote"
    ).get("tokenizer")
    if made_by != tokenizer.fingerprint:
        raise InputError(
            f"{tokens_dir}: its tokens are those of tokenizer {made_by}, but this is tokenizer "
            f"{tokenizer.fingerprint}; tokenize the cohort again with this one"
        )


class _TokenWriter:
    """Collects the rows of each split and writes them whole."""

    def __init__(self, tokenizer: FMRITokenizer, tokenizer_dir: Path, batch_size: int) -> None:
        self.tokenizer = tokenizer
        self.processor = _processor_of(tokenizer, tokenizer_dir)
        self.batch_size = batch_size
        self.fingerprint = tokenizer.fingerprint
        self.rows: dict[str, list[dict[str, object]]] = {}
        self.stretched: list[str] = []

    @torch.no_grad()
    def add(self, split: str, scan: CohortScan) -> None:
        windows, mask = self.processor(scan.bold, scan.tr, scan.site)
        if self.processor.stretches(len(scan.bold), scan.tr):
            self.stretched.append(scan.scan_id)
        device = next(self.tokenizer.parameters()).device
        batches = [batch.to(device) for batch in windows.split(self.batch_size)]
        present = mask.to(device)
        codes = torch.cat([self.tokenizer.encode(batch, present).codes for batch in batches]).cpu()
        self.rows.setdefault(split, []).extend(
            {
                "scan_id": scan.scan_id,
                "window": window,
                "codes": grid.tolist(),
                "mask": mask.tolist(),
            }
            for window, grid in enumerate(codes)
        )

    def write(self, directory: Path, cohort: Cohort) -> str:
        config = self.tokenizer.config
        description = {
            "schema": SCHEMA,
            "tokenizer": self.fingerprint,
            "order_hash": cohort.order_hash,
            "n_codes": config.n_codes,
            "n_steps": config.n_steps,
            "n_regions": config.n_regions,
            "temporal_attention": config.temporal_attention,
            "interpolated_scans": self.stretched,
        }
        splits = {
            split: _dataset(rows, f"{self.fingerprint}-{split}")
            for split, rows in self.rows.items()
        }
        with quiet_datasets():
            DatasetDict(splits).save_to_disk(str(directory))
        text = json.dumps(description, indent=2, sort_keys=True)
        (directory / "tokens.json").write_text(text + "\n", encoding="utf-8")
        n_windows = sum(len(rows) for rows in self.rows.values())
        n_scans = sum(len({row["scan_id"] for row in rows}) for rows in self.rows.values())
        return (
            f"{n_windows} windows of {n_scans} scans, {config.n_steps} x {config.n_regions} "
            f"codes each"
        )


def _dataset(rows: list[dict[str, object]], fingerprint: str) -> Dataset:
    schema = pa.schema(
        {
            "scan_id": pa.string(),
            "window": pa.int32(),
            "codes": pa.list_(pa.list_(pa.int32())),
            "mask": pa.list_(pa.bool_()),
        }
    )
    # A fingerprint of our own: the library's default is drawn at random.
    return Dataset(pa.Table.from_pylist(rows, schema=schema), fingerprint=fingerprint)


def _processor_of(tokenizer: FMRITokenizer, directory: Path) -> TimeSeriesProcessor:
    if tokenizer.processor is None:
        raise InputError(
            f"{directory}: the tokenizer has no processor; fit it with `fmri fit-tokenizer`"
        )
    return tokenizer.processor
