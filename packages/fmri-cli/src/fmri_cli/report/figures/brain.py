"""Regions at their places in a glass brain."""

from typing import TYPE_CHECKING

import numpy as np

from fmri_cli.report.figures.canvas import sheet

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COLOURS = "RdBu_r"
_MARKER_AREA = 2600.0  # points squared, shared by the regions so that many do not hide each other


def glass_brain(values: "NDArray[np.float64]", centroids: "NDArray[np.float64]", label: str) -> str:
    """One value a region as a coloured dot at the region's centre, seen from four sides.

    Parameters
    ----------
    values
        (N,), with a natural zero; NaN where the region is masked, which is then left out.
    centroids
        (N, 3), MNI space in mm.
    label
        What the colours mean, with its unit.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from nilearn.plotting import plot_markers

    seen = np.isfinite(values)
    limit = float(np.abs(values[seen]).max())
    with sheet(9.2, 2.6) as drawing:
        figure = drawing.figure
        figure.set_layout_engine("none")  # nilearn places its own axes
        plot_markers(
            values[seen],
            centroids[seen],
            node_size=max(8.0, _MARKER_AREA / len(values)),
            node_cmap=_COLOURS,
            node_vmin=-limit,
            node_vmax=limit,
            display_mode="lyrz",
            figure=figure,
            axes=figure.add_axes((0.0, 0.0, 0.89, 1.0)),
            colorbar=False,
        )
        scale = ScalarMappable(Normalize(-limit, limit), _COLOURS)
        bar = figure.colorbar(scale, cax=figure.add_axes((0.91, 0.14, 0.012, 0.72)))
        bar.set_label(label)
    return drawing.uri
