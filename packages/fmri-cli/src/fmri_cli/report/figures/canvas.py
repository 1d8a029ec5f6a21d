"""The sheet that every figure is drawn on, and its way into the page."""

import base64
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fmri_cli.screen import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1f2933"
MUTED = "#7b8794"
BLUE = "#2563a8"
ORANGE = "#c8590a"
GREY = "#9aa5b1"

_LONGEST_LABEL = 40  # characters; more would leave no room for the figure itself

# The hash salt and the bundled font make the same figure the same bytes on every machine.
_STYLE: Any = {
    "svg.hashsalt": "fmri-report",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    # Names are shown as they are: a dollar sign does not begin a formula.
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


@contextmanager
def sheet(width: float, height: float) -> Iterator["Drawing"]:
    """Hand out a blank figure, in inches; after the block its `.uri` holds the picture."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        drawing = Drawing(Figure(figsize=(width, height), layout="constrained"))
        yield drawing
        drawing.finish()


def label(name: str) -> str:
    """Name of a region, network or method as a figure can show it: on one line, not too long."""
    line = printable(" ".join(name.split()))
    return line if len(line) <= _LONGEST_LABEL else f"{line[: _LONGEST_LABEL - 1]}…"


class Drawing:
    """A matplotlib figure and, once finished, its data URI."""

    def __init__(self, figure: "Figure") -> None:
        self.figure = figure
        self.uri = ""

    def finish(self) -> None:
        """Render to SVG without a date, so that the same data give the same bytes."""
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            # A letter that the font lacks is drawn as a box; the page's text has it as it is.
            warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
            self.figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
        self.uri = f"data:image/svg+xml;base64,{encoded}"
