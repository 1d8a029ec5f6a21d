"""Mean course of each region of a label image."""

from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmri_descriptors.errors import InputError
from fmri_descriptors.parcellation.parcellation import Parcellation
from fmri_descriptors.readers.errors import reading
from fmri_descriptors.readers.images.coverage import Coverage
from fmri_descriptors.readers.images.volumes import (
    blocks,
    check_4d,
    check_end,
    check_placed,
    opened,
)
from fmri_descriptors.readers.limits import check_declared

_SAME_PLACE = 1e-4  # mm; affines are stored in single precision


def region_means(path: Path, parcellation: Parcellation, atlas: Path) -> NDArray[np.float64]:
    """Mean course of each region of an atlas.

    The atlas is laid over the image by nearest neighbour. Voxels that are NaN or 0 in every frame
    hold no data and are left out of the mean.

    Parameters
    ----------
    path : Path
        4-D image with T frames.
    parcellation : Parcellation
        The N regions.
    atlas : Path
        Image of the labels 1..N, in the parcellation's order.

    Returns
    -------
    ndarray, (T, N)
        Units of the image. NaN in the column of a region without a voxel that has data.

    Raises
    ------
    InputError
        If a file is unreadable, the labels are not those of the parcellation, nothing overlaps,
        or a voxel of a region is NaN in some frames only, or infinite.
    """
    labels = read_labels(atlas)
    check_numbers(atlas, np.asarray(labels.dataobj), parcellation)
    with reading(path.name, "a NIfTI image"), opened(path) as (image, file):
        check_4d(path, image)
        check_placed(path, image)
        laid = _laid_over(labels, image)
        check_declared(path.name, (image.shape[3], parcellation.n_regions), parcellation)
        if not laid.any():
            raise InputError(f"{path.name}: does not overlap the atlas {atlas.name}; check both")
        return _means(path, image, file, laid, parcellation)


def read_labels(atlas: Path) -> Any:
    """Return a label image, checked to be whole numbers from 0 in 3-D.

    Raises
    ------
    InputError
        If the file is not such an image.
    """
    import nibabel as nib

    with reading(atlas.name, "a label image"), opened(atlas) as (image, _):
        check_placed(atlas, image)
        if len(image.shape) != 3 and image.shape[3:] != (1,):
            raise InputError(f"{atlas.name}: an atlas of shape {image.shape}; give a 3-D image")
        values = np.asarray(image.dataobj).reshape(image.shape[:3])
        whole = values.dtype.kind in "iu" or bool(np.all(values == np.round(values)))
        if not whole or values.min() < 0 or values.max() > np.iinfo(np.int32).max:
            raise InputError(
                f"{atlas.name}: its values are not all whole numbers from 0; give a label image"
            )
        return nib.Nifti1Image(values.astype(np.int32), image.affine)


def check_numbers(atlas: Path, values: NDArray[Any], parcellation: Parcellation) -> None:
    """Raise unless the labels of an atlas are 1..N.

    Parameters
    ----------
    atlas : Path
        File, for the message.
    values : ndarray
        Its labels; 0 is background.
    parcellation : Parcellation
        The N regions.
    """
    found = np.unique(values[values > 0]).astype(int)
    n_regions = parcellation.n_regions
    if found.size and np.array_equal(found, np.arange(1, n_regions + 1)):
        return
    listed = f"{found.size} labels from {found[0]} to {found[-1]}" if found.size else "no label"
    raise InputError(
        f"{atlas.name}: has {listed}, but parcellation '{parcellation.name}' has {n_regions} "
        f"regions; label them 1..{n_regions} in its order"
    )


def _laid_over(labels: Any, image: Any) -> NDArray[np.int32]:
    from nilearn.image import resample_img
    from nilearn.image.resampling import BoundingBoxError

    shape = image.shape[:3]
    if shape == labels.shape and np.allclose(labels.affine, image.affine, atol=_SAME_PLACE):
        return np.asarray(labels.dataobj)
    try:
        moved = resample_img(
            labels,
            target_affine=image.affine,
            target_shape=shape,
            interpolation="nearest",
            force_resample=True,
            copy_header=True,
        )
    except BoundingBoxError:  # nothing of the atlas lies in the image
        return np.zeros(shape, np.int32)
    return np.asarray(moved.dataobj).astype(np.int32)


def _means(
    path: Path,
    image: Any,
    file: BufferedIOBase,
    laid: NDArray[np.int32],
    parcellation: Parcellation,
) -> NDArray[np.float64]:
    """Block by block; a voxel without data counts as 0 until the number of the others is known."""
    import nibabel as nib
    from nilearn.maskers import NiftiLabelsMasker

    labels = nib.Nifti1Image(laid, image.affine)
    masker = NiftiLabelsMasker(labels, reports=False, standardize=None).fit()
    inside = laid > 0
    coverage = Coverage(path, laid[inside] - 1, parcellation)
    rows = []
    for block in blocks(image):
        coverage.add(block[inside].T)
        complete = np.nan_to_num(block, copy=False)
        rows.append(masker.transform(nib.Nifti1Image(complete, image.affine)))
    check_end(path, file)
    means = np.full((image.shape[3], parcellation.n_regions), np.nan)
    # The masker's columns are the labels that are left, in rising order.
    means[:, np.unique(laid[inside]) - 1] = np.concatenate(rows)
    return means * coverage.correction()
