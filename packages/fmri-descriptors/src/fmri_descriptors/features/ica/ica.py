"""Group ICA on the regions, and its components in one scan."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.scan import Scan

_MAX_ITERATIONS = 300
_LAST_ITERATIONS = 3000  # where the first ones were not enough for any start
_STARTS = 5
NOT_CONVERGED = (
    f"FastICA did not converge in {_LAST_ITERATIONS} iterations, so its components depend on the "
    "seed; give fewer ica_components, or more scans"
)
NO_NETWORK = -1
"""Network number of a component that stands for none."""
_NORMAL_LOG_COSH = 0.374567  # mean of log cosh x for a standard normal x (by quadrature)


@dataclass(frozen=True)
class GroupMaps:
    """Spatial components that scans are regressed on: of a training cohort, or a user's.

    Parameters
    ----------
    maps : ndarray, (C, N)
        Component maps, zero mean and unit variance over the regions that the cohort has; NaN on
        others. Of a group ICA each network's component comes first, in network order, its
        network positive.
    networks : ndarray of int, (C,)
        Number of the network that each component stands for, or `NO_NETWORK`.
    overlap : ndarray, (K,)
        Correlation of each network's component with the network's outline, also of one that was
        left out for it; the largest where it has several, NaN where it has none.
    energy : ndarray, (K,)
        Share of that component's squared map that lies inside the network.
    converged : bool
        Whether the chosen FastICA run met its tolerance.
    """

    maps: NDArray[np.float64]
    networks: NDArray[np.intp]
    overlap: NDArray[np.float64]
    energy: NDArray[np.float64]
    converged: bool

    @property
    def without(self) -> NDArray[np.intp]:
        """Numbers of the networks that no component stands for."""
        return np.setdiff1d(np.arange(len(self.overlap)), self.networks)


def component_rows(maps: GroupMaps, networks: Sequence[str]) -> list[dict[str, Any]]:
    """How well each network's component resembles it: overlap, energy inside, and whether used.

    Parameters
    ----------
    maps : GroupMaps
        The components.
    networks : sequence of str, length K
        Names of the networks.
    """
    numbers = zip(networks, maps.overlap, maps.energy, strict=True)
    return [
        {
            "network": name,
            "overlap": None if np.isnan(overlap) else float(overlap),
            "energy_inside": None if np.isnan(energy) else float(energy),
            "used": number not in maps.without,
        }
        for number, (name, overlap, energy) in enumerate(numbers)
    ]


def group_ica(
    covariance: NDArray[np.float64],
    membership: NDArray[np.bool_],
    n_components: int,
    seed: int,
    least: tuple[float, float] = (0.0, 0.0),
) -> GroupMaps:
    """Decompose the regions of a cohort into independent spatial maps.

    The mean correlation matrix of the scans is the covariance of their z-scored frames, so its
    eigenvectors are the principal components of the concatenated cohort without holding it. As is
    usual for spatial ICA, the mean over the regions is removed from every frame first; FastICA
    turns the components into maps, and each network gets the component whose map resembles its
    outline most, one apiece (Hungarian assignment).

    Parameters
    ----------
    covariance : ndarray, (N, N)
        Mean correlation of the training scans; NaN where no scan has the region.
    membership : ndarray of bool, (K, N)
        Which region is in which network.
    n_components : int
        Number of components C, at least K.
    seed : int
        Seed of FastICA's start.
    least : (float, float)
        A component that correlates less than the first with its network's outline, and has a
        smaller share than the second of its energy inside, stands for none.

    Raises
    ------
    InputError
        If C is below the number of networks or not below the number of regions.
    """
    usable = np.isfinite(covariance.diagonal())
    _check_components(n_components, len(membership), int(usable.sum()))
    _, vectors = np.linalg.eigh(_centred(covariance[np.ix_(usable, usable)]))
    leading = vectors[:, ::-1][:, :n_components]
    leading = leading * np.sign(leading[np.abs(leading).argmax(axis=0), np.arange(n_components)])
    sources, converged = _fast_ica(leading * np.sqrt(len(leading)), seed)
    ordered, overlap = _networks_first(sources, membership[:, usable])
    maps = np.full((n_components, len(covariance)), np.nan)
    maps[:, usable] = ordered
    networks = np.full(n_components, NO_NETWORK, dtype=np.intp)
    energy = inside_energy(ordered[: len(membership)], membership[:, usable])
    resembling = np.flatnonzero((overlap >= least[0]) | (energy >= least[1]))
    networks[resembling] = resembling
    return GroupMaps(maps, networks, overlap, energy, converged)


def inside_energy(maps: NDArray[np.float64], outlines: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of each map's sum of squares that lies inside its outline, (C,).

    Parameters
    ----------
    maps : ndarray, (C, N)
        Component maps, finite.
    outlines : ndarray of bool, (C, N)
        Regions of each map's network.
    """
    squares = maps**2
    return np.asarray((squares * outlines).sum(axis=1) / squares.sum(axis=1))


