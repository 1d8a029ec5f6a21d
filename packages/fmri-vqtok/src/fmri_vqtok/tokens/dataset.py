"""Codes of every window of a cohort, as a dataset directory."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from datasets import Dataset, DatasetDict

from fmri_vqtok.config.stages import TokenizeSettings
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.json_files import write_json
from fmri_vqtok.formats.tokens import SCHEMA, read_tokens_record
from fmri_vqtok.library_logging import quiet_datasets
from fmri_vqtok.tokenizer import FMRITokenizer
from fmri_vqtok.tokens.shards import ScanEncoder, join_shards, make_shards, plan_shards

if TYPE_CHECKING:
    from fmri_vqtok.training.loop import Progress

SHARDS = "checkpoints"
"""Folder of the shards of an unfinished run; removed when the tokens are complete."""


def write_tokens(
    cohort_dir: Path,
    tokenizer_dir: Path,
    directory: Path,
    settings: TokenizeSettings,
    *,
    device: str = "cpu",
    progress: "Progress" = lambda _done, _total: None,
) -> str:
    """Write the codes of all scans, by split, with ``tokens.json`` beside them.

    Each row is a window: scan_id, window (int32), codes ((W, N) int32), mask ((N,) bool) and new
    ((W,) bool: False for a step with frames of an earlier window). All rows of a scan have its
    `fmri_vqtok.scan_scale.ScanScale` in columns of the same names, and the first one its covariance
    ((N, N) float32) where ``relations`` asks for it. Rows are made shard by shard; a killed run
    resumes from the complete shards. With several processes the calling script needs
    ``if __name__ == "__main__":``.

    Parameters
    ----------
    cohort_dir, tokenizer_dir : Path
    directory : Path
        Existing folder for the artefacts; the run resumes from shards of the same scans in it.
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
    relations = settings.relations
    encoder = ScanEncoder(cohort_dir, tokenizer_dir, settings.batch_size, device, relations)
    made_of = {
        "tokenizer": encoder.fingerprint,
        "batch_size": settings.batch_size,
        "relations": relations,
    }
    folder = directory / SHARDS
    shards = plan_shards(encoder.cohort, folder, settings.shard_scans, made_of)
    missing = [shard for shard in shards if not shard.is_complete()]
    n_scans = sum(len(shard.places) for shard in shards)
    done = n_scans - sum(len(shard.places) for shard in missing)
    for shard in make_shards(missing, encoder, settings.n_jobs):
        done += len(shard.places)
        progress(done, n_scans)
    summary = _write_dataset(directory, encoder, join_shards(shards))
    shutil.rmtree(folder)
    return summary


def check_tokens_of(tokens_dir: Path, tokenizer: FMRITokenizer) -> None:
    """Refuse tokens of another tokenizer, whose codes have another meaning.

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
    made_by = read_tokens_record(tokens_dir).get("tokenizer")
    if made_by != tokenizer.fingerprint:
        raise InputError(
            f"{tokens_dir}: its tokens were made by tokenizer {made_by}, but this is tokenizer "
            f"{tokenizer.fingerprint}; tokenize the cohort again with this one"
        )


def _write_dataset(
    directory: Path, encoder: ScanEncoder, splits: dict[str, tuple[pa.Table, list[str]]]
) -> str:
    config = encoder.tokenizer.config
    description = {
        "schema": SCHEMA,
        "tokenizer": encoder.fingerprint,
        "order_hash": encoder.cohort.order_hash,
        "n_codes": config.n_codes,
        "n_steps": config.n_steps,
        "n_regions": config.n_regions,
        "temporal_attention": config.temporal_attention,
        "relations": encoder.relations,
        "interpolated_scans": [scan for _, upsampled in splits.values() for scan in upsampled],
    }
    # A fingerprint of our own: the library's default is drawn at random.
    tables = {
        split: Dataset(table, fingerprint=f"{encoder.fingerprint}-{split}")
        for split, (table, _) in splits.items()
    }
    with quiet_datasets():
        DatasetDict(tables).save_to_disk(str(directory))
    write_json(description, directory / "tokens.json")
    n_windows = sum(len(table) for table, _ in splits.values())
    n_scans = sum(len(table["scan_id"].unique()) for table, _ in splits.values())
    return (
        f"{n_windows} windows of {n_scans} scans, {config.n_steps} x {config.n_regions} codes each"
    )
