"""What a file declares is compared with the regions and the size limit before it is read."""

import tracemalloc
import zipfile
from io import BytesIO

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from fmri_descriptors import CohortSettings, InputError, open_source, write_cohort
from fmri_descriptors.readers.base import ReadOptions, Recording, Source
from fmri_descriptors.readers.images.regions import region_means
from fmri_descriptors.readers.layouts.arrays import read_array
from fmri_descriptors.readers.layouts.hdf5 import read_series
from fmri_descriptors.readers.limits import MAX_VALUES

from ..image_files import REGIONS, courses, parcels, save_atlas, save_bold, save_cifti, volumes
from ..planted import save_npz, write_mat_v73, write_text

N = REGIONS.n_regions


def declared(shape):
    """A .npy file that declares a shape, and has none of its values."""
    file = BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


def npz(path, shape):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", declared(shape))


def npy(path, shape):
    path.write_bytes(declared(shape))


def mat(path, shape):
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("x", shape=shape[::-1], dtype="f8", chunks=True)
        file["x"].attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


@pytest.mark.parametrize("write", [npy, npz, mat])
@pytest.mark.parametrize(
    ("shape", "words"),
    [((MAX_VALUES, N), "at most"), ((1000, 60_000), f"60000 regions, but .* has {N}")],
    ids=["too large", "other regions"],
)
def test_a_small_file_that_declares_much_is_refused_unread(tmp_path, write, shape, words):
    path = tmp_path / f"s.{write.__name__}"
    write(path, shape)
    tracemalloc.start()
    with pytest.raises(InputError, match=words):
        read_array(path, REGIONS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**23


def test_an_hdf5_series_that_declares_much_is_refused_unread(tmp_path):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file.create_dataset("time_series/a", shape=(N, MAX_VALUES), dtype="f8", chunks=True)
    with pytest.raises(InputError, match="at most"):
        read_series(tmp_path / "s.h5", REGIONS, "a")


ARRAYS = {
    ".npy": lambda path: np.save(path, courses()),
    ".npz": lambda path: save_npz(path, courses()),
    ".mat": lambda path: savemat(path, {"x": courses()}),
    ".v73.mat": lambda path: write_mat_v73(path, courses()),
    ".tsv": lambda path: write_text(path, courses(), REGIONS.labels),
}


@pytest.mark.parametrize("ending", ARRAYS)
def test_one_limit_holds_for_every_kind_of_array(tmp_path, monkeypatch, ending):
    path = tmp_path / f"s{ending}"
    ARRAYS[ending](path)
    assert read_array(path, REGIONS).shape == courses().shape
    for module in ("limits", "layouts.arrays"):
        monkeypatch.setattr(f"fmri_descriptors.readers.{module}.MAX_VALUES", 100)
    with pytest.raises(InputError, match="at most"):
        read_array(path, REGIONS)


def test_the_limit_holds_for_images_and_their_atlas(tmp_path, monkeypatch):
    image = save_bold(tmp_path / "s.nii.gz", volumes(courses()))
    atlas = save_atlas(tmp_path / "atlas.nii.gz")
    monkeypatch.setattr("fmri_descriptors.readers.limits.MAX_VALUES", 130)
    with pytest.raises(InputError, match=r"s\.nii\.gz: declares .* at most 130"):
        region_means(image, REGIONS, atlas)  # 120 voxels, 160 values of regions
    monkeypatch.setattr("fmri_descriptors.readers.limits.MAX_VALUES", 100)
    with pytest.raises(InputError, match=r"atlas\.nii\.gz: declares .* at most 100"):
        region_means(image, REGIONS, atlas)


def test_the_limit_holds_for_parcels(tmp_path, monkeypatch):
    save_cifti(tmp_path / "sub-1.ptseries.nii", courses(), parcels())
    (recording,) = open_source(tmp_path).recordings
    monkeypatch.setattr("fmri_descriptors.readers.limits.MAX_VALUES", 100)
    with pytest.raises(InputError, match="at most 100"):
        recording.scan(REGIONS)


def out_of_memory(path, parcellation):
    raise MemoryError


def test_a_scan_that_does_not_fit_into_memory_is_rejected_alone(tmp_path):
    for i in range(4):
        np.save(tmp_path / f"sub-{i}.npy", courses(i))
    source = open_source(tmp_path, ReadOptions(tr=2.0))
    first, *others = source.recordings
    large = Recording(first.path, first.name, "sub-0", "0", None, None, 2.0, out_of_memory)
    (tmp_path / "four.tsv").write_text("label\tnetwork\na\tV\nb\tV\nc\tM\nd\tM\n")
    (tmp_path / "out").mkdir()
    said = write_cohort(
        Source("s", (large, *others), source.files),
        tmp_path / "out",
        CohortSettings(parcellation=str(tmp_path / "four.tsv"), test_subjects=("1",)),
    )
    assert "4 files found: 3 used, 1 rejected, 0 left out" in said
    assert "does not fit into memory" in (tmp_path / "out" / "rejected.tsv").read_text()


def test_the_limit_is_no_obstacle_for_the_longest_recordings_there_are():
    hours, tr, n_regions = 8, 0.72, 1000
    assert hours * 3600 / tr * n_regions < MAX_VALUES
