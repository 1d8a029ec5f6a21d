"""Broken images and folders: one clear line that names the file, and never a number."""

import gzip
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import pytest

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.base import ReadOptions
from fmri_descriptors.readers.layouts.cifti import cifti_source
from fmri_descriptors.readers.layouts.fmriprep import fmriprep_source
from fmri_descriptors.readers.layouts.nifti import nifti_source

from ..image_files import (
    REGIONS,
    SHAPE,
    T,
    confounds_table,
    courses,
    label_array,
    parcels,
    save_atlas,
    save_bold,
    save_cifti,
    save_fmriprep,
    save_json,
    volumes,
)

MNI = "sub-01_task-rest_space-MNI152NLin2009cAsym_desc-preproc_bold"
CONFOUNDS = "sub-01/func/sub-01_task-rest_desc-confounds_timeseries"


@dataclass
class Folder:
    """A good folder of each kind, to be broken."""

    root: object

    def bold(self, suffix=".nii.gz", **changes):
        return save_bold(self.root / f"s{suffix}", volumes(courses()), **changes)

    def prep(self, **changes):
        return save_fmriprep(self.root, volumes(courses()), **changes)

    def ptseries(self, data=None, **changes):
        data = courses() if data is None else data
        return save_cifti(self.root / "s.ptseries.nii", data, parcels(), **changes)


def cut(path, keep):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])


def write_header(path, raw, header_shape):
    """Change the shape in a header and leave the data."""
    image = nib.Nifti1Header(raw[:348])
    image.set_data_shape(header_shape)
    path.write_bytes(image.binaryblock + raw[348:])


def truncated_nii(folder):
    cut(folder.bold(".nii"), 0.6)


def truncated_gzip(folder):
    cut(folder.bold(), 0.6)


def header_cut_short(folder):
    cut(folder.bold(".nii"), 0.001)


def empty_file(folder):
    folder.bold().write_bytes(b"")


def corrupt_gzip(folder):
    path = folder.bold()
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)


def wrong_checksum(folder):
    path = folder.bold()
    raw = bytearray(path.read_bytes())
    raw[-8] ^= 0xFF
    path.write_bytes(raw)


def header_promises_more_frames(folder):
    path = folder.bold(".nii")
    write_header(path, path.read_bytes(), (*SHAPE, T + 5))


def header_promises_other_voxels(folder):
    path = folder.bold(".nii")
    write_header(path, path.read_bytes(), (3, 5, 4, T))


def gzip_header_promises_fewer_frames(folder):
    path = folder.bold()
    plain = path.with_name("s.nii")
    write_header(plain, gzip.decompress(path.read_bytes()), (*SHAPE, T - 5))
    path.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()


def gzip_header_promises_a_huge_image(folder):
    path = folder.bold()
    plain = path.with_name("s.nii")
    write_header(plain, gzip.decompress(path.read_bytes()), (30000, 30000, 30000, 30000))
    path.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()


def text_named_nii_gz(folder):
    folder.bold().write_text("this is not an image\n")


def text_named_nii(folder):
    folder.bold(".nii").write_text("this is not an image\n" * 50)


def three_dimensions(folder):
    save_bold(folder.root / "s.nii.gz", volumes(courses())[..., 0], tr=0)


def complex_voxels(folder):
    image = nib.Nifti1Image(volumes(courses()).astype(np.complex64), np.eye(4))
    nib.save(image, folder.root / "s.nii.gz")


def no_position(folder):
    path = folder.bold()
    image = nib.load(path)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nib.save(image, path)


def infinite_affine(folder):
    path = folder.bold(".nii")
    header = nib.Nifti1Header(path.read_bytes()[:348])
    header["srow_x"][3] = np.inf
    path.write_bytes(header.binaryblock + path.read_bytes()[348:])


def beside_the_atlas(folder):
    folder.bold(affine=np.diag([3.0, 3, 3, 1]) + np.array([[0, 0, 0, 500.0]] * 3 + [[0] * 4]))


def zero_frame_step(folder):
    folder.bold(tr=0.0)


def frame_step_without_unit(folder):
    folder.bold(unit="unknown")


def frame_step_in_hertz(folder):
    folder.bold(unit="hz")


def milliseconds_called_seconds(folder):
    folder.bold(tr=2000.0)


def seconds_called_milliseconds(folder):
    folder.bold(tr=2.0, unit="msec")


def nan_in_one_frame(folder):
    data = volumes(courses())
    data[2, 2, 2, 7] = np.nan
    save_bold(folder.root / "s.nii.gz", data)


def infinite_voxel(folder):
    data = volumes(courses())
    data[2, 2, 2, 7] = -np.inf
    save_bold(folder.root / "s.nii.gz", data)


def corrupt_sidecar(folder):
    folder.bold()
    (folder.root / "s.json").write_text('{"RepetitionTime": 2.0')


