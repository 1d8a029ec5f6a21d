"""Small cohort and descriptor folders in the written format, made with datasets and pandas."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict
from datasets.utils.logging import disable_progress_bar

disable_progress_bar()

SPLITS = ("train", "validation", "test")
FEATURES = ("graph.network_strength.Visual", "graph.mean_clustering")


@dataclass(frozen=True)
class Row:
    """One scan of a made-up cohort."""

    scan_id: str
    subject: str
    split: str
    bold: np.ndarray
    z: Mapping[str, float]
    phenotypes: Mapping[str, object] = field(default_factory=dict)


def made_up_rows(
    n_subjects: int = 12, n_regions: int = 5, seed: int = 0, scans_each: int = 1
) -> list[Row]:
    """Subjects by turns younger and older, a half, a sixth and a third of them per split."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n_subjects):
        split = SPLITS[int(i >= n_subjects // 2) + int(i >= n_subjects * 2 // 3)]
        for visit in range(scans_each):
            n_frames = 40 + 20 * (i % 2)
            rows.append(
                Row(
                    scan_id=f"sub-{i:02d}_ses-{visit}",
                    subject=f"sub-{i:02d}",
                    split=split,
                    bold=rng.normal(size=(n_frames, n_regions)),
                    z=dict(zip(FEATURES, rng.normal(0, 1.5, size=2), strict=True)),
                    phenotypes={"age_group": ("older", "younger")[i % 2]},
                )
            )
    return rows


def write_cohort(rows: Sequence[Row], directory: Path, schema: int = 1) -> Path:
    splits = {
        split: Dataset.from_list([_record(row) for row in rows if row.split == split])
        for split in SPLITS
        if any(row.split == split for row in rows)
    }
    DatasetDict(splits).save_to_disk(str(directory))
    n_regions = rows[0].bold.shape[1]
    document = {
        "schema": schema,
        "parcellation": "five",
        "order_hash": "five",
        "n_regions": n_regions,
        "labels": [f"region {n}" for n in range(n_regions)],
    }
    (directory / "cohort.json").write_text(json.dumps(document))
    return directory


def write_descriptors(rows: Sequence[Row], directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    table = pd.DataFrame(
        [{"split": row.split, **row.z} for row in rows],
        index=pd.Index([row.scan_id for row in rows], name="scan_id"),
    )
    table.to_parquet(directory / "zscores.parquet")
    return directory


def _record(row: Row) -> dict[str, object]:
    spread = row.bold.std(axis=0)
    alive = spread > 0
    scaled = np.where(alive, (row.bold - row.bold.mean(axis=0)) / np.where(alive, spread, 1), 0)
    return {
        "sub": row.subject,
        "ses": "",
        "site": "here",
        "path": f"{row.scan_id}.npy",
        "start": 0,
        "end": len(row.bold),
        "n_frames": len(row.bold),
        "tr": np.float32(2.0),
        "bold": scaled.astype(np.float16).tolist(),
        "mean": row.bold.mean(axis=0, keepdims=True).astype(np.float32).tolist(),
        "std": spread[None].astype(np.float32).tolist(),
        "scan_id": row.scan_id,
        **row.phenotypes,
    }


def write_tokens(
    rows: Sequence[Row],
    directory: Path,
    n_windows: int = 2,
    n_steps: int = 2,
    tokenizer: str = "made up",
) -> Path:
    """Tokens in which every code of a scan is the scan's place in the order of scan ids."""
    place = {scan_id: k for k, scan_id in enumerate(sorted(row.scan_id for row in rows))}
    n_regions = rows[0].bold.shape[1]
    splits = {
        split: Dataset.from_list(
            [
                {
                    "scan_id": row.scan_id,
                    "window": np.int32(window),
                    "codes": np.full((n_steps, n_regions), place[row.scan_id], np.int32).tolist(),
                    "mask": [True] * n_regions,
                }
                for row in rows
                if row.split == split
                for window in range(n_windows)
            ]
        )
        for split in SPLITS
    }
    DatasetDict(splits).save_to_disk(str(directory))
    sizes = {"n_codes": len(rows), "n_steps": n_steps, "n_regions": n_regions}
    document = {"schema": 1, "tokenizer": tokenizer, "order_hash": "five", **sizes}
    (directory / "tokens.json").write_text(json.dumps(document))
    return directory
