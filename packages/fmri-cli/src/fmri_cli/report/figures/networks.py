"""Regions grouped by network: the order, and the marks on an axis."""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fmri_cli.report.figures.canvas import label

if TYPE_CHECKING:
    from matplotlib.axis import Axis


@dataclass(frozen=True)
class NetworkOrder:
    """Regions sorted by network, networks in the order in which the parcellation names them.

    Parameters
    ----------
    regions
        Indices (N,) that sort the regions.
    names
        The networks.
    edges
        Where each network begins in the sorted order, and the end: one more than `names`.
    """

    regions: np.ndarray
    names: tuple[str, ...]
    edges: tuple[int, ...]

    @classmethod
    def of(cls, networks: list[str]) -> "NetworkOrder":
        """Order regions, given one network name per region."""
        names = tuple(dict.fromkeys(networks))
        rank = np.array([names.index(network) for network in networks])
        counts = np.bincount(rank, minlength=len(names))
        edges = (0, *(int(edge) for edge in np.cumsum(counts)))
        return cls(np.argsort(rank, kind="stable"), names, edges)

    @property
    def middles(self) -> list[float]:
        """The middle of each network, in image coordinates."""
        return [(low + high - 1) / 2 for low, high in pairwise(self.edges)]

    @property
    def inner_edges(self) -> list[float]:
        """The lines between networks, in image coordinates."""
        return [edge - 0.5 for edge in self.edges[1:-1]]


def label_networks(axis: "Axis", order: NetworkOrder, rotation: float = 0) -> None:
    """Write each network's name at its middle."""
    axis.set_ticks(order.middles)
    axis.set_ticklabels(
        list(map(label, order.names)),
        rotation=rotation,
        ha="right",
        rotation_mode="anchor" if rotation else None,
    )
    axis.set_tick_params(length=0)
