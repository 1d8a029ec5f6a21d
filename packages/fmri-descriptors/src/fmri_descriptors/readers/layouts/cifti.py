"""CIFTI series: parcels as they are, or grayordinates averaged over a label file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.readers.base import ReadOptions, Recording, Source
from fmri_descriptors.readers.errors import reading
from fmri_descriptors.readers.images.coverage import Coverage
from fmri_descriptors.readers.limits import check_declared
from fmri_descriptors.readers.repetition_time import agreed_tr
from fmri_descriptors.readers.selection.candidates import Account, named_recording
from fmri_descriptors.readers.selection.companions import frame_tables, read_checked
from fmri_descriptors.readers.selection.content import check_content, files_below
from fmri_descriptors.readers.selection.recordings import Layout, choose_files
from fmri_descriptors.readers.selection.sidecars import Sidecars

PARCELS = ".ptseries.nii"
DENSE = ".dtseries.nii"

_BLOCK_VALUES = 8_000_000  # values read at a time: 64 MB in double precision


def cifti_source(path: Path, options: ReadOptions) -> Source:
    """Return the CIFTI series below a folder.

    Where both kinds are there, ``.ptseries.nii`` is read without an atlas, ``.dtseries.nii`` with
    one; the others are left out. Which files are one recording, `choose_files` says.

    Parameters
    ----------
    path : Path
        A ``.ptseries.nii`` or ``.dtseries.nii`` file, or a folder searched with its subfolders.
    options : ReadOptions
        ``atlas``: a ``.dlabel.nii`` whose label names are the parcellation's, for dense series;
        the name of one parcellation where ``.ptseries.nii`` files are of several. ``tr`` (s) must
        agree with the file's, which its series axis states.

    Returns
    -------
    Source
        Every such file is a recording, in ``rejected`` (unreadable, no series axis in seconds, in
        contradiction to `options`) or in ``left_out``.

    Raises
    ------
    InputError
        If there is no such file, the atlas is missing or no ``.dlabel.nii``.
    """
    root = path if path.is_dir() else path.parent
    files, unlisted = files_below(path) if path.is_dir() else ([path], [])
    found = [file for file in files if file.name.lower().endswith((PARCELS, DENSE))]
    if not found:
        raise InputError(f"{path}: no {PARCELS} or {DENSE} file was found; correct the path")
    kind, parcellation = _kind(found, options.atlas)
    atlases = _atlases(path, options) if kind == DENSE else ()
    account = Account(root, rejected=list(unlisted))
    layout = Layout(endings=(kind,), by_name=False, parcellation=parcellation)
    chosen = choose_files(found, layout, options, account)
    sidecars = Sidecars(root)
    read = partial(_read_dense, atlas=atlases[0]) if atlases else _read_parcels
    checked = partial(read_checked, read=read)
    recordings = account.recordings(
        chosen, partial(_recording, sidecars=sidecars, options=options, read=checked)
    )
    depends = (
        file
        for each in chosen
        for file in (each.path, *sidecars.files(each.path), *frame_tables(each.path))
    )
    return account.source(path.resolve().name, recordings, (*depends, *atlases))


def _kind(files: list[Path], atlas: Path | None) -> tuple[str, str | None]:
    """Choose the ending of the files that are read, and their parcellation if one is named."""
    parcels = any(file.name.lower().endswith(PARCELS) for file in files)
    dense = any(file.name.lower().endswith(DENSE) for file in files)
    if atlas is None or not parcels:
        return (PARCELS if parcels else DENSE), None
    if not atlas.exists() and len(atlas.parts) == 1 and "." not in atlas.name:
        return PARCELS, atlas.name
    return (DENSE if dense else PARCELS), None


def _atlases(path: Path, options: ReadOptions) -> tuple[Path, ...]:
    if options.atlas is None:
        raise InputError(f"{path}: {DENSE} files need an atlas; give a .dlabel.nii file by --atlas")
    _read_labels(options.atlas)
    return (options.atlas,)


def _recording(
    file: Path,
    name: str,
    sidecars: Sidecars,
    options: ReadOptions,
    read: Callable[..., NDArray[np.float64]],
) -> Recording:
    with _opened(file) as image:
        step = _series_step(file, image)
    stated = {
        f"{file.name} (series axis)": step,
        f"{file.name} (sidecar)": sidecars.tr(file),
        "--tr": options.tr,
    }
    tr = agreed_tr(stated, f"{file.name}: its series axis has no step; give --tr")
    return named_recording(file, name, tr, read)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import nibabel as nib

    check_content(path)
    with reading(path.name, "a CIFTI-2 file"):
        image = nib.load(path)
        if not isinstance(image, nib.Cifti2Image) or image.ndim != 2:
            raise InputError(f"{path.name}: is no CIFTI-2 file of two axes; export it again")
        _check_size(path, image)
        yield image


def _check_size(path: Path, image: Any) -> None:
    values = int(image.shape[0]) * int(image.shape[1])
    promised = image.dataobj.offset + values * image.nifti_header.get_data_dtype().itemsize
    if path.stat().st_size != promised:
        raise InputError(
            f"{path.name}: its header promises {promised} bytes (shape {image.shape}), but the "
            f"file has {path.stat().st_size}; copy or export it again"
        )
    lengths = tuple(len(image.header.get_axis(axis)) for axis in range(2))
    if lengths != tuple(image.shape):
        raise InputError(
            f"{path.name}: its axes have {lengths} entries, but its array is {image.shape}; export "
            "it again"
        )


def _series_step(path: Path, image: Any) -> float | None:
    from nibabel.cifti2 import SeriesAxis

    axis = image.header.get_axis(0)
    if not isinstance(axis, SeriesAxis):
        raise InputError(
            f"{path.name}: its rows are a {type(axis).__name__}, not a series of frames; give "
            f"{PARCELS} or {DENSE}"
        )
    if axis.unit != "SECOND":
        raise InputError(
            f"{path.name}: its series axis is in {axis.unit}, not in seconds; export it again"
        )
    return float(axis.step) if 0 < axis.step < float("inf") else None


def _read_parcels(path: Path, parcellation: Parcellation) -> NDArray[np.float64]:
    from nibabel.cifti2 import ParcelsAxis

    with _opened(path) as image:
        axis = image.header.get_axis(1)
        if not isinstance(axis, ParcelsAxis):
            raise InputError(
                f"{path.name}: its columns are a {type(axis).__name__}, not parcels; give {PARCELS}"
            )
        _check_names(path, [str(name) for name in axis.name], parcellation)
        check_declared(path.name, image.shape, parcellation)
        return np.asarray(image.dataobj).astype(np.float64)


def _check_names(path: Path, names: list[str], parcellation: Parcellation) -> None:
    labels = list(parcellation.labels)
    if names == labels:
        return
    if sorted(names) == sorted(labels):
        raise InputError(
            f"{path.name}: its parcels are the regions of '{parcellation.name}' in another order; "
            "parcellate with labels in the parcellation's order, or give a parcellation in this one"
        )
    _check_same_names(path, names, parcellation)
    raise InputError(f"{path.name}: a parcel's name occurs twice; names must differ")


def _check_same_names(path: Path, names: list[str], parcellation: Parcellation) -> None:
    missing = [label for label in parcellation.labels if label not in set(names)]
    unknown = [name for name in names if name not in set(parcellation.labels)]
    if missing or unknown:
        which = f"{missing[0]!r} is missing" if missing else f"{unknown[0]!r} is not one of them"
        raise InputError(
            f"{path.name}: has {len(names)} labels, but parcellation '{parcellation.name}' has "
            f"{parcellation.n_regions} regions, and {which}; use the names of one parcellation"
        )


def _read_labels(atlas: Path) -> tuple[NDArray[np.int64], dict[int, str], Any]:
    """Keys (G,), names by key without the background, and the brain models of a label file."""
    from nibabel.cifti2 import BrainModelAxis, LabelAxis

    with _opened(atlas) as image:
        maps, models = (image.header.get_axis(axis) for axis in range(2))
        if not isinstance(maps, LabelAxis) or not isinstance(models, BrainModelAxis):
            raise InputError(f"{atlas.name}: is no .dlabel.nii file; give one as the atlas")
        if len(maps) != 1:
            raise InputError(f"{atlas.name}: has {len(maps)} label maps; give a file with one")
        keys = np.asarray(image.dataobj)[0].astype(np.int64)
        names = {int(key): str(name) for key, (name, _) in maps.label[0].items() if key != 0}
    return keys, names, models


def _read_dense(path: Path, parcellation: Parcellation, atlas: Path) -> NDArray[np.float64]:
    from nibabel.cifti2 import BrainModelAxis

    keys, names, atlas_models = _read_labels(atlas)
    columns = _columns(atlas, keys, names, parcellation)
    with _opened(path) as image:
        models = image.header.get_axis(1)
        check_declared(path.name, (image.shape[0], parcellation.n_regions), parcellation)
        if not isinstance(models, BrainModelAxis):
            raise InputError(
                f"{path.name}: its columns are a {type(models).__name__}, not grayordinates; give "
                f"{DENSE}"
            )
        laid = _laid_over(path, atlas, models, atlas_models, columns)
        return _means(path, image, laid, parcellation)


def _columns(
    atlas: Path, keys: NDArray[np.int64], names: dict[int, str], parcellation: Parcellation
) -> NDArray[np.int64]:
    """Column of each grayordinate of the atlas by its label's name, -1 for background, (G,)."""
    listed = list(names.values())
    _check_same_names(atlas, listed, parcellation)
    if len(listed) != parcellation.n_regions:
        raise InputError(f"{atlas.name}: a label's name occurs twice; names must differ")
    unknown = sorted(set(keys.tolist()) - {0, *names})
    if unknown:
        raise InputError(f"{atlas.name}: key {unknown[0]} is not in its label table; repair it")
    place = {label: column for column, label in enumerate(parcellation.labels)}
    by_key = {0: -1} | {key: place[name] for key, name in names.items()}
    return np.array([by_key[key] for key in keys.tolist()], dtype=np.int64)


