"""A user's spatial maps in place of a group ICA: as a table of regions, or from images."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.features.ica.ica import NO_NETWORK, GroupMaps, inside_energy
from fmri_descriptors.parcellation.parcellation import Parcellation

if TYPE_CHECKING:
    import pandas as pd
    from nibabel.spatialimages import SpatialImage

_COLUMNS = ("component", "network")


def read_spatial_maps(path: Path, parcellation: Parcellation) -> GroupMaps:
    """Read a table of spatial maps, one row a component.

    Parameters
    ----------
    path : Path
        TSV with the columns ``component`` (a name), ``network`` (one of the parcellation's, or
        empty for a component that only takes part in the regression) and one per region label.
        An empty value is a region that the maps do not cover, and is so in every row.
    parcellation : Parcellation
        Regions of the scans.

    Returns
    -------
    GroupMaps
        Each component with zero mean and unit variance over the regions.

    Raises
    ------
    InputError
        If the table cannot be read, lacks a region, names an unknown network, is not numeric, or
        has a map that is constant or covers other regions than the first.
    """
    table = _read_table(path)
    _require_columns(table, (*_COLUMNS, *parcellation.labels), path)
    maps = _numbers(table, list(parcellation.labels), path)
    networks = _network_indices(table["network"].tolist(), parcellation, path)
    maps = _standardised(maps, table["component"].tolist(), path)
    overlap, energy = (of(maps, networks, parcellation) for of in (_overlap, _energy))
    return GroupMaps(maps, networks, overlap, energy, converged=True)


def write_spatial_maps(
    maps: NDArray[np.float64],
    names: Sequence[str],
    networks: Sequence[str],
    parcellation: Parcellation,
    path: Path,
) -> None:
    """Write maps as the table that `read_spatial_maps` and the setting ``ica_maps`` read.

    Parameters
    ----------
    maps : ndarray, (C, N)
        One row a component, as of `region_maps`; NaN for regions that the maps do not cover.
    names, networks : sequence of str, length C
        Name of each component, and its network or ``""``.
    parcellation : Parcellation
        Gives the labels of the columns.
    path : Path
        TSV to write.
    """
    import pandas as pd

    table = pd.DataFrame(maps, columns=list(parcellation.labels))
    table.insert(0, "network", list(networks))
    table.insert(0, "component", list(names))
    table.to_csv(path, sep="\t", index=False, lineterminator="\n")


def region_maps(
    maps_img: "SpatialImage", atlas_img: "SpatialImage", parcellation: Parcellation
) -> NDArray[np.float64]:
    """Mean of voxelwise maps in each region of an atlas, (C, N).

    Parameters
    ----------
    maps_img : nibabel image, 4-D
        One volume a component, such as a NeuroMark template; it is resampled to the atlas.
    atlas_img : nibabel image, 3-D
        Value i marks region i of the parcellation, counted from 1; 0 is background.
    parcellation : Parcellation
        The regions, in order.

    Returns
    -------
    ndarray, (C, N)
        NaN where a region has no voxel in the atlas.

    Raises
    ------
    InputError
        If an image has the wrong number of dimensions, or the atlas has values that are no
        region's number.
    """
    from nilearn.image import resample_to_img

    _require_dimensions(maps_img, 4, "maps")
    _require_dimensions(atlas_img, 3, "atlas")
    atlas = _region_numbers(np.asarray(atlas_img.dataobj), parcellation)
    resampled = resample_to_img(
        maps_img, atlas_img, interpolation="continuous", force_resample=True, copy_header=True
    )
    values = np.asarray(resampled.dataobj, dtype=np.float64)
    values = values.reshape(-1, values.shape[3])
    inside = atlas > 0
    of_region = np.eye(parcellation.n_regions + 1)[atlas[inside]][:, 1:]
    counts = of_region.sum(axis=0)
    sums = values[inside].T @ of_region
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def voxelwise_time_courses(img: "SpatialImage", maps_img: "SpatialImage") -> NDArray[np.float64]:
    """Component time courses of a 4-D scan by regression on its voxels, (T, C).

    The first stage of dual regression before any parcellation, by nilearn's `NiftiMapsMasker`:
    least squares of every frame on all maps at once, each voxel centred over time.

    Parameters
    ----------
    img : nibabel image, 4-D
        Preprocessed scan, in the space of the maps.
    maps_img : nibabel image, 4-D
        One volume a component; resampled to the scan's grid.

    Returns
    -------
    ndarray, (T, C)
        In the units of the scan over those of the maps.

    Raises
    ------
    InputError
        If an image is not 4-D.
    """
    from nilearn.image import math_img
    from nilearn.maskers import NiftiMapsMasker

    _require_dimensions(img, 4, "scan")
    _require_dimensions(maps_img, 4, "maps")
    centred = math_img("x - x.mean(axis=3, keepdims=True)", x=img)
    masker = NiftiMapsMasker(maps_img, standardize=None, resampling_target="data", reports=False)
    return np.asarray(masker.fit_transform(centred), dtype=np.float64)


def _require_dimensions(img: "SpatialImage", wanted: int, what: str) -> None:
    if len(img.shape) != wanted:
        raise InputError(f"{what}: an image of shape {img.shape}; give a {wanted}-D image")


def _region_numbers(values: NDArray[np.float64], parcellation: Parcellation) -> NDArray[np.intp]:
    """Voxels of the atlas as whole numbers from 0 to N, flat."""
    known = np.arange(parcellation.n_regions + 1)
    strange = np.setdiff1d(values, known)
    if strange.size:
        raise InputError(
            f"atlas: value {strange[0]:g}, but '{parcellation.name}' has regions 1 to "
            f"{parcellation.n_regions}; give the atlas of this parcellation"
        )
    return values.astype(np.intp).ravel()


def _read_table(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"ica_maps: {path} cannot be read ({error}); give a TSV table") from error


def _require_columns(table: "pd.DataFrame", columns: Sequence[str], path: Path) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing or table.empty:
        lack = f"no column {missing[0]!r}" if missing else "no row"
        raise InputError(
            f"ica_maps: {path}: {lack}; give a row a component with the columns component, "
            "network and every region's label"
        )


def _numbers(table: "pd.DataFrame", labels: list[str], path: Path) -> NDArray[np.float64]:
    try:
        return table[labels].replace("", "nan").to_numpy(dtype=np.float64)
    except ValueError as error:
        raise InputError(f"ica_maps: {path}: {error}; give a number for every region") from error


def _network_indices(
    networks: Sequence[str], parcellation: Parcellation, path: Path
) -> NDArray[np.intp]:
    names = parcellation.network_names
    unknown = [network for network in networks if network and network not in names]
    if unknown:
        raise InputError(
            f"ica_maps: {path}: network {unknown[0]!r} is not one of '{parcellation.name}'; give "
            f"one of {', '.join(names)}, or leave it empty"
        )
    if not any(networks):
        raise InputError(f"ica_maps: {path}: no component has a network; name at least one")
    return np.array([names.index(n) if n else NO_NETWORK for n in networks], dtype=np.intp)


def _standardised(
    maps: NDArray[np.float64], names: Sequence[str], path: Path
) -> NDArray[np.float64]:
    covered = np.isfinite(maps)
    for name, row, values in zip(names, covered, maps, strict=True):
        if not np.array_equal(row, covered[0]):
            raise InputError(
                f"ica_maps: {path}: component {name!r} covers other regions than the first; "
                "leave the same regions empty in every row"
            )
        if not row.any() or np.ptp(values[row]) == 0:
            raise InputError(f"ica_maps: {path}: component {name!r} is constant; give a map")
    centred = maps - np.nanmean(maps, axis=1, keepdims=True)
    return np.asarray(centred / np.nanstd(maps, axis=1, keepdims=True))


def _energy(
    maps: NDArray[np.float64], networks: NDArray[np.intp], parcellation: Parcellation
) -> NDArray[np.float64]:
    """Mean share of a network's components' energy that lies inside the network, (K,)."""
    covered = np.isfinite(maps[0])
    energy = np.full(len(parcellation.network_names), np.nan)
    for index in np.unique(networks[networks != NO_NETWORK]):
        own = maps[networks == index][:, covered]
        energy[index] = inside_energy(own, parcellation.membership[[index]][:, covered]).mean()
    return energy


def _overlap(
    maps: NDArray[np.float64], networks: NDArray[np.intp], parcellation: Parcellation
) -> NDArray[np.float64]:
    """Largest correlation of each network's outline with one of its components, (K,)."""
    covered = np.isfinite(maps[0])
    overlap = np.full(len(parcellation.network_names), np.nan)
    for index, outline in enumerate(parcellation.membership[:, covered]):
        own = maps[networks == index][:, covered]
        if len(own) and 0 < outline.sum() < len(outline):
            overlap[index] = np.corrcoef(outline, own)[0, 1:].max()
    return overlap
