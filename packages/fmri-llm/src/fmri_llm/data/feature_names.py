"""Measures of a scan, by the names of their columns, in words."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

__all__ = ["domain", "networks_of", "phrase"]

_STRENGTH = "graph.network_strength."

_WHOLE_SCAN = MappingProxyType(
    {
        "gradient1.range": "the range of the principal gradient",
        "gradient1.variance": "the variance of the principal gradient",
        "gradient2.range": "the range of the second gradient",
        "gradient2.variance": "the variance of the second gradient",
        "gradient3.range": "the range of the third gradient",
        "gradient3.variance": "the variance of the third gradient",
        "ica.overall_amplitude": "the overall component amplitude",
        "ica.overall_variability": "the overall variability of components",
        "ica.overall_spectral_ratio": "the overall spectral ratio of components",
        "graph.modularity": "the modularity of the connectome",
        "graph.global_efficiency": "the global efficiency of the connectome",
        "graph.mean_clustering": "the mean clustering of the connectome",
    }
)

_OF_A_NETWORK = MappingProxyType(
    {
        "gradient1.": "the principal gradient value of the {} network",
        "gradient2.": "the second gradient value of the {} network",
        "gradient3.": "the third gradient value of the {} network",
        "ica.amplitude.": "the component amplitude of the {} network",
        "ica.variability.": "the component variability of the {} network",
        "ica.spectral_ratio.": "the spectral ratio of the {} network",
        "ica.falff.": "the fALFF of the {} network",
        _STRENGTH: "the connection strength of the {} network",
    }
)

_OF_A_PAIR = MappingProxyType(
    {
        "fc.": "the connectivity between the {} and {} networks",
        "ica.fnc.": "the coupling of the {} and {} components",
    }
)

_DOMAINS = MappingProxyType(
    {"fc": "FC", "gradient1": "gradients", "gradient2": "gradients", "gradient3": "gradients"}
)


def networks_of(columns: Sequence[str]) -> list[str]:
    """Names of the networks that columns of measures are about."""
    return [name.removeprefix(_STRENGTH) for name in columns if name.startswith(_STRENGTH)]


def domain(column: str) -> str:
    """Domain of a measure: "FC", "gradients", "ICA" or "graph"."""
    stem = column.split(".", maxsplit=1)[0]
    return _DOMAINS.get(stem, "ICA" if stem == "ica" else "graph")


def phrase(column: str, networks: Sequence[str]) -> str | None:
    """Noun phrase for a measure; None for a column of an unknown name.

    Parameters
    ----------
    column : str
        Such as ``"fc.Visual-Limbic"``.
    networks : sequence of str
        From `networks_of`.

    Examples
    --------
    >>> phrase("fc.Visual-Limbic", ["Visual", "Limbic"])
    'the connectivity between the Visual and Limbic networks'
    >>> phrase("fc.Visual-Visual", ["Visual", "Limbic"])
    'the connectivity within the Visual network'
    """
    if column in _WHOLE_SCAN:
        return _WHOLE_SCAN[column]
    for stem, text in _OF_A_NETWORK.items():
        if column.startswith(stem) and column.removeprefix(stem) in networks:
            return text.format(column.removeprefix(stem))
    for stem, text in _OF_A_PAIR.items():
        if column.startswith(stem):
            return _pair(column.removeprefix(stem), text, networks)
    return None


def _pair(names: str, text: str, networks: Sequence[str]) -> str | None:
    for first in networks:
        second = names.removeprefix(f"{first}-")
        if second != names and second in networks:
            same = first == second
            return (
                f"the connectivity within the {first} network"
                if same
                else text.format(first, second)
            )
    return None
