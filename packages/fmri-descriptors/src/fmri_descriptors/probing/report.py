"""``evaluation.json`` as a page to read."""

from collections.abc import Mapping
from typing import Any

_TITLES = {
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "r2": "R2",
    "mae": "mean absolute error",
}


def markdown(document: Mapping[str, Any]) -> str:
    """Return an evaluation as Markdown: what was predicted, a table, how to read it.

    Parameters
    ----------
    document : mapping
        Content of ``evaluation.json``.
    """
    names = [name for name in _TITLES if name in document["rows"][0]]
    lines = [
        f"# Is {document['target']} in the texts?",
        "",
        _scans(document),
        "",
        f"| method | {' | '.join(_TITLES[name] for name in names)} | what it does |",
        "|---" * (len(names) + 2) + "|",
        *(
            f"| {row['method']} | {' | '.join(_cell(row[name]) for name in names)} "
            f"| {row['note']} |"
            for row in document["rows"]
        ),
        "",
        _reading(document),
    ]
    return "\n".join(lines) + "\n"


def _scans(document: Mapping[str, Any]) -> str:
    classes = ", ".join(f"{count} {name}" for name, count in document["classes"].items())
    left = document["n_without_target"]
    spread = " and ".join(document["stratified_by"]) or "nothing"
    return (
        f"{document['n_scans']} scans of {document['n_subjects']} subjects"
        + (f" ({classes})" if classes else "")
        + (f"; {left} scans without a value are left out" if left else "")
        + f". {document['folds']} folds by subject, stratified by {spread}"
        + (f", drawn {document['repeats']} times." if document["repeats"] > 1 else ".")
    )


def _cell(score: Mapping[str, Any]) -> str:
    if score["value"] is None:
        return "undefined"
    if score["low"] is None or score["high"] is None:
        return f"{score['value']:.3f}"
    by_repeat = [value for value in score["by_repeat"] if value is not None]
    spread = f", {min(by_repeat):.3f} to {max(by_repeat):.3f}" if len(by_repeat) > 1 else ""
    return f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]{spread}"


def _reading(document: Mapping[str, Any]) -> str:
    level = document["bootstrap"]["level"]
    text = f"In brackets: {100 * level:g} % intervals, {_kinds(document)}. "
    if document["repeats"] > 1:
        text += (
            "Scores are means over the draws of the folds; behind the brackets, the lowest and "
            "the highest of these. "
        )
    if document["kind"] == "category":
        return text + "AUC compares scans of the same fold; 0.5 is chance."
    return text + "R2 is against the mean of the training scans, so 0 is what that mean reaches."


def _kinds(document: Mapping[str, Any]) -> str:
    scores = [value for row in document["rows"] for value in row.values()]
    kinds = {score["kind"] for score in scores if isinstance(score, Mapping)}
    resampled = (
        f"from {document['bootstrap']['resamples']} bootstrap resamples of the subjects, with the "
        "models as they are; how much the models vary is left out, so they are too narrow near "
        "chance"
    )
    if kinds == {"bootstrap"}:
        return resampled
    exact = (
        "exact for the few subjects there are (Clopper-Pearson; Newcombe for the AUC), with the "
        "models as they are"
    )
    return exact if "bootstrap" not in kinds else f"{exact}; others {resampled}"
