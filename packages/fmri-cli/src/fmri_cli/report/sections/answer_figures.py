"""The figures of answers in the score section, each with its text."""

from dataclasses import dataclass
from typing import Any

from fmri_cli.report.figures.answers import (
    Confusion,
    Reliability,
    confusion_matrices,
    reliability_diagram,
)
from fmri_cli.report.sections.base import listed, sentence_case
from fmri_cli.report.sections.conclusions import SHUFFLED

OURS = "fMRI-LM"
"""What the names of the model's own rows begin with."""


@dataclass(frozen=True)
class Figure:
    """A picture, and what it shows in words."""

    uri: str
    alt: str


def confusion(rows: list[dict[str, Any]], answers: list[str]) -> Figure | None:
    """Given answers by true ones, of the model and of the connectome."""
    shown = [Confusion(row["method"], row["confusion"]) for row in rows if _is_drawn(row)]
    if not shown:
        return None
    alt = " ".join(f"{sentence_case(each.method)}: {_in_words(each, answers)}." for each in shown)
    return Figure(confusion_matrices(shown, answers), alt)


def _in_words(shown: Confusion, answers: list[str]) -> str:
    """Say how the scans of each true answer were answered."""
    names = [*answers, "unparsed"]
    parts = []
    for true, row in zip(answers, shown.counts, strict=True):
        given = [f"{n} as {name}" for n, name in zip(row, names, strict=True) if n]
        if given:
            parts.append(f"of {sum(row)} truly {true}, {listed(given)}")
    return "; ".join(parts)


def reliability(rows: list[dict[str, Any]]) -> Figure | None:
    """How often answers of each probability are right, of the model and of the connectome."""
    shown = [
        Reliability(row["method"], row["reliability"], row["method"].startswith(OURS))
        for row in rows
        if _is_drawn(row) and row["reliability"]
    ]
    if not shown:
        return None
    alt = " ".join(f"{sentence_case(each.method)}: {_bins_in_words(each)}." for each in shown)
    return Figure(reliability_diagram(shown), alt)


def _bins_in_words(shown: Reliability) -> str:
    return "; ".join(
        f"{row['n']} given at a mean probability of {row['confidence']:.2f}, "
        f"{row['accuracy']:.0%} right"
        for row in shown.bins
    )


def _is_drawn(row: dict[str, Any]) -> bool:
    """Whether a method is one of those whose answers are drawn one by one."""
    name = row["method"]
    ours = name.startswith(OURS) and not name.endswith(SHUFFLED)
    return "confusion" in row and (ours or name.startswith("connectome +"))
