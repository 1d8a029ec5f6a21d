"""What an evaluation found: answers, the scores made of them, and the files that hold them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fmri_instruct.evaluation.answer_table import ScanAnswer
from fmri_instruct.evaluation.predictions import write_predictions
from fmri_instruct.evaluation.scores import Method
from fmri_instruct.tasks.kinds import METRIC_NAMES
from fmri_vqtok.formats.json_files import write_json, write_json_lines

__all__ = ["Results"]

SUMMARISED = (
    "majority class",
    "training mean",
    "connectome + logistic regression",
    "connectome + ridge regression",
)
"""Baselines that the summary shows beside the model."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """What an evaluation found.

    Parameters
    ----------
    answers : list of ScanAnswer
        The model's, scan by scan.
    scores : dict
        As ``scores.json`` holds them.
    methods : dict of str to list of Method
        By task, the answers that each row is scored from.
    """

    answers: list[ScanAnswer]
    scores: dict[str, Any]
    methods: dict[str, list[Method]] = field(default_factory=dict)

    def write(self, directory: Path) -> None:
        """Write ``scores.json``, ``predictions.jsonl`` and, of one run, ``answers.jsonl``.

        Parameters
        ----------
        directory : Path
            An existing folder.
        """
        if self.answers:
            write_json_lines(map(asdict, self.answers), directory / "answers.jsonl")
        write_predictions(self.methods, directory)
        write_json(self.scores, directory / "scores.json")

    def summary(self) -> str:
        """Return one line: by task, the main score of the model and of each baseline."""
        by_head: dict[str, list[str]] = {}
        for name, entry in self.scores["tasks"].items():
            simple = "training mean" if entry["kind"] == "continuous" else "majority class"
            head = f"{METRIC_NAMES[entry['metric']]} of model / {simple} / connectome"
            by_head.setdefault(head, []).append(f"{name} {_main_scores(entry)}")
        return "; ".join(f"{head}: {', '.join(found)}" for head, found in by_head.items())


def _main_scores(entry: Mapping[str, Any]) -> str:
    rows = entry["rows"]
    shown = [*rows[:1], *(row for row in rows if row["method"] in SUMMARISED)]
    scores = [row[entry["metric"]] for row in shown]
    return " / ".join(f"{s['value']:.2f}" if s else "undefined" for s in scores) or "no label"
