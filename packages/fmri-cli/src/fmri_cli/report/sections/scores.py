"""The score table: the model in each paradigm, beside its baselines, with intervals."""

from collections.abc import Iterable
from typing import Any

from fmri_cli.report.artefacts import Run
from fmri_cli.report.figures.scores import ScoreRow, intervals
from fmri_cli.report.sections.answer_figures import OURS, confusion, reliability
from fmri_cli.report.sections.base import Section, listed, plural, sentence_case, span
from fmri_cli.report.sections.conclusions import BLIND, LOWER_IS_BETTER, conclusion
from fmri_cli.report.settings import ReportSettings

METRICS = {
    "mae": "MAE",
    "pearson": "Pearson r",
    "spearman": "Spearman rho",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "auc": "AUC",
    "ece": "ECE",
}
IN_A_SENTENCE = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
}
KINDS = {
    "clopper-pearson": "exact (Clopper-Pearson) for accuracies and F1 of few subjects",
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
            "else is undecided. The figure shows the main score of the task, and its dashed line "
            "that of a baseline that sees no scan: the most frequent training answer, or the "
            "training mean. AUC is 0.5 by chance; a lower MAE (mean absolute error) is better, and "
            "a lower ECE (expected calibration error: how far the probability of an answer is from "
            "how often such answers are right), which few people make larger by chance; a dash is "
            "a score that is undefined."
        ),
        values={
            "interval": f"{boot['level']:.0%}",
            "kinds": _kinds(scores["tasks"].values()),
            "resamples": f"{boot['resamples']:,}",
            "unit": boot["unit"],
            "tasks": [
                _task(task["title"], scores["tasks"][name])
                for name, task in run.tasks.items()
                if name in scores["tasks"]
            ],
        },
    )


def _task(title: str, task: dict[str, Any]) -> dict[str, Any]:
    rows, main = task["rows"], task["metric"]
    metrics = [metric for metric in METRICS if rows and metric in rows[0]]
    return {
        "title": title,
        "caveat": task["caveat"],
        "candidates": task["candidates"],
        "subjects": plural(task["n_subjects"], "held-out subject"),
        "metrics": [METRICS[metric] for metric in metrics],
        "main": METRICS[main],
        "unit": task["unit"],
        "rows": [_table_row(row, metrics) for row in rows],
        "notes": _notes(rows, metrics),
        "comparisons": [_comparison(found) for found in task["comparisons"]],
        "pairs": _pairs(task.get("pairs")),
        "figure": _figure(rows, main),
        "conclusion": conclusion(task, IN_A_SENTENCE.get(main, METRICS[main])),
        "confusion": confusion(rows, task["candidates"]),
        "reliability": reliability(rows),
    }


def _pairs(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """Rows of how often each method says which of two people is higher."""
    return found and {
        "n_pairs": plural(found["n_pairs"], "pair"),
        "n_subjects": plural(found["n_subjects"], "held-out subject"),
        "rows": [_table_row({**row, "unparsed": 0}, ["accuracy"]) for row in found["rows"]],
    }


def _figure(rows: list[dict[str, Any]], metric: str) -> str | None:
    """Draw the main score of every method that has it."""
    shown = [row for row in rows if row[metric]]
    if not shown:
        return None
    return intervals([_point(row, metric) for row in shown], _blind(shown, metric), METRICS[metric])


def _comparison(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "method": found["method"],
        "baseline": found["baseline"],
        "metric": METRICS[found["metric"]],
        "difference": f"{found['value']:+.2f}",
        "interval": f"{found['low']:+.2f} to {found['high']:+.2f}",
        "p": f"{found['p']:.3f}",
        "verdict": _verdict(found),
    }


def _verdict(found: dict[str, Any]) -> str:
    """Say which of the two is better where that is not the higher one."""
    verdict: str = found["verdict"]
    if found["metric"] not in LOWER_IS_BETTER or verdict == "undecided":
        return verdict
    return f"{verdict} ({'better' if verdict == 'lower' else 'worse'})"


def _kinds(tasks: Iterable[dict[str, Any]]) -> str:
    """How the intervals of a run were made, in words."""
    scores = [row.get(m) for task in tasks for row in task["rows"] for m in METRICS]
    found = {score["kind"] for score in scores if score}
    return listed([words for kind, words in KINDS.items() if kind in found])


def _table_row(row: dict[str, Any], metrics: list[str]) -> dict[str, Any]:
    return {
        "method": row["method"],
        "ours": row["method"].startswith(OURS),
        "unparsed": row["unparsed"],
        "cells": [with_interval(row[metric]) for metric in metrics],
    }


def _notes(rows: list[dict[str, Any]], metrics: list[str]) -> list[str]:
    """Collect why scores are undefined and how a method was set up, each once."""
    undefined = []
    for row in rows:
        names = [METRICS[metric] for metric in metrics if not row[metric]]
        reason = row.get("auc_note") or row.get("number_note")
        if names and reason:
            undefined.append(f"No {listed(names)} for {row['method']}: {reason}.")
    methods = [f"{sentence_case(row['method'])}: {row['note']}." for row in rows if row["note"]]
    return undefined + methods + [_wordings(row) for row in rows if row.get("wordings")]


def _wordings(row: dict[str, Any]) -> str:
    """How much the scores of a method depend on the wording of the question."""
    spread = row["wordings"]
    parts = []
    for metric, by_wording in spread["scores"].items():
        values = [value for value in by_wording if value is not None]
        if values:
            parts.append(f"{METRICS[metric]} {span(min(values), max(values))}")
    return (
        f"{sentence_case(row['method'])}, each of {spread['n']} wordings alone: {listed(parts)}; "
        f"{spread['same_answer']:.0%} of the scans get the same answer in all of them."
    )


def with_interval(score: dict[str, float] | None) -> tuple[str, str]:
    """`("0.50", "0.00 to 1.00")`, or dashes where the score is undefined."""
    if score is None or score["value"] is None:
        return "–", ""
    return f"{score['value']:.2f}", f"{score['low']:.2f} to {score['high']:.2f}"


def _point(row: dict[str, Any], metric: str) -> ScoreRow:
    score = row[metric]
    return ScoreRow(
        method=row["method"],
        value=score["value"],
        low=score["low"],
        high=score["high"],
        ours=row["method"].startswith(OURS),
    )


def _blind(rows: list[dict[str, Any]], metric: str) -> float | None:
    values = [row[metric]["value"] for row in rows if row["method"] in BLIND]
    return values[0] if values else None
