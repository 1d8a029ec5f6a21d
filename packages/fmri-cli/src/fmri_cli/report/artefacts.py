"""A run's stage directories, read once and handed to the sections.

Only this module opens artefacts; what it needs to know of them is in docs/formats.md.
"""

import json
from csv import DictReader
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fmri_cli.run.pipeline import STAGES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

COMMANDS = {row.directory: row.command for row in STAGES if row.command != "report"}
SPLITS = ("train", "validation", "test")
COHORT_SCHEMA = 1
UNNAMED = "unnamed"
"""Group of scans of which the cohort names neither data set nor site."""

DOMAINS = {
    "FC": "Functional connectivity",
    "gradients": "Functional gradients",
    "ICA": "Independent components",
    "graph": "Graph measures",
}


@dataclass(frozen=True)
class Run:
    """A finished run on disk; every artefact is read when it is first asked for.

    Parameters
    ----------
    root
        The run directory, with one directory a stage.

    Raises
    ------
    click.ClickException
        If a stage that the report draws on is not there.
    """

    root: Path

    def __post_init__(self) -> None:
        for stage, command in COMMANDS.items():
            if not (self.root / stage / "record.json").is_file():
                raise click.ClickException(
                    f"{self.root / stage}: no whole stage is here, and the report needs it; "
                    f"make it with `fmri {command}` or finish the run with `fmri run-all`."
                )

    def json(self, *parts: str) -> dict[str, Any]:
        """One JSON file of the run."""
        return json.loads(self._file(*parts).read_text(encoding="utf-8"))

    def json_lines(self, *parts: str) -> list[dict[str, Any]]:
        """One JSON-lines file of the run, in file order."""
        # Not splitlines: a model may write U+2028, which JSON leaves as it is.
        lines = self._file(*parts).read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines if line]

    def has(self, *parts: str) -> bool:
        """Whether the run has this file, which some runs lack."""
        return self.root.joinpath(*parts).is_file()

    def losses(self, stage: str) -> "pd.DataFrame":
        """Columns step, split, name, value of a training stage."""
        import pandas as pd

        return pd.read_csv(self._file(stage, "losses.csv"))

    @cached_property
    def cohort(self) -> dict[str, Any]:
        """`cohort.json`."""
        found = self.json("cohort", "cohort.json")
        if found["schema"] > COHORT_SCHEMA:
            raise click.ClickException(
                f"{self.root / 'cohort'}: cohort schema {found['schema']}, and this fmri-cli knows "
                f"up to {COHORT_SCHEMA}; upgrade fmri-cli."
            )
        return found

    @cached_property
    def scans(self) -> "pd.DataFrame":
        """One row per scan, without its series, in split order, then by name.

        Beside the cohort's columns: `split`, and `group`, which is the data set that the scan is
        from where the cohort names it, and otherwise its site.
        """
        import pandas as pd

        tables = [
            data.remove_columns(["bold", "mean", "std"]).to_pandas().assign(split=split)
            for split, data in self._splits.items()
        ]
        scans = pd.concat(tables, ignore_index=True)
        origin = scans["dataset"] if "dataset" in scans else scans["site"]
        return scans.assign(group=origin.fillna(UNNAMED)).sort_values(
            ["split", "scan_id"], key=_by_split_order, kind="stable", ignore_index=True
        )

    @cached_property
    def tasks(self) -> dict[str, dict[str, Any]]:
        """The resolved tasks of `instructions/tasks.json` by name."""
        return {task["name"]: task for task in self.json("instructions", "tasks.json")["tasks"]}

    @cached_property
    def network_names(self) -> tuple[str, ...]:
        """Networks in the order in which the regions first mention them, length K."""
        return tuple(dict.fromkeys(self.cohort["networks"]))

    @cached_property
    def norm_scans(self) -> list[str]:
        """Training scans that define what is typical."""
        return self.json("descriptors", "norms.json")["fitted_on"]

    def captions(self, scan_id: str) -> dict[str, str]:
        """Captions of a scan by domain, `all` for the whole scan."""
        rows = self.json_lines("descriptors", "captions.jsonl")
        return {row["domain"]: row["text"] for row in rows if row["scan_id"] == scan_id}

    def descriptors(self, scan_id: str) -> list[dict[str, Any]]:
        """Rows of `descriptors.parquet` of a scan, their `values` parsed."""
        table = self._descriptors
        columns = ("name", "domain", "text", "values")
        rows = table.loc[table["scan_id"] == scan_id, list(columns)]
        return [
            {**dict(zip(columns, row, strict=True)), "values": json.loads(row[-1])}
            for row in rows.itertuples(index=False, name=None)
        ]

    def typical_range(self, scan_id: str) -> dict[str, float]:
        """How many `features` of a scan there are, are `outside` and are `expected` outside."""
        with self._file("descriptors", "typical_range.tsv").open(
            encoding="utf-8", newline=""
        ) as file:
            row = next(row for row in DictReader(file, delimiter="\t") if row["scan_id"] == scan_id)
        return {name: float(row[name]) for name in ("features", "outside", "expected")}

    def network_connectivity(self, scan_id: str) -> "np.ndarray":
        """Mean Fisher-transformed r of a scan within and between networks, (K, K)."""
        import numpy as np
        import pandas as pd

        features = pd.read_parquet(self._file("descriptors", "features.parquet")).loc[scan_id]
        means = np.full((len(self.network_names), len(self.network_names)), np.nan)
        for i, a in enumerate(self.network_names):
            for j, b in enumerate(self.network_names[i:], start=i):
                means[i, j] = means[j, i] = features[f"fc.{a}-{b}"]
        return means

    def gradient_template(self) -> tuple["np.ndarray", float]:
        """Components (N, C) that scans are aligned to, and the sparsity of the connectivity."""
        import numpy as np

        with np.load(self._file("descriptors", "extractor.npz"), allow_pickle=False) as arrays:
            template = arrays["template"]
        settings = self.json("descriptors", "extractor.json")["settings"]
        return template, settings["gradient_sparsity"]

    def reconstruction(self) -> dict[str, "np.ndarray"]:
        """One held-out window as the tokenizer got it and gave it back."""
        import numpy as np

        with np.load(self._file("tokenizer", "reconstruction.npz"), allow_pickle=False) as kept:
            return dict(kept)

    def bold(self, scan_id: str) -> "np.ndarray":
        """Return the z-scored series (T, N) of one scan; a masked region is NaN."""
        import numpy as np

        for data in self._splits.values():
            if scan_id in (ids := data["scan_id"][:]):
                row = data.with_format("numpy")[ids.index(scan_id)]
                series = np.asarray(row["bold"], dtype=np.float32)
                masked = np.asarray(row["std"]).ravel() == 0
                return np.where(masked, np.nan, series)
        raise click.ClickException(f"scan {scan_id!r} is not in {self.root / 'cohort'}.")

    @property
    def has_groups(self) -> bool:
        """Whether the cohort names the data set or the site of any scan."""
        return bool((self.scans["group"] != UNNAMED).any())

    @property
    def categories(self) -> list[str]:
        """The phenotypes that are categories, without the one that names the data set."""
        kinds = {name: facts["kind"] for name, facts in self.cohort["phenotypes"].items()}
        return [name for name, kind in kinds.items() if kind == "category" and name != "dataset"]

    def held_out_scan(self, wanted: str | None) -> str:
        """Return the held-out scan asked for, or the first one by name."""
        held_out = self.scans.loc[self.scans["split"] == "test", "scan_id"].tolist()
        if wanted is None:
            return held_out[0]
        if wanted not in held_out:
            known = ", ".join(held_out)
            raise click.ClickException(
                f"report.scan: {wanted!r} is not a held-out scan; choose from {known}"
            )
        return wanted

    @cached_property
    def _descriptors(self) -> "pd.DataFrame":
        import pandas as pd

        return pd.read_parquet(self._file("descriptors", "descriptors.parquet"))

    @cached_property
    def _splits(self) -> dict[str, Any]:
        from datasets import load_from_disk

        loaded = load_from_disk(str(self.root / "cohort"))
        return {split: loaded[split] for split in SPLITS if split in loaded}

    def _file(self, *parts: str) -> Path:
        path = self.root.joinpath(*parts)
        if not path.is_file():
            raise click.ClickException(
                f"{path}: not here, and the report needs it; "
                f"make it again with `fmri {COMMANDS[parts[0]]}`."
            )
        return path


def _by_split_order(column: "pd.Series") -> "pd.Series":
    if column.name == "split":
        return column.map(SPLITS.index)
    return column
