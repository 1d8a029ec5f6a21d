"""What the components of a scan measure, a value a network and a value a pair of networks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.features.connectivity import fisher_z
from fmri_descriptors.features.ica.ica import NO_NETWORK, GroupMaps, scan_maps, time_courses
from fmri_descriptors.features.networks import network_means, pair_means
from fmri_descriptors.features.spectra import falff, spectral_ratio, windowed_variability
from fmri_descriptors.scan import Scan
from fmri_descriptors.settings import FeatureSettings


@dataclass(frozen=True)
class ComponentMeasures:
    """Measures of the components that stand for networks, averaged within each network.

    Parameters
    ----------
    amplitude, variability, spectral_ratio, falff : ndarray, (K,)
        NaN for a network without component or without usable region.
    coupling : ndarray, (K, K)
        Mean Fisher z of the components of two networks; NaN likewise.
    """

    amplitude: NDArray[np.float64]
    variability: NDArray[np.float64]
    spectral_ratio: NDArray[np.float64]
    falff: NDArray[np.float64]
    coupling: NDArray[np.float64]


def component_measures(
    scan: Scan,
    groups: GroupMaps,
    membership: NDArray[np.bool_],
    settings: FeatureSettings,
    *,
    with_falff: bool = True,
    with_ratio: bool = True,
) -> ComponentMeasures:
    """Dual regression of a scan on maps, and what its components measure.

    All but the amplitude are measured on time courses without their linear trend.

    Parameters
    ----------
    scan : Scan
        Series (T, N).
    groups : GroupMaps
        Maps (C, N) and the network of each.
    membership : ndarray of bool, (K, N)
        Which region is in which network.
    settings : FeatureSettings
        Bands and window.
    with_falff, with_ratio : bool
        Whether the scan can show them; NaN where it cannot.
    """
    from scipy.signal import detrend

    chosen = groups.networks != NO_NETWORK
    if not chosen.any():
        return _no_measures(len(membership))
    courses = time_courses(scan, groups.maps)
    networks = groups.networks[chosen]
    amplitude = _amplitude(scan_maps(scan, courses)[chosen], membership[networks])
    absent = np.isnan(amplitude)
    courses = detrend(courses[:, chosen], axis=0)
    owned = networks == np.arange(len(membership))[:, None]  # (K, components with a network)

    def by_network(values: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return network_means(np.where(absent, np.nan, values), owned)

    return ComponentMeasures(
        network_means(amplitude, owned),
        by_network(windowed_variability(courses, scan.tr, settings.window_seconds)),
        by_network(spectral_ratio(courses, scan.tr, settings) if with_ratio else np.nan),
        by_network(falff(courses, scan.tr, settings) if with_falff else np.nan),
        _coupling(courses, absent, owned),
    )


def _no_measures(n_networks: int) -> ComponentMeasures:
    nothing = np.full(n_networks, np.nan)
    pairs = np.full((n_networks, n_networks), np.nan)
    return ComponentMeasures(nothing, nothing, nothing, nothing, pairs)


def _amplitude(maps: NDArray[np.float64], outlines: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Root mean square of each map over its own network's regions, (C,)."""
    squared = [
        network_means(values, outline[None])[0]
        for values, outline in zip(maps**2, outlines, strict=True)
    ]
    return np.sqrt(squared)


def _coupling(
    courses: NDArray[np.float64], absent: NDArray[np.bool_], owned: NDArray[np.bool_]
) -> NDArray[np.float64]:
    coupling = fisher_z(np.atleast_2d(np.corrcoef(courses.T)))
    coupling[absent] = np.nan
    coupling[:, absent] = np.nan
    return pair_means(coupling, owned)
