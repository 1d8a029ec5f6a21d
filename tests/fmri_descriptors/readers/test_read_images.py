"""4-D NIfTI and fMRIPrep folders: regions, orientation, repetition time, confounds."""

import pickle
import warnings

import nibabel as nib
import numpy as np
import pytest
from nilearn.image import reorder_img
from nilearn.interfaces.fmriprep import load_confounds_strategy
from nilearn.maskers import NiftiLabelsMasker

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.base import ReadOptions
from fmri_descriptors.readers.errors import reading
from fmri_descriptors.readers.layouts.fmriprep import fmriprep_source
from fmri_descriptors.readers.layouts.nifti import nifti_source
from fmri_descriptors.readers.selection.bids_names import identify

from ..image_files import (
    AFFINE,
    REGIONS,
    SHAPE,
    T,
    confounds_table,
    courses,
    label_array,
    save_atlas,
    save_bold,
    save_fmriprep,
    save_json,
    volumes,
)


@pytest.fixture
def atlas(tmp_path):
    return save_atlas(tmp_path / "atlas.nii.gz")


@pytest.fixture
def read(atlas):
    """Series of the only recording of a folder or file."""

    def series(path, source=nifti_source, parcellation=REGIONS, **options):
        found = source(path, ReadOptions(**{"atlas": atlas} | options))
        assert not found.rejected
        (recording,) = found.recordings
        return recording.read(recording.path, parcellation)

    return series


def test_planted_region_means_come_back(tmp_path, read):
    image = save_bold(tmp_path / "in" / "s.nii.gz", volumes(courses()))
    np.testing.assert_allclose(read(image), courses(), rtol=1e-12)


def test_region_means_are_those_of_nilearns_masker(tmp_path, read, atlas):
    data = 100 + np.random.default_rng(0).standard_normal((*SHAPE, T))
    image = save_bold(tmp_path / "in" / "s.nii.gz", data)
    expected = NiftiLabelsMasker(atlas, reports=False, standardize=None).fit_transform(image)
    np.testing.assert_allclose(read(image), expected, rtol=1e-12)


