"""What an evaluation found: answers, the scores made of them, and the files that hold them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fmri_instruct.answers.corrections import Corrections
from fmri_instruct.evaluation.scored_answers import write_scored_answers
from fmri_instruct.scoring.answer_table import ScanAnswer
from fmri_instruct.scoring.scores import Method
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
    pairs : list of dict
        What each method says of pairs of scans, as ``pairs.jsonl`` holds it.
    corrections : Corrections or None
        What was taken out of the answers; None of several runs together.
    """

    answers: list[ScanAnswer]
    scores: dict[str, Any]
    methods: dict[str, list[Method]]
    pairs: list[dict[str, Any]] = field(default_factory=list)
    corrections: Corrections | None = None

    def write(self, directory: Path) -> None:
        """Write ``scores.json`` and ``scored-answers.jsonl``.

        Of one run also ``answers.jsonl``, ``pairs.jsonl`` and ``corrections.json``.

        Parameters
        ----------
        directory : Path
            An existing folder.
        """
        write_json(self.scores, directory / "scores.json")
        write_scored_answers(self.methods, directory)
        if self.corrections is not None:
            write_json_lines(map(asdict, self.answers), directory / "answers.jsonl")
            write_json_lines(self.pairs, directory / "pairs.jsonl")
            self.corrections.write(directory)

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
