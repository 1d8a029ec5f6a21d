"""The score table: the model in each paradigm, beside its baselines, with intervals."""

from collections.abc import Iterable
from typing import Any

from fmri_cli.report.artefacts import Run
from fmri_cli.report.figures.scores import ScoreRow, intervals
from fmri_cli.report.sections.base import Section, listed, plural, sentence_case
from fmri_cli.report.settings import ReportSettings

METRICS = {"accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy", "auc": "AUC"}
MAJORITY = "majority class"
OURS = "fMRI-LM"
KINDS = {
    "clopper-pearson": "exact (Clopper-Pearson) for accuracies of few subjects",
    "newcombe": "Newcombe's score interval for areas of few subjects",
    "bootstrap": "percentiles of resampled subjects",
}


def build(run: Run, settings: ReportSettings) -> Section:  # noqa: ARG001
    """One table and one figure a task."""
    scores = run.json("evaluation", "scores.json")
    boot = scores["bootstrap"]
    return Section(
        anchor="scores",
        title="Scores",
        look_for=(
            "The second table sets the model against each baseline on the same people. It says "
            "higher or lower only where the interval of the difference leaves zero out and a "
            "difference of that size is rare among answers exchanged between the two; anything "
            "else is undecided. The dashed line is the accuracy of always giving the most frequent "
            "training answer. AUC is 0.5 by chance, and a dash where it is undefined."
        ),
        values={
            "interval": f"{boot['level']:.0%}",
            "kinds": _kinds(scores["tasks"].values()),
            "resamples": f"{boot['resamples']:,}",
            "unit": boot["unit"],
            "metrics": METRICS,
            "tasks": [
                _task(task["title"], scores["tasks"][name])
                for name, task in run.tasks.items()
                if name in scores["tasks"]
            ],
        },
    )


def _task(title: str, task: dict[str, Any]) -> dict[str, Any]:
    rows = task["rows"]
    return {
        "title": title,
        "caveat": task["caveat"],
        "candidates": task["candidates"],
        "subjects": plural(task["n_subjects"], "held-out subject"),
        "rows": [_table_row(row) for row in rows],
        "notes": _notes(rows),
        "comparisons": [_comparison(found) for found in task["comparisons"]],
        "figure": intervals([_point(row) for row in rows], _majority(rows)) if rows else None,
    }


def _comparison(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "method": found["method"],
        "baseline": found["baseline"],
        "metric": METRICS[found["metric"]],
        "difference": f"{found['value']:+.2f}",
        "interval": f"{found['low']:+.2f} to {found['high']:+.2f}",
        "p": f"{found['p']:.3f}",
        "verdict": found["verdict"],
    }


def _kinds(tasks: Iterable[dict[str, Any]]) -> str:
    """How the intervals of a run were made, in words."""
    found = {row[m]["kind"] for task in tasks for row in task["rows"] for m in METRICS if row[m]}
    return listed([words for kind, words in KINDS.items() if kind in found])


def _table_row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "method": row["method"],
        "ours": row["method"].startswith(OURS),
        "unparsed": row["unparsed"],
        "cells": [with_interval(row[metric]) for metric in METRICS],
    }


def _notes(rows: list[dict[str, Any]]) -> list[str]:
    """Collect why an AUC is undefined and how a method was set up, each once."""
    undefined = [
        f"No AUC for {row['method']}: {row['auc_note']}." for row in rows if not row["auc"]
    ]
    methods = [f"{sentence_case(row['method'])}: {row['note']}." for row in rows if row["note"]]
    return undefined + methods


def with_interval(score: dict[str, float] | None) -> tuple[str, str]:
    """`("0.50", "0.00 to 1.00")`, or dashes where the score is undefined."""
    if score is None or score["value"] is None:
        return "–", ""
    return f"{score['value']:.2f}", f"{score['low']:.2f} to {score['high']:.2f}"


def _point(row: dict[str, Any]) -> ScoreRow:
    accuracy = row["accuracy"]
    return ScoreRow(
        method=row["method"],
        value=accuracy["value"],
        low=accuracy["low"],
        high=accuracy["high"],
        ours=row["method"].startswith(OURS),
    )


def _majority(rows: list[dict[str, Any]]) -> float | None:
    values = [row["accuracy"]["value"] for row in rows if row["method"] == MAJORITY]
    return values[0] if values else None