def test_blocks_of_frames_give_the_same_bytes(tmp_path, read, monkeypatch):
    image = save_bold(tmp_path / "in" / "s.nii.gz", volumes(courses()))
    whole = read(image)
    monkeypatch.setattr("fmri_descriptors.readers.images.volumes._BLOCK_VALUES", 7 * 120)
    assert read(image).tobytes() == whole.tobytes()


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_integers_with_a_slope_are_scaled(tmp_path, read, suffix):
    image = nib.Nifti1Image(volumes(courses()), AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = 2.0
    image.set_data_dtype(np.int16)  # nibabel stores a slope and an intercept
    nib.save(image, tmp_path / f"s{suffix}")
    np.testing.assert_allclose(read(tmp_path / f"s{suffix}"), courses(), atol=0.02)


def test_the_other_orientation_gives_the_same_series(tmp_path, read):
    image = save_bold(tmp_path / "in" / "ras.nii.gz", volumes(courses()))
    flipped = nib.load(image).as_reoriented([[0, -1], [1, 1], [2, 1]])
    assert nib.aff2axcodes(flipped.affine) == ("L", "A", "S")
    nib.save(flipped, tmp_path / "in" / "las.nii.gz")
    np.testing.assert_allclose(read(tmp_path / "in" / "las.nii.gz"), read(image), rtol=1e-12)


def test_swapped_axes_give_the_same_series(tmp_path, read):
    image = save_bold(tmp_path / "in" / "ras.nii.gz", volumes(courses()))
    swapped = nib.load(image).as_reoriented([[2, 1], [0, -1], [1, 1]])
    nib.save(swapped, tmp_path / "in" / "swapped.nii.gz")
    assert reorder_img(swapped, copy_header=True).shape[:3] == SHAPE
    np.testing.assert_allclose(read(tmp_path / "in" / "swapped.nii.gz"), read(image), rtol=1e-12)


def test_a_finer_atlas_is_laid_over_by_nearest_neighbour(tmp_path, read):
    fine = label_array().repeat(3, 0).repeat(3, 1).repeat(3, 2)
    affine = np.diag([1.0, 1, 1, 1])
    affine[:3, 3] = AFFINE[:3, 3] - 1  # the middle of three fine voxels is the coarse one
    atlas = save_atlas(tmp_path / "fine.nii.gz", fine, affine)
    image = save_bold(tmp_path / "in" / "s.nii.gz", volumes(courses()))
    np.testing.assert_allclose(read(image, atlas=atlas), courses(), rtol=1e-12)


def test_an_atlas_moved_by_a_voxel_reads_the_neighbour(tmp_path, read):
    affine = AFFINE.copy()
    affine[0, 3] += 3  # label 1 now lies where region b is
    atlas = save_atlas(tmp_path / "moved.nii.gz", affine=affine)
    image = save_bold(tmp_path / "in" / "s.nii.gz", volumes(courses()))
    np.testing.assert_allclose(read(image, atlas=atlas)[:, :3], courses()[:, 1:], rtol=1e-12)


def test_a_region_outside_of_the_image_keeps_its_column_as_nan(tmp_path, read):
    affine = AFFINE.copy()
    affine[0, 3] += 6  # the image begins where region b is
    image = save_bold(tmp_path / "in" / "s.nii.gz", volumes(courses())[2:], affine=affine)
    series = read(image)
    assert np.isnan(series[:, 0]).all()
    np.testing.assert_allclose(series[:, 1:], courses()[:, 1:], rtol=1e-12)


def test_a_region_outside_of_the_image_is_masked_in_the_scan(tmp_path, atlas):
    affine = AFFINE.copy()
    affine[0, 3] += 6
    save_bold(tmp_path / "in" / "s.nii.gz", volumes(courses())[2:], affine=affine)
    (recording,) = nifti_source(tmp_path / "in", ReadOptions(atlas=atlas)).recordings
    assert recording.scan(REGIONS).masked_labels == ("a",)


@pytest.mark.parametrize("empty", [np.nan, 0.0])
def test_voxels_without_data_are_left_out_of_the_mean(tmp_path, read, empty):
    data = np.zeros((*SHAPE, T))
    data[1:5] = courses().T[:, None, None, :]
    data[2, :3] = empty
    image = save_bold(tmp_path / "in" / "s.nii.gz", data)
    np.testing.assert_allclose(read(image), courses(), rtol=1e-12)


def test_a_region_without_data_is_nan(tmp_path, read):
    data = volumes(courses())
    data[2] = np.nan
    image = save_bold(tmp_path / "in" / "s.nii.gz", data)
    assert np.isnan(read(image)).all(axis=0).tolist() == [False, True, False, False]


@pytest.mark.parametrize(("tr", "unit"), [(0.8, "sec"), (800.0, "msec"), (800_000.0, "usec")])
def test_the_header_tells_the_repetition_time_in_its_unit(tmp_path, atlas, tr, unit):
    save_bold(tmp_path / "in" / "s.nii.gz", volumes(courses()), tr=tr, unit=unit)
    (recording,) = nifti_source(tmp_path / "in", ReadOptions(atlas=atlas)).recordings
    assert recording.tr == 0.8


def test_a_nearer_sidecar_overrides_one_further_up(tmp_path, atlas):
    root = tmp_path / "in"
    save_bold(root / "sub-1" / "sub-1_task-rest_bold.nii.gz", volumes(courses()), unit="unknown")
    save_json(root / "task-rest_bold.json", RepetitionTime=3.0)
    save_json(root / "sub-1" / "sub-1_task-rest_bold.json", RepetitionTime=1.5)
    assert nifti_source(root, ReadOptions(atlas=atlas)).recordings[0].tr == 1.5


def test_a_sidecar_of_another_task_is_not_inherited(tmp_path, atlas):
    root = tmp_path / "in"
    save_bold(root / "sub-1_task-rest_bold.nii.gz", volumes(courses()), unit="unknown")
    save_json(root / "task-nback_bold.json", RepetitionTime=3.0)
    (rejected,) = nifti_source(root, ReadOptions(atlas=atlas)).rejected
    assert "without a unit of time" in rejected.reason


def test_two_sidecars_of_one_folder_that_differ_are_refused_by_name(tmp_path, atlas):
    root = tmp_path / "in"
    save_bold(root / "sub-1" / "sub-1_task-rest_bold.nii.gz", volumes(courses()), unit="unknown")
    save_json(root / "task-rest_bold.json", RepetitionTime=3.0)
    save_json(root / "bold.json", RepetitionTime=1.5)
    (rejected,) = nifti_source(root, ReadOptions(atlas=atlas)).rejected
    assert "bold.json, task-rest_bold.json differ in RepetitionTime" in rejected.reason


def test_a_sidecar_may_begin_with_a_byte_order_mark(tmp_path, atlas):
    save_bold(tmp_path / "in" / "s.nii.gz", volumes(courses()), tr=0.0)
    (tmp_path / "in" / "s.json").write_text('{"RepetitionTime": 1.5}', encoding="utf-8-sig")
    assert nifti_source(tmp_path / "in", ReadOptions(atlas=atlas)).recordings[0].tr == 1.5


def test_a_given_repetition_time_stands_where_the_file_tells_none(tmp_path, atlas):
    save_bold(tmp_path / "in" / "s.nii.gz", volumes(courses()), tr=0.0)
    options = ReadOptions(atlas=atlas, tr=2.2)
    assert nifti_source(tmp_path / "in", options).recordings[0].tr == 2.2


def test_a_given_repetition_time_that_disagrees_is_refused_with_both(tmp_path, atlas):
    save_bold(tmp_path / "in" / "s.nii.gz", volumes(courses()), tr=2.0)
    (rejected,) = nifti_source(tmp_path / "in", ReadOptions(atlas=atlas, tr=2.5)).rejected
    assert "2 s" in rejected.reason
    assert "2.5 s" in rejected.reason


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sub-7/ses-b/func/sub-7_ses-b_task-rest_bold.nii.gz", ("sub-7_ses-b_task-rest", "7", "b")),
        ("102816/rest/run1.nii.gz", ("102816_rest_run1", "102816", None)),
        ("anna.nii.gz", ("anna", "anna", None)),
    ],
)
def test_names_tell_who_was_scanned(name, expected):
    who = identify(name)
    assert (who.scan_id, who.subject, who.session) == expected


