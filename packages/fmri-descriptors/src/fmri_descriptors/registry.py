"""The 23 descriptors as one table, and the feature columns that follow from it."""

import re
from dataclasses import dataclass
from typing import get_args

from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.settings import Domain

DOMAINS: tuple[str, ...] = get_args(Domain)
ORDINALS = ("principal", "second", "third")
"""How texts call the three gradients."""


@dataclass(frozen=True)
class DescriptorRow:
    """One descriptor: what it measures and how it is written down.

    Parameters
    ----------
    name : str
        Stable name, also that of its template.
    domain : str
        One of `DOMAINS`.
    level : str
        ``"network"`` (a value a network or pair) or ``"global"`` (one value a scan).
    kind : str
        ``"value"`` (one column), ``"networks"`` (a column a network), ``"pairs"`` (a column a
        pair of networks), ``"pairs_and_within"`` (also within networks), or ``"patterns"`` (the
        extremes of another descriptor's pairs).
    column : str
        The feature column, or its stem: ``stem.Network`` or ``stem.A-B``.
    noun : str
        How a sentence calls it, in small letters.
    formula : str
        How it is computed.
    unit : str
        Unit of its values as a text writes it; empty where they have none.
    """

    name: str
    domain: str
    level: str
    kind: str
    column: str
    noun: str
    formula: str
    unit: str = ""

    @property
    def noun_with_unit(self) -> str:
        """How a sentence calls it that gives the first numbers."""
        return f"{self.noun} ({self.unit})" if self.unit else self.noun

    @property
    def ordinal(self) -> str:
        """Which gradient it is about, such as ``principal``; empty for the other domains."""
        number = self.name.removeprefix("gradient")[:1]
        return ORDINALS[int(number) - 1] if self.domain == "gradients" else ""

    @property
    def shared_template(self) -> str:
        """Name of the template that it is written with unless there is one of its own name."""
        return self.name if self.domain != "gradients" else re.sub(r"\d", "", self.name)


def _gradient_rows() -> tuple[DescriptorRow, ...]:
    rows = []
    for number, ordinal in enumerate(ORDINALS, start=1):
        stem = f"gradient{number}"
        noun = f"{ordinal} gradient"
        rows += [
            DescriptorRow(
                f"{stem}_values",
                "gradients",
                "network",
                "networks",
                stem,
                f"{noun} value",
                "mean over the network's regions of the diffusion-map gradient, aligned to "
                "gradient_template",
                "diffusion units",
            ),
            DescriptorRow(
                f"{stem}_range",
                "gradients",
                "global",
                "value",
                f"{stem}.range",
                f"{noun} range",
                "maximum minus minimum of the gradient over the regions",
                "diffusion units",
            ),
            DescriptorRow(
                f"{stem}_variance",
                "gradients",
                "global",
                "value",
                f"{stem}.variance",
                f"{noun} variance",
                "variance of the gradient over the regions",
                "squared diffusion units",
            ),
        ]
    return tuple(rows)


