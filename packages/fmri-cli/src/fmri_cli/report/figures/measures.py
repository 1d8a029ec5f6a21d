"""What was measured on one scan: connectivity by network and gradients region by region."""

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fmri_cli.report.figures.canvas import BLUE, GREY, INK, MUTED, ORANGE, label, sheet
from fmri_cli.report.figures.networks import NetworkOrder, label_networks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ORDINALS = ("Principal", "Second", "Third")


def network_connectivity(means: NDArray[np.float64], names: tuple[str, ...]) -> str:
    """Mean Fisher-transformed r within and between networks, written into the cells.

    Parameters
    ----------
    means
        (K, K), symmetric; NaN where a pair has no usable edge.
    names
        The K networks.
    """
    limit = float(np.nanmax(np.abs(means)))
    with sheet(6.6, 5.4) as drawing:
        axes = drawing.figure.subplots()
        image = axes.imshow(means, cmap="RdBu_r", vmin=-limit, vmax=limit)
        for row, column in np.argwhere(np.isfinite(means)):
            value = means[row, column]
            colour = "white" if abs(value) > 0.65 * limit else INK
            axes.text(
                column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour
            )
        shown = list(map(label, names))
        axes.set_xticks(range(len(names)), shown, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), shown)
        axes.tick_params(length=0)
        bar = drawing.figure.colorbar(image, ax=axes, shrink=0.85, pad=0.02)
        bar.set_label("Mean Fisher-transformed r")
    return drawing.uri


def gradients(maps: NDArray[np.float64], template: NDArray[np.float64], order: NetworkOrder) -> str:
    """Three gradients of a scan, a dot a region, beside the network means of the template.

    Parameters
    ----------
    maps
        Gradients of the scan (N, 3), aligned to the template; NaN where masked.
    template
        Gradients of the template (N, 3).
    order
        Regions by network.
    """
    with sheet(9.2, 5.6) as drawing:
        panels = drawing.figure.subplots(3, 1, sharex=True)
        for axes, gradient, reference, ordinal in zip(
            panels, maps.T, template.T, _ORDINALS, strict=True
        ):
            axes.axhline(0, color=GREY, linewidth=0.6)
            axes.scatter(
                np.arange(len(gradient)), gradient[order.regions], s=7, color=BLUE, label="region"
            )
            _draw_means(axes, gradient, order, BLUE, "mean of the scan")
            _draw_means(axes, reference, order, ORANGE, "mean of the template")
            for edge in order.inner_edges:
                axes.axvline(edge, color=MUTED, linewidth=0.5)
            axes.set_ylabel(ordinal)
            axes.margins(x=0.005)
        label_networks(panels[-1].xaxis, order, rotation=35)
        drawing.figure.supylabel("Gradient (diffusion units)", fontsize=9)
        handles, names = panels[0].get_legend_handles_labels()
        drawing.figure.legend(handles, names, loc="outside upper right", ncols=3)
    return drawing.uri


def _draw_means(
    axes: "Axes", values: NDArray[np.float64], order: NetworkOrder, colour: str, label: str
) -> None:
    ordered = values[order.regions]
    means, lows, highs = [], [], []
    for low, high in pairwise(order.edges):
        if np.isfinite(ordered[low:high]).any():
            means.append(np.nanmean(ordered[low:high]))
            lows.append(low - 0.5)
            highs.append(high - 0.5)
    axes.hlines(means, lows, highs, color=colour, linewidth=1.8, label=label)
