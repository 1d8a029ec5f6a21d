"""Every answer about every held-out scan, with the probabilities of the candidates."""

from typing import Any

from fmri_cli.report.artefacts import Run
from fmri_cli.report.sections.base import Section
from fmri_cli.report.settings import ReportSettings

PARADIGMS = {
    "single": "one question",
    "multi": "several questions",
    "open": "open-ended",
    "context": "one question, told about the person",
}


def build(run: Run, settings: ReportSettings) -> Section:
    """Tabulate the answers by task."""
    answers = run.json_lines("evaluation", "answers.jsonl")
    shown = answers[: settings.answers]
    by_task: dict[str, list[dict[str, Any]]] = {}
    for answer in sorted(shown, key=_by_paradigm_and_scan):
        task = run.tasks[answer["task"]]
        by_task.setdefault(answer["task"], []).append(_row(answer, task["candidates"]))
    tasks = [(task, by_task[name]) for name, task in run.tasks.items() if name in by_task]
    return Section(
        anchor="answers",
        title="Answers about held-out scans",
        look_for=(
            "A model that has learnt nothing of a scan gives every scan the same answer with the "
            "same probabilities: read down a column of bars and see whether they differ between "
            "scans. An answer that names none of the candidates is shown as unparsed and counts as "
            "wrong."
        ),
        values={"tasks": tasks, "shown": len(shown), "total": len(answers)},
    )


def _by_paradigm_and_scan(answer: dict[str, Any]) -> tuple[int, str]:
    return list(PARADIGMS).index(answer["paradigm"]), answer["scan_id"]


def _row(answer: dict[str, Any], candidates: list[str]) -> dict[str, Any]:
    """One line of the table; bars in one order, whatever order the prompt had."""
    probabilities = answer["probabilities"] or {}
    return {
        "subject": answer["subject"],
        "scan": answer["scan_id"],
        "paradigm": PARADIGMS[answer["paradigm"]],
        "truth": answer["truth"],
        "answer": answer["answer"],
        "right": answer["answer"] == answer["truth"],
        "numbers": _numbers(answer),
        "text": answer["text"],
        "bars": [
            {"name": name, "percent": 100 * probabilities[name]}
            for name in candidates
            if name in probabilities
        ],
    }


def _numbers(answer: dict[str, Any]) -> str | None:
    """Tell the true and the expected number of an answer to a continuous task."""
    true, given = answer.get("true_number"), answer.get("number")
    if true is None:
        return None
    return f"true {true:.4g}" + ("" if given is None else f", expected {given:.4g}")
