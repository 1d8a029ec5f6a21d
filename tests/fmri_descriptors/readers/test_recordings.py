"""Which files are one recording, and which of them is read."""

import os

import numpy as np
import pytest

from fmri_descriptors import InputError, open_source
from fmri_descriptors.readers.base import LeftOut, ReadOptions
from fmri_descriptors.readers.selection.bids_names import identify, parse_name
from fmri_descriptors.readers.selection.candidates import Account
from fmri_descriptors.readers.selection.recordings import Layout, choose_files

from ..image_files import (
    REGIONS,
    courses,
    parcels,
    save_atlas,
    save_bold,
    save_cifti,
    save_fmriprep,
    volumes,
)
from ..planted import write_json, write_text

IMAGES = Layout(endings=(".nii", ".nii.gz"))


@pytest.fixture
def choose(tmp_path):
    """What becomes of files: names of those read, rule or fault of the others by name."""

    def sort(*names, layout=IMAGES, **options):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"content")
        account = Account(tmp_path)
        files = sorted(tmp_path / name for name in names)
        chosen = choose_files(files, layout, ReadOptions(**options), account)
        others = {each.path: each.rule for each in account.left_out}
        others |= {each.path: each.reason for each in account.rejected}
        return [each.name for each in chosen], others

    return sort


@pytest.mark.parametrize(
    ("read", "other", "rule"),
    [
        ("sub-1_task-rest_bold.nii", "sub-1_task-nback_bold.nii", "other task"),
        ("sub-1_run-1_bold.nii", "sub-1_bold.nii", "joined runs"),
        ("sub-1_dir-AP_run-1_bold.nii", "sub-1_bold.nii", "joined runs"),
        ("sub-1_dir-AP_run-1_bold.nii", "sub-1_dir-AP_bold.nii", "joined runs"),
        ("sub-1_bold.nii", "sub-1_echo-2_bold.nii", "single echo"),
        ("sub-1_desc-preproc_bold.nii", "sub-1_echo-2_desc-preproc_bold.nii", "single echo"),
        ("sub-1_part-mag_bold.nii", "sub-1_part-phase_bold.nii", "other part"),
        ("sub-1_bold.nii", "sub-1_part-real_bold.nii", "other part"),
        ("sub-1_desc-denoised_bold.nii", "sub-1_desc-preproc_bold.nii", "other description"),
        ("sub-1_desc-preproc_bold.nii", "sub-1_bold.nii", "other description"),
        ("sub-1_bold.nii", "sub-1_bold.nii.gz", "second copy"),
        ("sub-1_bold.nii", "sub-1_bold.dtseries.nii", "other kind of file"),
        ("sub-1_bold.nii", "sub-1_T1w.nii", "not a series"),
        ("sub-1_bold.nii", "sub-1_stat-alff_bold.nii", "not a series of means"),
        (
            "sub-1_space-MNI152NLin2009cAsym_bold.nii",
            "sub-1_space-MNI152NLin6Asym_bold.nii",
            "other space",
        ),
        (
            "sub-1_space-MNI152NLin6Asym_bold.nii",
            "sub-1_space-MNI152NLin6Asym_res-2_bold.nii",
            "other space",
        ),
    ],
)
def test_of_two_files_one_is_read_and_the_other_left_out_under_its_rule(choose, read, other, rule):
    assert choose(read, other) == ([read], {other: rule})


def test_the_space_of_most_recordings_is_read_and_who_lacks_it_is_rejected(choose):
    kept, others = choose(
        "sub-1_space-T1w_bold.nii", "sub-2_space-T1w_bold.nii", "sub-3_space-fsLR_bold.nii"
    )
    assert kept == ["sub-1_space-T1w_bold.nii", "sub-2_space-T1w_bold.nii"]
    assert "not there in space T1w" in others["sub-3_space-fsLR_bold.nii"]


def test_only_recordings_whose_content_is_here_choose_the_space(choose, tmp_path):
    for sub in ("1", "2"):
        (tmp_path / f"sub-{sub}_space-B_bold.nii").write_bytes(b"content")
        (tmp_path / f"sub-{sub}_space-A_bold.nii").symlink_to("nowhere")
    account = Account(tmp_path)
    chosen = choose_files(sorted(tmp_path.iterdir()), IMAGES, ReadOptions(), account)
    assert [each.space for each in chosen] == ["B", "B"]