def test_a_recording_is_read_the_same_after_pickling(tmp_path, atlas):
    save_fmriprep(tmp_path / "in", volumes(courses()))
    (recording,) = fmriprep_source(tmp_path / "in", ReadOptions(atlas=atlas)).recordings
    again = pickle.loads(pickle.dumps(recording))
    assert (
        again.read(again.path, REGIONS).tobytes()
        == recording.read(recording.path, REGIONS).tobytes()
    )


def test_confounds_leave_what_least_squares_leaves(tmp_path, read):
    image = save_fmriprep(tmp_path / "in", volumes(courses()))
    confounds, _ = load_confounds_strategy(str(image), "simple")
    design = np.column_stack([np.ones(T), confounds])
    fit = design @ np.linalg.lstsq(design, courses(), rcond=None)[0]
    expected = courses() - fit + courses().mean(axis=0)
    np.testing.assert_allclose(read(tmp_path / "in", fmriprep_source), expected, rtol=1e-10)


def test_a_planted_confound_is_removed(tmp_path, read):
    table = confounds_table()
    polluted = courses() + 500 * table["trans_x"].to_numpy()[:, None]
    save_fmriprep(tmp_path / "clean", volumes(courses()), table=table)
    save_fmriprep(tmp_path / "polluted", volumes(polluted), table=table)
    left = read(tmp_path / "polluted", fmriprep_source)
    np.testing.assert_allclose(
        left - left.mean(axis=0),
        (clean := read(tmp_path / "clean", fmriprep_source)) - clean.mean(axis=0),
        atol=1e-8,
    )


def test_confounds_none_takes_the_images_as_they_are(tmp_path, read):
    save_fmriprep(tmp_path / "in", volumes(courses()))
    series = read(tmp_path / "in", fmriprep_source, confounds="none")
    np.testing.assert_allclose(series, courses(), rtol=1e-12)


def test_a_masked_region_stays_masked_after_cleaning(tmp_path, read):
    data = volumes(courses())
    data[3] = 0
    save_fmriprep(tmp_path / "in", data)
    series = read(tmp_path / "in", fmriprep_source)
    assert np.isnan(series).any(axis=0).tolist() == [False, False, True, False]


def test_frames_before_the_steady_state_are_cut_off(tmp_path, read):
    save_fmriprep(tmp_path / "in", volumes(courses()), table=confounds_table(steady_from=3))
    assert read(tmp_path / "in", fmriprep_source).shape == (T - 3, 4)


def test_other_tasks_are_left_out_beside_rest(tmp_path, atlas):
    for task in ("rest", "nback"):
        save_fmriprep(tmp_path / "in", volumes(courses()), task=task)
    found = fmriprep_source(tmp_path / "in", ReadOptions(atlas=atlas))
    assert [r.scan_id for r in found.recordings] == ["sub-01_task-rest"]


def test_the_only_task_is_read_whatever_its_name(tmp_path, atlas):
    save_fmriprep(tmp_path / "in", volumes(courses()), task="movie")
    assert len(fmriprep_source(tmp_path / "in", ReadOptions(atlas=atlas)).recordings) == 1