def _centred(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance of the frames after their mean over the regions is removed."""
    rows = covariance - covariance.mean(axis=0)
    return rows - rows.mean(axis=1, keepdims=True)


def _check_components(n_components: int, n_networks: int, n_regions: int) -> None:
    if n_components < n_networks:
        raise InputError(
            f"ica_components: {n_components}, but there are {n_networks} networks; give at least "
            f"{n_networks}"
        )
    if n_components >= n_regions:
        raise InputError(
            f"ica_components: {n_components}, but only {n_regions} regions are usable; give fewer "
            f"than {n_regions}"
        )


def _fast_ica(features: NDArray[np.float64], seed: int) -> tuple[NDArray[np.float64], bool]:
    """Least Gaussian sources of several starts, as one start can end in a local optimum.

    Starts that converged go before the others; where none did, each is given more iterations.
    """
    starts = range(seed, seed + _STARTS)
    runs = [_fast_ica_run(features, start, _MAX_ITERATIONS) for start in starts]
    if not any(converged for _, converged in runs):
        runs = [_fast_ica_run(features, start, _LAST_ITERATIONS) for start in starts]
    return max(runs, key=lambda run: (run[1], _non_gaussianity(run[0])))


def _fast_ica_run(
    features: NDArray[np.float64], seed: int, iterations: int
) -> tuple[NDArray[np.float64], bool]:
    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    # The features are white already. Whitening them again would leave the basis to chance, and
    # scikit-learn drops a dimension whose first entry happens to be exactly zero in that basis.
    model = FastICA(whiten=False, random_state=seed, max_iter=iterations)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        sources = model.fit_transform(features).T
    return sources, not any(issubclass(one.category, ConvergenceWarning) for one in caught)


def _non_gaussianity(sources: NDArray[np.float64]) -> float:
    """Negentropy of the sources in the log cosh approximation (Hyvarinen 1999)."""
    return float(((np.log(np.cosh(sources)).mean(axis=1) - _NORMAL_LOG_COSH) ** 2).sum())


def _networks_first(
    sources: NDArray[np.float64], membership: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from scipy.optimize import linear_sum_assignment

    scores = sources - sources.mean(axis=1, keepdims=True)
    scores = scores / np.linalg.norm(scores, axis=1, keepdims=True)
    outline = membership - membership.mean(axis=1, keepdims=True)
    length = np.linalg.norm(outline, axis=1, keepdims=True)
    outline = np.divide(outline, length, out=np.zeros_like(outline), where=length > 0)
    resemblance = outline @ scores.T
    networks, chosen = linear_sum_assignment(-np.abs(resemblance))
    others = np.setdiff1d(np.arange(len(sources)), chosen)
    best = resemblance[networks, chosen]
    signs = np.concatenate([np.where(best < 0, -1.0, 1.0), np.ones(len(others))])
    return signs[:, None] * sources[np.concatenate([chosen, others])], np.abs(best)


def time_courses(scan: Scan, maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Component time courses of a scan, (T, C): the first stage of dual regression.

    Each region is z-scored over time, as in the data that the maps come from, so that a region's
    amplitude does not leak into other components. Then each frame is regressed on all maps and a
    constant at once, over the regions that both the scan and the maps have (Beckmann et al. 2009).

    Parameters
    ----------
    scan : Scan
        Series (T, N).
    maps : ndarray, (C, N)
        Component maps.

    Returns
    -------
    ndarray, (T, C)
        Without unit: each region counts with a standard deviation of 1.
    """
    usable = scan.mask & np.isfinite(maps[0])
    if usable.sum() <= len(maps):
        raise InputError(
            f"{scan.scan_id}: {int(usable.sum())} usable regions cannot carry {len(maps)} "
            "components; give a smaller ica_components, or fewer maps"
        )
    series = scan.timeseries[:, usable]
    z = (series - series.mean(axis=0)) / series.std(axis=0)
    design = np.column_stack([maps[:, usable].T, np.ones(int(usable.sum()))])
    return np.asarray(np.linalg.lstsq(design, z.T, rcond=None)[0][:-1].T)


def scan_maps(scan: Scan, courses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Component maps of a scan, (C, N): the second stage of dual regression.

    Parameters
    ----------
    scan : Scan
        Series (T, N).
    courses : ndarray, (T, C)
        Time courses of the first stage; they are scaled to unit standard deviation, so that the
        maps carry the amplitude.

    Returns
    -------
    ndarray, (C, N)
        In the units of the scan; NaN where a region is masked.
    """
    maps = np.full((courses.shape[1], len(scan.mask)), np.nan)
    scaled = (courses - courses.mean(axis=0)) / courses.std(axis=0)
    centred = scan.timeseries[:, scan.mask] - scan.timeseries[:, scan.mask].mean(axis=0)
    maps[:, scan.mask] = np.linalg.lstsq(scaled, centred, rcond=None)[0]
    return maps
