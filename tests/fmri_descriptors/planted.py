"""The same planted series written as every kind of table file that is read."""

import json
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.io import savemat

from fmri_descriptors import load_parcellation

TR = 0.8


def series(seed, n_frames=40, n_regions=94):
    """A planted (T, N) array that no other scan has."""
    return np.random.default_rng(seed).standard_normal((n_frames, n_regions)) * 3 + 100


def write_text(path: Path, values, labels=None, separator="\t"):
    labels = load_parcellation("aal2").labels if labels is None else labels
    rows = [separator.join(labels)]
    rows += [separator.join(repr(float(value)) for value in row) for row in values]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_json(path: Path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_mat_v73(path: Path, values, name="bold"):
    """As MATLAB writes it: dimensions from the other end, and the class as an attribute."""
    with h5py.File(path, "w", userblock_size=512) as file:
        item = file.create_dataset(name, data=np.ascontiguousarray(values.T))
        item.attrs["MATLAB_class"] = np.bytes_("double")
        note = file.create_dataset("note", data=np.zeros((3, 4), np.uint16))
        note.attrs["MATLAB_class"] = np.bytes_("char")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def array_folder(root: Path, write, suffix, n=3, n_frames=40):
    root.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        write(root / f"sub-{i}_ses-a{suffix}", series(i, n_frames))
        write_json(root / f"sub-{i}_ses-a.json", {"RepetitionTime": TR})
    return root


def xcpd(root: Path, n=3, seg="AAL2", labels=None, entities="seg"):
    """An XCP-D folder with one run a person, and what else such a folder holds."""
    write_json(root / "dataset_description.json", {"Name": "XCP-D"})
    for i in range(n):
        stem = f"sub-{i}_task-rest_space-MNI152NLin2009cAsym"
        func = root / f"sub-{i}" / "func"
        name = f"{stem}_{entities}-{seg}_stat-mean_timeseries"
        write_text(func / f"{name}.tsv", series(i), labels)
        write_json(func / f"{name}.json", {"RepetitionTime": TR})
        write_text(func / f"{stem}_seg-{seg}_stat-alff_bold.tsv", series(99, 1))
        (func / f"{stem}_desc-denoised_bold.nii.gz").write_bytes(b"an image that is not read")
    return root


def hdf5(path: Path, n=3, tr=TR):
    with h5py.File(path, "w") as file:
        for i in range(n):
            file[f"time_series/p{i}_s{i}"] = series(i).T
        file["metadata/subjects"] = [f"p{i}" for i in range(n)]
        file["metadata/sessions"] = [f"s{i}" for i in range(n)]
        if tr is not None:
            file.attrs["tr"] = tr
    return path


def arrow_table(n=3, tr=TR, **columns):
    """Rows of the brainmarks suite whose raw values are exact in float16 and float32."""
    stored = [np.round(np.random.default_rng(i).standard_normal((40, 94)), 1) for i in range(n)]
    bold = [values.astype(np.float16) for values in stored]
    cells = {
        "sub": [f"p{i}" for i in range(n)],
        "ses": [None] * n,
        "path": [f"p{i}.npy" for i in range(n)],
        "tr": pa.array([tr] * n, pa.float32()),
        "bold": pa.array([list(map(list, b)) for b in bold], pa.list_(pa.list_(pa.float16()))),
        "mean": pa.array([[[64.0] * 94]] * n, pa.list_(pa.list_(pa.float32()))),
        "std": pa.array([[[2.0] * 94]] * n, pa.list_(pa.list_(pa.float32()))),
        "age": [30 + i for i in range(n)],
        **columns,
    }
    return pa.table(cells), [b.astype(np.float64) * 2 + 64 for b in bold]


def arrow_files(root: Path, kind="stream"):
    root.mkdir(parents=True, exist_ok=True)
    table, raw = arrow_table()
    if kind == "parquet":
        pq.write_table(table, root / "part.parquet", row_group_size=2)
    elif kind == "datasets":
        from datasets import Dataset, DatasetDict

        from fmri_descriptors.utils.files import quiet_datasets

        with quiet_datasets():
            whole = Dataset(table)
            DatasetDict({"train": whole.select([0, 1]), "test": whole.select([2])}).save_to_disk(
                root
            )
    else:
        make = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
        with make(str(root / "part.arrow"), table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    return raw


def save_npz(path, values):
    with path.open("wb") as file:
        np.savez_compressed(file, x=values, note=np.arange(3))


ARRAY_KINDS = {
    ".npy": np.save,
    ".npz": save_npz,
    ".mat": lambda path, values: savemat(path, {"x": values}),
    ".tsv": write_text,
    ".csv": lambda path, values: write_text(path, values, separator=","),
}
