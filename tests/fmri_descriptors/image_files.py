"""Small images on disk, with region courses that are known."""

import json

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel import cifti2

from fmri_descriptors import Parcellation

REGIONS = Parcellation("four", ("a", "b", "c", "d"), ("V", "V", "M", "M"), ("L", "R", "L", "R"))
SHAPE = (6, 5, 4)
AFFINE = np.array([[3.0, 0, 0, -9], [0, 3, 0, -6], [0, 0, 3, -3], [0, 0, 0, 1]])
T = 40


def label_array():
    """Four slabs along x; the two outer planes are background."""
    labels = np.zeros(SHAPE, np.int16)
    labels[1:5] = np.arange(1, 5)[:, None, None]
    return labels


def courses(seed=0, n_frames=T):
    """Region courses, (T, 4), with a level like that of a scanner."""
    return 1000 + 10 * np.random.default_rng(seed).standard_normal((n_frames, 4))


def volumes(series, seed=1):
    """Voxels whose region means are the series: each voxel adds a pattern that sums to nothing."""
    data = np.zeros((*SHAPE, len(series)))
    data[1:5] = series.T[:, None, None, :]
    noise = np.random.default_rng(seed).standard_normal((4, 5, 4, len(series)))
    data[1:5] += noise - noise.mean(axis=(1, 2), keepdims=True)
    return data


def save_atlas(path, labels=None, affine=AFFINE):
    nib.save(nib.Nifti1Image(label_array() if labels is None else labels, affine), path)
    return path


def save_bold(path, data, *, tr=2.0, unit="sec", affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data.astype(np.float64), affine)
    image.header.set_xyzt_units("mm", unit)
    image.header["pixdim"][4] = tr
    nib.save(image, path)
    return path


def save_json(path, **entries):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


MOTION = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
EXPANSIONS = ("", "_derivative1", "_power2", "_derivative1_power2")


def confounds_table(n_frames=T, seed=2, steady_from=0):
    """The columns of fMRIPrep that the strategy `simple` reads, and one that it does not."""
    rng = np.random.default_rng(seed)
    names = [name + expansion for name in MOTION for expansion in EXPANSIONS]
    names += ["csf", "white_matter", "cosine00", "framewise_displacement"]
    table = pd.DataFrame(rng.standard_normal((n_frames, len(names))), columns=names)
    table.loc[0, [name for name in names if "derivative1" in name]] = np.nan
    for frame in range(steady_from):
        table[f"non_steady_state_outlier{frame:02d}"] = np.eye(n_frames)[frame]
    return table


def save_fmriprep(
    root, data, *, sub="01", ses=None, task="rest", space="MNI152NLin2009cAsym", table=None, **bold
):
    """One run of a derivatives folder; returns the image."""
    entities = [f"sub-{sub}", *([f"ses-{ses}"] if ses else []), f"task-{task}"]
    folder = root.joinpath(*entities[:-1], "func")
    stem = "_".join(entities)
    image = save_bold(folder / f"{stem}_space-{space}_desc-preproc_bold.nii.gz", data, **bold)
    table = confounds_table(data.shape[-1]) if table is None else table
    table.to_csv(
        folder / f"{stem}_desc-confounds_timeseries.tsv", sep="\t", na_rep="n/a", index=False
    )
    return image


def brain_models(vertices=12, offset=0):
    """A left cortex of 16 vertices without some, and four voxels of the left thalamus."""
    cortex = cifti2.BrainModelAxis.from_surface(
        np.arange(offset, offset + vertices), 16, "CIFTI_STRUCTURE_CORTEX_LEFT"
    )
    mask = np.zeros(SHAPE, bool)
    mask[2, 1:3, 1:3] = True
    return cortex + cifti2.BrainModelAxis.from_mask(
        mask, "CIFTI_STRUCTURE_THALAMUS_LEFT", affine=AFFINE
    )


def save_cifti(path, data, columns, *, tr=0.72, unit="SECOND"):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = cifti2.SeriesAxis(0, tr, len(data), unit)
    nib.save(cifti2.Cifti2Image(np.asarray(data, np.float64), (rows, columns)), path)
    return path


def parcels(names=REGIONS.labels):
    models = [
        (name, cifti2.BrainModelAxis.from_surface([i], 16, "CIFTI_STRUCTURE_CORTEX_LEFT"))
        for i, name in enumerate(names)
    ]
    return cifti2.ParcelsAxis.from_brain_models(models)


def save_dlabel(path, keys, models, names=REGIONS.labels):
    table = {0: ("???", (0, 0, 0, 0))}
    table |= {key: (name, (1, 1, 1, 1)) for key, name in enumerate(names, start=1)}
    maps = cifti2.LabelAxis(["atlas"], [table])
    nib.save(cifti2.Cifti2Image(np.asarray(keys, np.float32)[None], (maps, models)), path)
    return path