@pytest.mark.parametrize("asked", ["A:res-2", "A_res-2", "space-A_res-2"])
def test_a_space_is_asked_for_with_its_resolution(choose, asked):
    wide, fine = "sub-1_space-A_bold.nii", "sub-1_space-A_res-2_bold.nii"
    assert choose(wide, fine, space=asked) == ([fine], {wide: "other space"})


@pytest.mark.parametrize(
    ("options", "words"),
    [({"space": "C"}, "C is none of the spaces"), ({"tasks": ("c",)}, "c is none of the tasks")],
)
def test_what_is_asked_for_and_is_not_there_is_told_with_what_is(choose, options, words):
    with pytest.raises(InputError, match=f"{words}.*: A") as caught:
        choose("sub-1_task-A_space-A_bold.nii", **options)
    assert "\n" not in str(caught.value)


def test_tasks_are_read_as_named_and_a_file_without_one_is_not_among_them(choose):
    names = [f"sub-1{task}_bold.nii" for task in ("_task-a", "_task-b", "_task-rest", "")]
    kept, others = choose(*names, tasks=("a", "task-b"))
    assert kept == names[:2]
    assert set(others.values()) == {"other task"}


def test_several_tasks_without_rest_have_to_be_named(choose):
    with pytest.raises(InputError, match=r"the tasks are a, b, none of them rest; .* --task"):
        choose("sub-1_task-a_bold.nii", "sub-1_task-b_bold.nii")


def test_arrays_that_somebody_put_there_are_read_for_every_task_where_none_is_rest(tmp_path):
    for task in ("open", "shut"):
        np.save(tmp_path / f"sub-1_task-{task}.npy", courses())
    found = open_source(tmp_path, ReadOptions(tr=2.0))
    assert len(found.recordings) == 2
    assert found.choices == ("task open, shut of open, shut",)


def test_echoes_alone_are_rejected(choose):
    kept, others = choose("sub-1_echo-1_bold.nii", "sub-1_echo-2_bold.nii")
    assert kept == []
    assert all("combine the echoes" in fault for fault in others.values())


def test_two_files_that_both_claim_a_recording_do_not_end_the_others(choose):
    kept, others = choose(
        "sub-1/func/sub-1_run-1_bold.nii", "sub-1/old/sub-1_run-01_bold.nii", "sub-2_bold.nii"
    )
    assert kept == ["sub-1/func/sub-1_run-1_bold.nii", "sub-2_bold.nii"]
    assert "is of the recording of sub-1/func" in others["sub-1/old/sub-1_run-01_bold.nii"]


def test_two_names_of_one_file_are_one_recording(choose, tmp_path):
    (tmp_path / "sub-1_run-01_bold.nii").write_bytes(b"content")
    os.link(tmp_path / "sub-1_run-01_bold.nii", tmp_path / "sub-1_run-1_bold.nii")
    account = Account(tmp_path)
    chosen = choose_files(sorted(tmp_path.iterdir()), IMAGES, ReadOptions(), account)
    assert [each.name for each in chosen] == ["sub-1_run-01_bold.nii"]
    assert [each.rule for each in account.left_out] == ["second copy"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("sub-C-04_task-rest_bold.nii", "sub-C04_task-rest_bold.nii"),
        ("sub-S_05_task-rest_bold.nii", "sub-S05_task-rest_bold.nii"),
        ("sub-1_task-rest_my-data_bold.v2.nii", "sub-1_task-rest_my-data_boldv2.nii"),
        ("sub-1_run_2_bold.nii.gz", "sub-1_run-2_bold.nii.gz"),
        ("sub-1_acq-a_acq-b_bold.nii", "sub-1_acq-aacqb_bold.nii"),
    ],
)
def test_a_name_that_is_none_of_bids_is_rejected_with_one_that_is(choose, name, wanted):
    kept, others = choose(name)
    assert kept == []
    assert f"such as {wanted}" in others[name]
    assert parse_name(wanted).entities["sub"]