def _laid_over(
    path: Path, atlas: Path, models: Any, atlas_models: Any, columns: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Column of each grayordinate of the series, matched by structure and vertex or voxel."""
    if models == atlas_models:
        laid = columns
    else:
        _check_same_surfaces(path, atlas, models, atlas_models)
        known = dict(zip(_points(atlas_models), columns.tolist(), strict=True))
        laid = np.array([known.get(point, -1) for point in _points(models)], dtype=np.int64)
    if not (laid >= 0).any():
        raise InputError(f"{path.name}: does not overlap the atlas {atlas.name}; check both")
    return laid


def _points(models: Any) -> Iterator[tuple[Any, ...]]:
    rows = zip(models.name, models.vertex.tolist(), models.voxel.tolist(), strict=True)
    return ((name, vertex, *voxel) for name, vertex, voxel in rows)


def _check_same_surfaces(path: Path, atlas: Path, models: Any, atlas_models: Any) -> None:
    for structure, vertices in models.nvertices.items():
        other = atlas_models.nvertices.get(structure, vertices)
        if other != vertices:
            raise InputError(
                f"{path.name}: {structure} has {vertices} vertices, but {other} in the atlas "
                f"{atlas.name}; give an atlas on the same surface"
            )
    if models.affine is None or atlas_models.affine is None:
        return
    same_grid = models.volume_shape == atlas_models.volume_shape
    if not same_grid or not np.allclose(models.affine, atlas_models.affine, atol=1e-4):
        raise InputError(
            f"{path.name}: its voxels are on another grid than those of the atlas {atlas.name}; "
            "give an atlas on the same grid"
        )


def _means(
    path: Path, image: Any, laid: NDArray[np.int64], parcellation: Parcellation
) -> NDArray[np.float64]:
    """Add up blocks of grayordinates, whose courses lie one after another in the file."""
    n_frames, n_points = image.shape
    n_regions = parcellation.n_regions
    inside = np.flatnonzero(laid >= 0)
    coverage = Coverage(path, laid[inside], parcellation)
    sums = np.zeros((n_frames, n_regions))
    width = max(1, _BLOCK_VALUES // n_frames)
    for start in range(0, n_points, width):
        block = np.array(image.dataobj[:, start : start + width], dtype=np.float64)
        columns = laid[start : start + width]
        used = columns >= 0
        first = np.searchsorted(inside, start)
        points = slice(first, first + int(used.sum()))
        coverage.add(block[:, used], points)
        sums += np.nan_to_num(block[:, used]) @ _indicator(columns[used], n_regions)
    points_of = np.bincount(laid[inside], minlength=n_regions)
    means = np.divide(sums, points_of, out=np.full_like(sums, np.nan), where=points_of > 0)
    return means * coverage.correction()


def _indicator(columns: NDArray[np.int64], n_regions: int) -> csr_array:
    """Which point is in which region, (points, N)."""
    rows = np.arange(columns.size)
    return csr_array((np.ones(columns.size), (rows, columns)), shape=(columns.size, n_regions))
