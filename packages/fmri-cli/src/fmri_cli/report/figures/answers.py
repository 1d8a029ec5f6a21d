"""Given answers against true ones, and their probabilities against how often they are right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fmri_cli.report.figures.canvas import BLUE, GREY, INK, MUTED, label, sheet

_LONGEST_TICK = 14  # characters of an answer; several panels share the width


@dataclass(frozen=True)
class Confusion:
    """Counts of one method, true answers by given answers; a last column is of unparsed ones."""

    method: str
    counts: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Reliability:
    """Bins of one method, each with `n`, `confidence` and `accuracy`; `ours` marks the model."""

    method: str
    bins: Sequence[Mapping[str, float]]
    ours: bool


def confusion_matrices(shown: Sequence[Confusion], answers: Sequence[str]) -> str:
    """Draw a matrix a method, shaded by the share of each true answer's scans."""
    unparsed = any(row[-1] for each in shown for row in each.counts)
    columns = [*answers, "unparsed"] if unparsed else list(answers)
    with sheet(7.6, 1.1 + 0.34 * len(answers)) as drawing:
        panels = drawing.figure.subplots(1, len(shown), squeeze=False)[0]
        for panel, each in zip(panels, shown, strict=True):
            _draw_counts(panel, each, len(columns))
            panel.set_xticks(range(len(columns)), [_tick(name) for name in columns], rotation=30)
            panel.set_xlabel("given")
        panels[0].set_yticks(range(len(answers)), [_tick(name) for name in answers])
        panels[0].set_ylabel("true")
    return drawing.uri


def _tick(answer: str) -> str:
    line = label(answer)
    return line if len(line) <= _LONGEST_TICK else f"{line[: _LONGEST_TICK - 1]}…"


def _draw_counts(panel: Any, shown: Confusion, n_columns: int) -> None:
    shares = [[count / max(1, sum(row)) for count in row[:n_columns]] for row in shown.counts]
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(shown.counts):
        for j, count in enumerate(row[:n_columns]):
            colour = "white" if shares[i][j] > 0.6 else INK
            panel.text(j, i, f"{count}", ha="center", va="center", color=colour)
    panel.set_title(label(shown.method), fontsize=7.5)
    panel.set_yticks([])
    panel.tick_params(length=0)


def reliability_diagram(shown: Sequence[Reliability]) -> str:
    """Share of right answers over their mean probability; larger points are of more answers."""
    with sheet(3.8, 3.6) as drawing:
        axes = drawing.figure.subplots()
        axes.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=0.9)
        for marker, each in zip("osD^v<>", shown, strict=False):
            x, y = ([row[key] for row in each.bins] for key in ("confidence", "accuracy"))
            total = sum(row["n"] for row in each.bins)
            colour = BLUE if each.ours else GREY
            axes.plot(x, y, color=colour, linewidth=1, alpha=0.6)
            sizes = [12 + 110 * row["n"] / total for row in each.bins]
            axes.scatter(
                x, y, s=sizes, color=colour, marker=marker, label=label(each.method), alpha=0.8
            )
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlabel("mean probability of the given answer")
        axes.set_ylabel("share of right answers")
        axes.legend(loc="upper left", markerscale=0.6, fontsize=7)
    return drawing.uri