def test_a_name_that_contradicts_its_folder_is_rejected(choose):
    name = "sub-1/ses-a/sub-1_ses-b_bold.nii"
    kept, others = choose(name)
    assert kept == []
    assert "lies in the folder ses-a, but its name says ses-b" in others[name]


def test_a_rule_without_a_name_cannot_be_applied():
    with pytest.raises(ValueError, match="'whim' is no rule"):
        LeftOut("a.nii", "whim", "because")


@pytest.mark.parametrize(
    ("name", "recording"),
    [
        ("sub-1_run-2_acq-x_task-rest_ses-a_bold.nii", "sub-1_ses-a_task-rest_acq-x_run-2"),
        ("sub-1_task-rest_bold_space-T1w_preproc.nii.gz", "sub-1_task-rest"),
        ("sub-1_task-rest_bold_space-T1w_variant-smooth_preproc.nii.gz", "sub-1_task-rest"),
        ("sub-1_task-rest_space-fsLR_atlas-G_den-91k_bold.ptseries.nii", "sub-1_task-rest"),
        ("sub-1_task-rest_seg-G_stat-mean_timeseries.tsv", "sub-1_task-rest"),
        ("sub-1_foo-x_part-mag_task-rest_bold.nii", "sub-1_task-rest_foo-x"),
        ("sub-1_space-A_cohort-2_label-GM_hemi-L_rest.npy", "sub-1"),
        ("SUB-1_Ses-a_TASK-rest_bold.NII.GZ", "sub-1_ses-a_task-rest"),
    ],
)
def test_a_recording_has_one_name_however_its_file_is_called(name, recording):
    assert identify(name).scan_id == recording


def test_old_names_of_fmriprep_have_the_description_in_the_end():
    assert parse_name("sub-1_bold_space-T1w_preproc.nii.gz").description == "preproc"
    assert parse_name("sub-1_space-A_variant-smoothAROMAnonaggr_bold.nii").description == (
        "smoothAROMAnonaggr"
    )


def fmriprep(root):
    for sub in ("1", "2"):
        save_fmriprep(root, volumes(courses()), sub=sub, ses="a")


def old_fmriprep(root):
    for sub in ("1", "2"):
        stem = f"sub-{sub}_ses-a_task-rest_bold"
        func = root / f"sub-{sub}" / "ses-a" / "func"
        image = f"{stem}_space-MNI152NLin2009cAsym_preproc.nii.gz"
        save_bold(func / image, volumes(courses()))


def images(root):
    for sub in ("1", "2"):
        save_bold(root / f"sub-{sub}_task-rest_ses-a_desc-x_bold.nii", volumes(courses()))


def xcpd(root):
    for sub in ("1", "2"):
        name = f"sub-{sub}_ses-a_task-rest_space-fsLR_seg-Four_stat-mean_timeseries"
        func = root / f"sub-{sub}" / "ses-a" / "func"
        write_text(func / f"{name}.tsv", courses(), REGIONS.labels)
        write_json(func / f"{name}.json", {"RepetitionTime": 2.0})


def cifti(root):
    for sub in ("1", "2"):
        name = f"sub-{sub}_ses-a_task-rest_space-fsLR_den-91k_atlas-Four_bold.ptseries.nii"
        save_cifti(root / name, courses(), parcels(), tr=2.0)


def arrays(root):
    root.mkdir()
    for sub in ("1", "2"):
        np.save(root / f"sub-{sub}_ses-a_task-rest_bold.npy", courses())


@pytest.mark.parametrize("layout", [fmriprep, old_fmriprep, images, xcpd, cifti, arrays])
def test_the_same_recordings_have_the_same_scan_ids_in_every_layout(tmp_path, layout):
    layout(tmp_path / "in")
    needs_atlas = layout in {fmriprep, old_fmriprep, images}
    found = open_source(
        tmp_path / "in",
        ReadOptions(
            tr=2.0,
            atlas=save_atlas(tmp_path / "atlas.nii.gz") if needs_atlas else None,
            confounds="none" if layout is old_fmriprep else None,
        ),
    )
    assert [r.scan_id for r in found.recordings] == [
        "sub-1_ses-a_task-rest",
        "sub-2_ses-a_task-rest",
    ]
    assert {r.session for r in found.recordings} == {"a"}
    assert found.recordings[0].scan(REGIONS).n_frames == 40