def sidecar_that_is_a_list(folder):
    folder.bold()
    (folder.root / "s.json").write_text("[2.0]")


def sidecar_with_text_for_a_number(folder):
    folder.bold()
    save_json(folder.root / "s.json", RepetitionTime="2.0")


def sidecar_with_a_negative_number(folder):
    folder.bold()
    save_json(folder.root / "s.json", RepetitionTime=-2.0)


def sidecar_against_header(folder):
    folder.bold()
    save_json(folder.root / "s.json", RepetitionTime=0.8)


def uneven_frames(folder):
    folder.bold(tr=0.0)
    save_json(folder.root / "s.json", VolumeTiming=[0, 2, 5])


def cifti_among_volumes(folder):
    folder.ptseries().rename(folder.root / "s.nii")


@pytest.fixture
def fault(tmp_path):
    """The one line that a broken folder gives, whether when found or when read."""

    def line(source, break_it, **options):
        folder = Folder(tmp_path / "in")
        folder.root.mkdir()
        break_it(folder)
        if source is not cifti_source:
            options = {"atlas": save_atlas(tmp_path / "atlas.nii.gz")} | options
        found = source(folder.root, ReadOptions(**options))
        if found.rejected:
            return found.rejected[0].reason
        (recording,) = found.recordings
        with pytest.raises(InputError) as caught:
            recording.read(recording.path, REGIONS)
        return str(caught.value)

    return line


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (truncated_nii, "promises"),
        (truncated_gzip, "cannot be read"),
        (header_cut_short, "cannot be read"),
        (empty_file, "is empty"),
        (corrupt_gzip, "cannot be read"),
        (wrong_checksum, "cannot be read"),
        (header_promises_more_frames, "promises"),
        (header_promises_other_voxels, "promises"),
        (gzip_header_promises_fewer_frames, "holds more data"),
        (gzip_header_promises_a_huge_image, "at most"),
        (text_named_nii_gz, "cannot be read"),
        (text_named_nii, "cannot be read"),
        (three_dimensions, "4-D"),
        (complex_voxels, "complex"),
        (no_position, "sform and qform codes are 0"),
        (infinite_affine, "affine"),
        (beside_the_atlas, "does not overlap"),
        (zero_frame_step, "frame step of 0"),
        (frame_step_without_unit, "without a unit of time"),
        (frame_step_in_hertz, "without a unit of time"),
        (milliseconds_called_seconds, "milliseconds"),
        (seconds_called_milliseconds, "0.002"),
        (nan_in_one_frame, "region b has points that are NaN in some frames"),
        (infinite_voxel, "region b has infinite values"),
        (corrupt_sidecar, "cannot be read as JSON"),
        (sidecar_that_is_a_list, "no JSON object"),
        (sidecar_with_text_for_a_number, "'2.0'"),
        (sidecar_with_a_negative_number, "-2.0"),
        (sidecar_against_header, "0.8 s, but s.nii.gz (header) says 2 s;"),
        (uneven_frames, "VolumeTiming"),
        (cifti_among_volumes, "Cifti2Image"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_image_gives_one_line_that_names_it(fault, break_it, words):
    line = fault(nifti_source, break_it)
    assert line.startswith("s.")
    assert words in line
    assert "\n" not in line


def no_confounds(folder):
    folder.prep()
    (folder.root / f"{CONFOUNDS}.tsv").unlink()


def two_confounds(folder):
    folder.prep()
    table = folder.root / f"{CONFOUNDS}.tsv"
    table.with_name(table.name.replace("timeseries", "regressors")).write_bytes(table.read_bytes())


def confounds_of_other_length(folder):
    folder.prep(table=confounds_table(T - 4))


def confounds_without_motion(folder):
    folder.prep(table=confounds_table().drop(columns="trans_x"))


def confounds_without_white_matter(folder):
    folder.prep(table=confounds_table().drop(columns="white_matter"))


def confounds_with_a_hole(folder):
    table = confounds_table()
    table.loc[9, "csf"] = np.nan
    folder.prep(table=table)


def confounds_with_words(folder):
    table = confounds_table().astype({"csf": object})
    table.loc[9, "csf"] = "high"
    folder.prep(table=table)


def empty_confounds(folder):
    folder.prep()
    (folder.root / f"{CONFOUNDS}.tsv").write_text("")


def binary_confounds(folder):
    folder.prep()
    (folder.root / f"{CONFOUNDS}.tsv").write_bytes(bytes(range(256)))


def corrupt_confounds_json(folder):
    folder.prep()
    (folder.root / f"{CONFOUNDS}.json").write_text("{")


def unsteady_frames_inside(folder):
    table = confounds_table()
    table["non_steady_state_outlier00"] = np.eye(T)[12]
    folder.prep(table=table)


def more_confounds_than_frames(folder):
    n_frames = 20
    save_fmriprep(folder.root, volumes(courses(n_frames=n_frames)), table=confounds_table(n_frames))


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (no_confounds, "0 confounds tables"),
        (two_confounds, "2 confounds tables"),
        (confounds_of_other_length, f"{T - 4} lines"),
        (confounds_without_motion, "trans_x"),
        (confounds_without_white_matter, "white_matter"),
        (confounds_with_a_hole, "csf"),
        (confounds_with_words, "cannot be read"),
        (empty_confounds, "is empty"),
        (binary_confounds, "cannot be read"),
        (corrupt_confounds_json, "cannot be read"),
        (unsteady_frames_inside, "evenly spaced"),
        (more_confounds_than_frames, "leave nothing"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_broken_confounds_give_one_line_that_names_the_run(fault, break_it, words):
    line = fault(fmriprep_source, break_it)
    assert line.startswith("sub-01_task-rest")
    assert words in line
    assert "\n" not in line


def truncated_cifti(folder):
    cut(folder.ptseries(), 0.9)


def text_named_cifti(folder):
    folder.ptseries().write_text("this is not an image\n" * 50)


def volumes_named_cifti(folder):
    folder.bold(".nii").rename(folder.root / "s.ptseries.nii")


def broken_xml(folder):
    path = folder.ptseries()
    path.write_bytes(path.read_bytes().replace(b"<Matrix", b"<Motrix", 1))


def other_number_of_points(folder):
    path = folder.ptseries()
    old = f'NumberOfSeriesPoints="{T}"'.encode()
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, f'NumberOfSeriesPoints="{T - 1}"'.encode(), 1))