def test_of_two_spaces_one_is_read_and_named(tmp_path, atlas):
    for space in ("MNI152NLin6Asym", "MNI152NLin2009cAsym"):
        save_fmriprep(tmp_path / "in", volumes(courses()), space=space)
    found = fmriprep_source(tmp_path / "in", ReadOptions(atlas=atlas))
    assert "space-MNI152NLin2009cAsym" in found.name
    assert [r.name.count("MNI152NLin2009cAsym") for r in found.recordings] == [1]


def test_a_scan_that_cannot_be_listed_keeps_its_name(tmp_path, atlas):
    for sub in ("01", "02"):
        save_fmriprep(tmp_path / "in", volumes(courses()), sub=sub)
    next((tmp_path / "in").glob("sub-01/func/*confounds*.tsv")).unlink()
    (rejected,) = fmriprep_source(tmp_path / "in", ReadOptions(atlas=atlas)).rejected
    assert rejected.scan_id == "sub-01_task-rest"


def test_sessions_and_subjects_come_from_the_names(tmp_path, atlas):
    save_fmriprep(tmp_path / "in", volumes(courses()), sub="A1", ses="2")
    (recording,) = fmriprep_source(tmp_path / "in", ReadOptions(atlas=atlas)).recordings
    assert (recording.subject, recording.session) == ("A1", "2")


def test_what_a_source_depends_on_includes_confounds_and_atlas(tmp_path, atlas):
    save_fmriprep(tmp_path / "in", volumes(courses()))
    files = fmriprep_source(tmp_path / "in", ReadOptions(atlas=atlas)).files
    assert {f.name for f in files} == {
        "sub-01_task-rest_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz",
        "sub-01_task-rest_desc-confounds_timeseries.tsv",
        "atlas.nii.gz",
    }


def test_scrubbing_is_refused_because_it_drops_frames(tmp_path, atlas):
    save_fmriprep(tmp_path / "in", volumes(courses()))
    with pytest.raises(InputError, match="evenly spaced"):
        fmriprep_source(tmp_path / "in", ReadOptions(atlas=atlas, confounds="scrubbing"))


def test_the_aroma_strategy_reads_the_images_made_for_it(tmp_path, read):
    preproc = save_fmriprep(tmp_path / "in", volumes(courses()))
    aroma = preproc.with_name(preproc.name.replace("desc-preproc", "desc-smoothAROMAnonaggr"))
    save_bold(aroma, volumes(courses(seed=5)))
    confounds, _ = load_confounds_strategy(str(aroma), "ica_aroma")
    design = np.column_stack([np.ones(T), confounds])
    raw = courses(seed=5)
    expected = raw - design @ np.linalg.lstsq(design, raw, rcond=None)[0] + raw.mean(axis=0)
    series = read(tmp_path / "in", fmriprep_source, confounds="ica_aroma")
    np.testing.assert_allclose(series, expected, rtol=1e-10)


def test_fmripreps_sidecar_tells_the_repetition_time(tmp_path, atlas):
    image = save_fmriprep(tmp_path / "in", volumes(courses()), unit="unknown")
    save_json(image.with_name(image.name.replace("nii.gz", "json")), RepetitionTime=0.735)
    (recording,) = fmriprep_source(tmp_path / "in", ReadOptions(atlas=atlas)).recordings
    assert recording.tr == 0.735


def test_names_and_reasons_hold_no_path_of_the_machine(tmp_path, atlas):
    save_bold(tmp_path / "in" / "s.nii.gz", volumes(courses())).write_text("no image")
    found = nifti_source(tmp_path / "in", ReadOptions(atlas=atlas))
    assert str(tmp_path) not in f"{found.name} {found.rejected}"


def test_labels_that_fall_between_coarse_voxels_keep_their_columns_as_nan(tmp_path, read):
    coarse = AFFINE @ np.diag([2.0, 2, 2, 1])  # its voxels lie on the planes 0, 2 and 4
    data = volumes(courses())[::2, ::2, ::2]
    series = read(save_bold(tmp_path / "in" / "s.nii.gz", data, affine=coarse))
    assert np.isnan(series).all(axis=0).tolist() == [True, False, True, False]
    np.testing.assert_allclose(series[:, [1, 3]], data[1:].mean(axis=(1, 2)).T, rtol=1e-12)


def test_warnings_of_libraries_reach_the_log_with_the_files_name(caplog):
    with reading("s.nii.gz", "an image"):
        warnings.warn("odd header", UserWarning, stacklevel=1)
    assert caplog.messages == ["s.nii.gz: odd header"]
