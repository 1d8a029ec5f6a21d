"""Tables of frames beside a recording: as long as the recording, or it is rejected."""

import numpy as np
import pytest

from fmri_descriptors import InputError, open_source
from fmri_descriptors.readers.base import ReadOptions

from ..image_files import (
    REGIONS,
    T,
    confounds_table,
    courses,
    parcels,
    save_atlas,
    save_bold,
    save_cifti,
    save_fmriprep,
    volumes,
)
from ..planted import write_text

REST = "sub-1_task-rest_run-2"


def table(root):
    func = root / "sub-1" / "func"
    write_text(func / f"{REST}_space-fsLR_seg-Four_timeseries.tsv", courses(), REGIONS.labels)
    return func


def image(root):
    save_bold(root / f"{REST}_desc-denoised_bold.nii", volumes(courses()))
    return root


def parcel_series(root):
    save_cifti(root / f"{REST}_space-fsLR_bold.ptseries.nii", courses(), parcels(), tr=2.0)
    return root


def array(root):
    root.mkdir()
    np.save(root / f"{REST}.npy", courses())
    return root


LAYOUTS = [table, image, parcel_series, array]


def read(tmp_path, layout):
    atlas = save_atlas(tmp_path / "atlas.nii.gz") if layout is image else None
    (recording,) = open_source(tmp_path / "in", ReadOptions(tr=2.0, atlas=atlas)).recordings
    return recording.scan(REGIONS)


def write_lines(path, n_lines):
    path.write_text("a\tb\n" + "0\tn/a\n" * n_lines + "\n")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "name",
    [
        f"{REST}_outliers.tsv",
        f"{REST}_desc-filtered_motion.csv",
        "sub-1_run-02_task-rest_design.tsv",
        f"{REST}_desc-confounds_timeseries.tsv",
    ],
)
def test_a_table_of_another_length_rejects_the_scan_with_both_counts(tmp_path, layout, name):
    beside = layout(tmp_path / "in") / name
    write_lines(beside, T)
    assert read(tmp_path, layout).n_frames == T
    write_lines(beside, T + 9)
    with pytest.raises(InputError, match=rf"{beside.name}: {T + 9} lines, but .* {T} frames"):
        read(tmp_path, layout)


def test_a_table_of_frames_without_a_header_counts_by_its_lines(tmp_path):
    beside = array(tmp_path / "in") / f"{REST}_motion.tsv"
    beside.write_text("0.5\t1e-3\n" * T)
    assert read(tmp_path, array).n_frames == T
    beside.write_text("0.5\t1e-3\n" * (T + 2))
    with pytest.raises(InputError, match=f"{T + 1} lines"):
        read(tmp_path, array)


@pytest.mark.parametrize(
    "name",
    [
        "sub-1_task-rest_run-1_outliers.tsv",
        "sub-1_task-rest_outliers.tsv",
        "sub-2_task-rest_run-2_outliers.tsv",
        f"{REST}_events.tsv",
    ],
)
def test_a_table_of_another_recording_or_of_events_does_not_count(tmp_path, name):
    write_lines(table(tmp_path / "in") / name, 3)
    assert read(tmp_path, table).n_frames == T


def test_confounds_are_counted_where_they_are_not_asked_for_too(tmp_path):
    save_fmriprep(tmp_path / "in", volumes(courses()), table=confounds_table(T + 1))
    options = ReadOptions(confounds="none", atlas=save_atlas(tmp_path / "atlas.nii.gz"))
    (recording,) = open_source(tmp_path / "in", options).recordings
    with pytest.raises(InputError, match=f"{T + 1} lines"):
        recording.scan(REGIONS)


def test_confounds_that_nilearn_does_not_know_are_called_by_their_age(tmp_path):
    stem = "sub-1_task-rest_bold"
    func = tmp_path / "in" / "sub-1" / "func"
    save_bold(func / f"{stem}_space-MNI152NLin2009cAsym_preproc.nii.gz", volumes(courses()))
    write_text(func / f"{stem}_confounds.tsv", courses(), ["WhiteMatter", "X", "Y", "Z"])
    options = ReadOptions(atlas=save_atlas(tmp_path / "atlas.nii.gz"))
    (recording,) = open_source(tmp_path / "in", options).recordings
    with pytest.raises(InputError, match=r"fMRIPrep before 1\.2"):
        recording.scan(REGIONS)


def test_preprocessed_images_beside_their_confounds_are_cleaned_outside_of_func_too(tmp_path):
    image = save_fmriprep(tmp_path / "in", volumes(courses()))
    for path in list(image.parent.iterdir()):
        path.rename(tmp_path / "in" / path.name)
    options = ReadOptions(atlas=save_atlas(tmp_path / "atlas.nii.gz"))
    assert "confounds simple" in open_source(tmp_path / "in", options).name


def test_a_run_has_its_own_confounds_beside_those_of_the_joined_runs(tmp_path):
    image = save_fmriprep(tmp_path / "in", volumes(courses()), task="rest_run-1")
    longer = confounds_table(2 * T)
    longer.to_csv(
        image.with_name("sub-01_task-rest_desc-confounds_timeseries.tsv"), sep="\t", na_rep="n/a"
    )
    options = ReadOptions(atlas=save_atlas(tmp_path / "atlas.nii.gz"))
    (recording,) = open_source(tmp_path / "in", options).recordings
    assert recording.scan(REGIONS).n_frames == T


def as_made(image):
    return confounds_table()


def unpacked(image):
    save_bold(image.with_name(image.name.removesuffix(".gz")), volumes(courses()))
    image.unlink()
    return confounds_table()


def quoted_header(image):
    table = confounds_table()
    lines = table.to_csv(sep="\t", na_rep="n/a", index=False).splitlines()
    head = "\t".join(f'"{name}"' for name in table.columns)
    confounds_of(image).write_text("\n".join([head, *lines[1:]]) + "\n")
    return table


def run_too_short_for_cosines(image):
    table = confounds_table().drop(columns="cosine00")
    table.to_csv(confounds_of(image), sep="\t", na_rep="n/a", index=False)
    return table


def confounds_of(image):
    return image.with_name("sub-01_task-rest_desc-confounds_timeseries.tsv")


@pytest.mark.parametrize("change", [as_made, unpacked, quoted_header, run_too_short_for_cosines])
def test_series_are_the_residuals_of_least_squares_however_a_run_is_stored(tmp_path, change):
    table = change(save_fmriprep(tmp_path / "in", volumes(courses())))
    options = ReadOptions(atlas=save_atlas(tmp_path / "atlas.nii.gz"))
    (recording,) = open_source(tmp_path / "in", options).recordings
    confounds = table.drop(columns="framewise_displacement").bfill()
    design = np.column_stack([np.ones(T), confounds])
    fit = design @ np.linalg.lstsq(design, courses(), rcond=None)[0]
    expected = courses() - fit + courses().mean(axis=0)
    np.testing.assert_allclose(recording.scan(REGIONS).timeseries, expected, rtol=1e-8)
