"""The signal that went into the tokenizer against the signal that came out."""

from dataclasses import dataclass

import numpy as np

from fmri_cli.report.figures.canvas import GREY, ORANGE, label, sheet


@dataclass(frozen=True)
class Window:
    """One held-out window: `signal` and `reconstruction` (T, N), `tr` in seconds, N `labels`."""

    signal: np.ndarray
    reconstruction: np.ndarray
    tr: float
    labels: list[str]

    def errors(self) -> np.ndarray:
        """Squared error over squared signal of each region (N,); NaN where the signal is zero."""
        squared = ((self.signal - self.reconstruction) ** 2).sum(axis=0)
        size = (self.signal**2).sum(axis=0)
        return np.divide(squared, size, out=np.full_like(squared, np.nan), where=size > 0)


def spread_by_error(errors: np.ndarray, count: int) -> list[int]:
    """Choose `count` regions evenly spread over the ranking from best to worst error."""
    ranked = np.argsort(errors, kind="stable")[: np.isfinite(errors).sum()]
    places = np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int)
    return [int(region) for region in ranked[places]]


def reconstruction(window: Window, count: int) -> str:
    """Signal and reconstruction of `count` regions, best-reconstructed first."""
    errors = window.errors()
    regions = spread_by_error(errors, count)
    seconds = np.arange(len(window.signal)) * window.tr
    with sheet(9.2, 0.6 + 1.15 * len(regions)) as drawing:
        panels = drawing.figure.subplots(len(regions), 1, sharex=True, sharey=True, squeeze=False)
        for axes, region in zip(panels[:, 0], regions, strict=True):
            axes.plot(seconds, window.signal[:, region], color=GREY, lw=1.4, label="signal")
            axes.plot(
                seconds,
                window.reconstruction[:, region],
                color=ORANGE,
                lw=1.2,
                label="reconstruction",
            )
            axes.set_title(f"{label(window.labels[region])}, normalised MSE {errors[region]:.2f}")
            axes.margins(x=0.01)
        drawing.figure.supylabel("BOLD (normalised, no unit)", fontsize=9)
        panels[-1, 0].set_xlabel("Time in the window (s)")
        handles, names = panels[0, 0].get_legend_handles_labels()
        drawing.figure.legend(handles, names, loc="outside upper right", ncols=2)
    return drawing.uri