def no_series_step(folder):
    folder.ptseries(tr=0.0)


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (truncated_cifti, "promises"),
        (text_named_cifti, "cannot be read"),
        (volumes_named_cifti, "no CIFTI-2 file"),
        (broken_xml, "cannot be read"),
        (other_number_of_points, "axes"),
        (no_series_step, "no step"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_broken_cifti_gives_one_line_that_names_it(fault, break_it, words):
    line = fault(cifti_source, break_it)
    assert line.startswith("s.ptseries.nii")
    assert words in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (label_array() * 0, "no label"),
        (np.where(label_array() == 2, 0, label_array()), "3 labels from 1 to 4"),
        (np.maximum(label_array() - 1, 0), "3 labels from 1 to 3"),
        (np.where(label_array() == 4, 5, label_array()), "4 labels from 1 to 5"),
        (label_array() * 0.5, "whole numbers"),
        (-label_array(), "whole numbers"),
        (np.stack([label_array()] * 2, axis=3), "3-D"),
    ],
    ids=["empty", "gap", "counted from 0", "beyond", "fractions", "negative", "4-D"],
)
def test_an_atlas_without_the_labels_is_refused(tmp_path, labels, words):
    save_bold(tmp_path / "in" / "s.nii.gz", volumes(courses()))
    atlas = save_atlas(tmp_path / "atlas.nii.gz", labels)
    with pytest.raises(InputError, match=words) as caught:
        nifti_source(tmp_path / "in", ReadOptions(atlas=atlas)).recordings[0].scan(REGIONS)
    assert str(caught.value).startswith("atlas.nii.gz: ")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (nifti_source, r"no \.nii or"),
        (fmriprep_source, "desc-preproc_bold"),
        (cifti_source, r"no \.ptseries"),
    ],
)
def test_an_empty_folder_is_refused_with_what_was_looked_for(tmp_path, source, words):
    (tmp_path / "in").mkdir()
    options = ReadOptions(atlas=save_atlas(tmp_path / "atlas.nii.gz"))
    with pytest.raises(InputError, match=words):
        source(tmp_path / "in", options)


@pytest.mark.parametrize("source", [nifti_source, fmriprep_source])
def test_images_without_an_atlas_are_refused(tmp_path, source):
    save_fmriprep(tmp_path, volumes(courses()))
    with pytest.raises(InputError, match="need an atlas"):
        source(tmp_path, ReadOptions())


def test_a_missing_atlas_is_refused(tmp_path):
    save_bold(tmp_path / "s.nii.gz", volumes(courses()))
    with pytest.raises(InputError, match="no such file"):
        nifti_source(tmp_path, ReadOptions(atlas=tmp_path / "gone.nii.gz"))


def test_one_broken_scan_does_not_stop_the_others(tmp_path):
    for sub in ("01", "02"):
        save_fmriprep(tmp_path / "in", volumes(courses()), sub=sub)
    (tmp_path / "in" / "sub-01" / "func" / f"{MNI}.nii.gz").write_text("no image")
    options = ReadOptions(atlas=save_atlas(tmp_path / "atlas.nii.gz"))
    found = fmriprep_source(tmp_path / "in", options)
    assert [r.subject for r in found.recordings] == ["02"]
