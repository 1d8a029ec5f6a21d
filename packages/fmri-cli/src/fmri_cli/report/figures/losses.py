"""Training and validation losses, one panel a name, and then the metrics."""

import math
from typing import TYPE_CHECKING

from fmri_cli.report.figures.canvas import BLUE, ORANGE, label, sheet

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLUMNS = 3

MEASURED = {"normalised_mse": "normalised MSE", "perplexity": "codebook perplexity"}
"""Titles of the panels of metrics, which are in no total."""

NOT_DRAWN = ("codes_used", "dead_codes")
"""Numbers that repeat what the perplexity shows."""

CHANCE = "_chance"
"""How the name of a loss's chance ends, which is a line in the panel of that loss."""


def loss_curves(losses: "pd.DataFrame") -> str:
    """Every loss of a stage against the step, in the order in which the file names them.

    Numbers that are no losses come last, under titles of their own.

    Parameters
    ----------
    losses
        Columns step, split, name, value.
    """
    names = drawn_names(losses)
    columns = min(_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    with sheet(0.2 + 3 * columns, 0.5 + 2.1 * rows) as drawing:
        panels = drawing.figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, name in zip(panels, names, strict=False):
            _curve(axes, losses[losses["name"] == name], name)
            _chance_line(axes, losses[losses["name"] == f"{name}{CHANCE}"])
        for axes in panels[len(names) - columns : len(names)]:
            axes.set_xlabel("Optimiser step")
        for axes in panels[len(names) :]:
            axes.set_axis_off()
        handles, labels = panels[0].get_legend_handles_labels()
        drawing.figure.legend(handles, labels, loc="outside upper right", ncols=2)
    return drawing.uri


def drawn_names(losses: "pd.DataFrame") -> list[str]:
    """Names that have a panel: first the losses, then the metrics."""
    found = [
        name
        for name in dict.fromkeys(losses["name"])
        if name not in NOT_DRAWN and not name.endswith(CHANCE)
    ]
    return sorted(found, key=lambda name: name in MEASURED)


def _chance_line(axes: "Axes", chance: "pd.DataFrame") -> None:
    """Draw the loss at chance level, dashed, by split."""
    for split, colour in (("train", BLUE), ("validation", ORANGE)):
        part = chance[chance["split"] == split].sort_values("step", kind="stable")
        axes.plot(part["step"], part["value"], color=colour, lw=0.8, ls="--")


def _curve(axes: "Axes", losses: "pd.DataFrame", name: str) -> None:
    for split, colour, marker in (("train", BLUE, None), ("validation", ORANGE, "o")):
        part = losses[losses["split"] == split].sort_values("step", kind="stable")
        axes.plot(
            part["step"],
            part["value"],
            color=colour,
            marker=marker,
            markersize=3.5,
            lw=1.2,
            label=split,
        )
    axes.set_title(label(MEASURED.get(name, name)))
    axes.locator_params(axis="x", integer=True)