DESCRIPTORS: tuple[DescriptorRow, ...] = (
    DescriptorRow(
        "fc_network_pairs",
        "FC",
        "network",
        "pairs_and_within",
        "fc",
        "connectivity",
        "mean Fisher z of the Pearson correlations between (or within) networks",
        "mean Fisher z",
    ),
    DescriptorRow(
        "fc_patterns",
        "FC",
        "global",
        "patterns",
        "fc",
        "connectivity",
        "the three highest and the three lowest values of fc_network_pairs",
        "mean Fisher z",
    ),
    *_gradient_rows(),
    DescriptorRow(
        "ica_amplitude",
        "ICA",
        "network",
        "networks",
        "ica.amplitude",
        "component amplitude",
        "root mean square, over the network's regions, of its component's dual-regression map; "
        "here and below a network with several components has their mean",
        "units of the recording",
    ),
    DescriptorRow(
        "ica_variability",
        "ICA",
        "network",
        "networks",
        "ica.variability",
        "variability over time",
        "standard deviation over windows of the time course's windowed standard deviation, "
        "divided by its mean",
        "coefficient of variation",
    ),
    DescriptorRow(
        "ica_spectral_ratio",
        "ICA",
        "network",
        "networks",
        "ica.spectral_ratio",
        "spectral ratio",
        "power of the time course from ratio_low_hz to ratio_split_hz over its power from "
        "ratio_high_from_hz to ratio_high_hz",
    ),
    DescriptorRow(
        "ica_fnc",
        "ICA",
        "network",
        "pairs",
        "ica.fnc",
        "functional network connectivity",
        "Fisher z of the correlation of two networks' time courses",
        "Fisher z",
    ),
    DescriptorRow(
        "ica_falff",
        "ICA",
        "network",
        "networks",
        "ica.falff",
        "fALFF",
        "amplitude of the time course from falff_low_hz to falff_high_hz over its amplitude from "
        "0 to falff_total_hz",
    ),
    DescriptorRow(
        "ica_overall_amplitude",
        "ICA",
        "global",
        "value",
        "ica.overall_amplitude",
        "overall component amplitude",
        "mean of ica_amplitude over the networks",
        "units of the recording",
    ),
    DescriptorRow(
        "ica_overall_variability",
        "ICA",
        "global",
        "value",
        "ica.overall_variability",
        "overall variability over time",
        "mean of ica_variability over the networks",
    ),
    DescriptorRow(
        "ica_overall_spectral_ratio",
        "ICA",
        "global",
        "value",
        "ica.overall_spectral_ratio",
        "overall spectral ratio",
        "mean of ica_spectral_ratio over the networks",
    ),
    DescriptorRow(
        "graph_network_strength",
        "graph",
        "network",
        "networks",
        "graph.network_strength",
        "network strength",
        "mean over the network's regions of the summed weights of the strongest edges, which are "
        "positive unless negative_edges says otherwise",
        "sum of r",
    ),
    DescriptorRow(
        "graph_modularity",
        "graph",
        "global",
        "value",
        "graph.modularity",
        "modularity",
        "best Louvain modularity Q of the strongest edges",
    ),
    DescriptorRow(
        "graph_global_efficiency",
        "graph",
        "global",
        "value",
        "graph.global_efficiency",
        "global efficiency",
        "mean inverse shortest-path length over the strongest edges that are positive, an edge "
        "being 1 / weight long",
    ),
    DescriptorRow(
        "graph_mean_clustering",
        "graph",
        "global",
        "value",
        "graph.mean_clustering",
        "average clustering coefficient",
        "mean over the regions of the weighted clustering coefficient (Onnela; Costantini where "
        "negative edges keep their signs)",
    ),
)
"""The 23 descriptors of the paper's table 1: 2 FC, 9 gradients, 8 ICA, 4 graph."""

ABOUT_THE_SAME = frozenset(
    (f"gradient{number}_range", f"gradient{number}_variance") for number in (1, 2, 3)
)
"""Neighbours that measure the same thing, here a gradient's spread: only these are compared."""


def pairs(parcellation: Parcellation, *, within: bool) -> list[tuple[str, str]]:
    """Pairs of networks (A, B) in network order; with `within` also (A, A)."""
    names = parcellation.network_names
    return [(a, b) for i, a in enumerate(names) for b in names[i + (0 if within else 1) :]]


def row_columns(row: DescriptorRow, parcellation: Parcellation) -> dict[str, tuple[str, ...]]:
    """Feature columns that a descriptor reads.

    Parameters
    ----------
    row : DescriptorRow
        A row of `DESCRIPTORS`.
    parcellation : Parcellation
        Gives the networks.

    Returns
    -------
    dict of str to tuple of str
        Column to the networks it is about: none for a value of the whole scan, one, or two.
    """
    if row.kind == "value":
        return {row.column: ()}
    if row.kind == "networks":
        return {f"{row.column}.{name}": (name,) for name in parcellation.network_names}
    within = row.kind != "pairs"
    return {f"{row.column}.{a}-{b}": (a, b) for a, b in pairs(parcellation, within=within)}


def feature_columns(parcellation: Parcellation) -> list[str]:
    """Every feature column of a parcellation, in the order of the table, each once."""
    names = [name for row in DESCRIPTORS for name in row_columns(row, parcellation)]
    return list(dict.fromkeys(names))
