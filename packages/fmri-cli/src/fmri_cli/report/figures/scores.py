"""Scores as points with their intervals, one row a method."""

from dataclasses import dataclass

from fmri_cli.report.figures.canvas import BLUE, GREY, MUTED, label, sheet


@dataclass(frozen=True)
class ScoreRow:
    """One method's score with its interval; `ours` marks the model against its baselines."""

    method: str
    value: float
    low: float
    high: float
    ours: bool


def intervals(rows: list[ScoreRow], reference: float | None, name: str) -> str:
    """Scores as points with intervals; a dashed line at `reference`, a baseline without a scan."""
    with sheet(7.6, 0.75 + 0.32 * len(rows)) as drawing:
        axes = drawing.figure.subplots()
        if reference is not None:
            axes.axvline(reference, color=MUTED, linestyle="--", linewidth=0.9)
        for place, row in enumerate(rows):
            colour = BLUE if row.ours else GREY
            axes.plot([row.low, row.high], [place, place], color=colour, lw=2.4, alpha=0.55)
            axes.plot([row.value], [place], "o", color=colour, markersize=6)
        axes.set_yticks(range(len(rows)), [label(row.method) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(*_limits(rows))
        axes.set_xlabel(name)
        axes.tick_params(axis="y", length=0)
    return drawing.uri


def _limits(rows: list[ScoreRow]) -> tuple[float, float]:
    """Return the ends of the axis: 0 and 1, or further out where a score goes beyond."""
    low, high = min(0.0, *(row.low for row in rows)), max(1.0, *(row.high for row in rows))
    return low - 0.03 * (high - low), high + 0.03 * (high - low)
