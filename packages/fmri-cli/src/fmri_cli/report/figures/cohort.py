"""One scan as a carpet, and its correlation matrix."""

from typing import TYPE_CHECKING

import numpy as np

from fmri_cli.report.figures.canvas import sheet
from fmri_cli.report.figures.networks import NetworkOrder, label_networks

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

_MASKED = "#e3d9c6"


def carpet(series: np.ndarray, tr: float, order: NetworkOrder) -> str:
    """All regions over time, ordered by network.

    Parameters
    ----------
    series
        z-scored BOLD (T, N); NaN where masked.
    tr
        Repetition time in seconds.
    order
        Regions by network.
    """
    with sheet(9.2, 4.4) as drawing:
        axes = drawing.figure.subplots()
        frames, regions = series.shape
        image = axes.imshow(
            series.T[order.regions],
            cmap=_with_masked("gray"),
            vmin=-2,
            vmax=2,
            aspect="auto",
            interpolation="none",
            extent=(0, frames * tr, regions - 0.5, -0.5),
        )
        for edge in order.inner_edges:
            axes.axhline(edge, color="#e08a1e", linewidth=0.9)
        label_networks(axes.yaxis, order)
        axes.set_xlabel("Time (s)")
        axes.set_ylabel(f"{regions} regions by network")
        bar = drawing.figure.colorbar(image, ax=axes, aspect=30, pad=0.01, ticks=[-2, -1, 0, 1, 2])
        bar.set_label("BOLD (z over time, cut at ±2)")
    return drawing.uri


def connectivity(series: np.ndarray, order: NetworkOrder) -> str:
    """Pearson correlation of every pair of regions, ordered by network; series (T, N)."""
    with sheet(7.2, 6.1) as drawing:
        axes = drawing.figure.subplots()
        with np.errstate(invalid="ignore"):
            matrix = np.corrcoef(series[:, order.regions], rowvar=False)
        image = axes.imshow(
            matrix, cmap=_with_masked("RdBu_r"), vmin=-1, vmax=1, interpolation="none"
        )
        for edge in order.inner_edges:
            axes.axhline(edge, color="black", linewidth=0.7)
            axes.axvline(edge, color="black", linewidth=0.7)
        label_networks(axes.yaxis, order)
        label_networks(axes.xaxis, order, rotation=45)
        bar = drawing.figure.colorbar(
            image, ax=axes, shrink=0.85, pad=0.02, ticks=[-1, -0.5, 0, 0.5, 1]
        )
        bar.set_label("Pearson correlation r")
    return drawing.uri


def _with_masked(name: str) -> "Colormap":
    import matplotlib as mpl

    return mpl.colormaps[name].with_extremes(bad=_MASKED)
