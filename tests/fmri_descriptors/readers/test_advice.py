"""Whoever does what a message says gets further: each message's own advice, carried out."""

import gzip
import re
from pathlib import Path

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
    save_json,
    volumes,
)
from ..planted import write_text

SEG = "space-fsLR_seg-Four_stat-mean_timeseries.tsv"


class Lab:
    """A folder with one fault, and the options that it is read with."""

    def __init__(self, folder):
        self.root = folder / "in"
        self.root.mkdir()
        self.source = self.root
        self.options = {"atlas": save_atlas(folder / "atlas.nii.gz")}

    def faults(self):
        """What is said of the folder, and of its scans when they are read."""
        try:
            source = open_source(self.source, ReadOptions(**self.options))
        except InputError as error:
            return [str(error)]
        said = [each.message for each in source.rejected]
        for recording in source.recordings:
            try:
                recording.scan(REGIONS)
            except InputError as error:
                said.append(str(error))
        return said

    def prep(self, sub="1", **changes):
        return save_fmriprep(self.root, volumes(courses()), sub=sub, **changes)

    def xcpd(self, name=f"sub-1_task-rest_{SEG}", series=None):
        path = self.root / name.partition("_task")[0] / "func" / name
        write_text(path, courses() if series is None else series, REGIONS.labels)
        self.options = {"tr": 2.0}
        return path

    def array(self, name):
        self.options = {"tr": 2.0}
        np.save(self.root / name, courses())
        return self.root / name


def word_after(message, pattern):
    found = re.search(pattern, message)
    assert found, message
    return found[1]


def content_never_fetched(lab):
    image = lab.prep()
    content = image.read_bytes()
    image.unlink()
    image.symlink_to("../../.git/annex/objects/x/MD5E-s9--0.nii.gz")

    def fetch(message):
        named = lab.root / word_after(message, r"`datalad get (\S+)`")
        (named.parent / named.readlink()).parent.mkdir(parents=True)
        named.write_bytes(content)

    return fetch


def sidecar_never_fetched(lab):
    lab.array("sub-1.npy")
    lab.options = {}
    (lab.root / "sub-1.json").symlink_to(".git/annex/objects/x/MD5E-s9--0.json")

    def fetch(message):
        named = lab.root / word_after(message, r"`datalad get (\S+)`")
        named.unlink()
        save_json(named, RepetitionTime=2.0)

    return fetch


def confounds_never_fetched(lab):
    table = lab.prep().parent / "sub-1_task-rest_desc-confounds_timeseries.tsv"
    content = table.read_bytes()
    table.write_bytes(b"/annex/objects/MD5E-s9--0.tsv\n")

    def fetch(message):
        named = table.parent / word_after(message, r"`datalad get (\S+)`")
        named.write_bytes(content)

    return fetch


def line_of_a_table_never_fetched(lab):
    np.save(lab.root / "a.npy", courses())
    (lab.root / "b.npy").symlink_to(".git/annex/objects/x/MD5E-s9--0.npy")
    table = lab.root / "scans.tsv"
    table.write_text("path\tscan_id\tsubject\ttr\na.npy\ta\ta\t2\nb.npy\tb\tb\t2\n")
    lab.source, lab.options = table, {}

    def fetch(message):
        named = lab.root / word_after(message, r"`datalad get (\S+)`")
        named.unlink()
        np.save(named, courses())

    return fetch


def people_never_fetched(lab):
    lab.array("sub-1.npy")
    people = lab.root.parent / "people.tsv"
    people.write_text("/annex/objects/MD5E-s9--0.tsv\n")
    lab.options["phenotypes"] = people

    def fetch(message):
        named = lab.root.parent / word_after(message, r"`datalad get (\S+)`")
        named.write_text("participant_id\tage\n1\t31\n")

    return fetch


def source_never_fetched(lab):
    lab.options = {"tr": 2.0}
    lab.source = lab.root / "sub-1.npy"
    lab.source.symlink_to("../.git/annex/objects/x/MD5E-s9--0.npy")

    def fetch(message):
        named = lab.root / word_after(message, r"`datalad get (\S+)`")
        named.unlink()
        np.save(named, courses())

    return fetch


def label_with_a_hyphen(lab):
    path = lab.array("sub-C-04_task-rest.npy")
    return lambda message: path.rename(lab.root / word_after(message, r"such as (\S+)$"))


def label_with_an_underscore(lab):
    path = lab.xcpd(f"sub-S_05_task-rest_{SEG}")
    return lambda message: path.rename(path.with_name(word_after(message, r"such as (\S+)$")))


def folder_of_somebody_else(lab):
    path = lab.root / "sub-2" / "sub-1_bold.npy"
    path.parent.mkdir()
    lab.array("sub-1_bold.npy").rename(path)
    return lambda message: path.rename(
        path.with_name(path.name.replace("sub-1", word_after(message, r"the folder (\S+),")))
    )


def echoes_alone(lab):
    save_bold(lab.root / "sub-1_echo-2_bold.nii", volumes(courses()))

    def rename(message):
        entity = word_after(message, r"without (echo-\d)")
        (lab.root / "sub-1_echo-2_bold.nii").rename(
            lab.root / f"sub-1_{entity}_bold.nii".replace(f"_{entity}", "")
        )

    return rename


def two_files_of_one_recording(lab):
    lab.array("sub-1_run-1.npy")
    path = lab.array("sub-1_run-01_rest.npy")
    return lambda message: (lab.root / word_after(message, r"^(\S+): is of")).unlink() or path


def packed_table(lab):
    path = lab.xcpd()
    lab.xcpd(f"sub-2_task-rest_{SEG}")
    packed = Path(f"{path}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()

    def unpack(message):
        assert "unpack it by gunzip" in message
        path.write_bytes(gzip.decompress(packed.read_bytes()))

    return unpack


def dense_among_parcels(lab):
    lab.options = {}
    save_cifti(lab.root / "sub-1_bold.ptseries.nii", courses(), parcels())
    dense = save_cifti(lab.root / "sub-2_bold.dtseries.nii", courses(), parcels())

    def move(message):
        assert "give a folder with the .dtseries.nii files alone" in message
        dense.rename(lab.root.parent / dense.name)

    return move


def no_confounds(lab):
    table = lab.prep().parent / "sub-1_task-rest_desc-confounds_timeseries.tsv"
    moved = table.rename(table.with_name("elsewhere.tsv"))
    return lambda message: moved.rename(table.with_name(word_after(message, r"keep (\S+),")))


def confounds_none_for_no_confounds(lab):
    (lab.prep().parent / "sub-1_task-rest_desc-confounds_timeseries.tsv").unlink()
    return lambda message: lab.options.update(
        confounds=word_after(message, r"ask for confounds (\S+)$")
    )


def every_frame_unsteady(lab):
    lab.prep(table=confounds_table(steady_from=T))
    return lambda message: lab.options.update(
        confounds=word_after(message, r"ask for confounds (\S+)$")
    )


def frames_cut_out(lab):
    path = lab.xcpd()
    outliers = path.with_name("sub-1_task-rest_outliers.tsv")
    outliers.write_text("framewise_displacement\n" + "0\n" * (T + 7))

    def remove(message):
        assert f"{T + 7} lines" in message
        assert f"{T} frames" in message
        (path.parent / word_after(message, r"(\S+): \d+ lines")).unlink()

    return remove


def no_repetition_time(lab):
    lab.array("sub-1.npy")
    lab.options = {}
    return lambda message: lab.options.update({word_after(message, r"with --(\w+)"): 2.0})


def several_parcellations(lab):
    lab.xcpd()
    lab.xcpd(f"sub-1_task-rest_{SEG}".replace("Four", "Five"))
    return lambda message: lab.options.update(
        atlas=Path(word_after(message, r"choose by --atlas: \w+, (\w+)"))
    )


def tasks_without_rest(lab):
    for task in ("nback", "movie"):
        lab.prep(task=task)
    return lambda message: lab.options.update(
        tasks=(word_after(message, r"the tasks are (\w+),.* by --task"),)
    )


def no_mni_space(lab):
    lab.prep(space="T1w")
    return lambda message: lab.options.update(
        space=word_after(message, r"but (\S+); name the atlas's by --space")
    )


def space_that_is_not_there(lab):
    lab.prep()
    lab.options["space"] = "MNI152"
    return lambda message: lab.options.update(space=word_after(message, r": (\w+)$"))


def two_repetition_times(lab):
    lab.array("sub-1.npy")
    lab.options = {"tr": 3.0}
    save_json(lab.root / "sub-1.json", RepetitionTime=2.0)

    def drop(message):
        assert "drop one" in message
        del lab.options["tr"]

    return drop


FAULTS = [
    line_of_a_table_never_fetched,
    people_never_fetched,
    source_never_fetched,
    content_never_fetched,
    sidecar_never_fetched,
    confounds_never_fetched,
    label_with_a_hyphen,
    label_with_an_underscore,
    folder_of_somebody_else,
    echoes_alone,
    two_files_of_one_recording,
    packed_table,
    dense_among_parcels,
    no_confounds,
    confounds_none_for_no_confounds,
    every_frame_unsteady,
    frames_cut_out,
    no_repetition_time,
    several_parcellations,
    tasks_without_rest,
    no_mni_space,
    space_that_is_not_there,
    two_repetition_times,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_whoever_follows_the_advice_can_read_the_folder(tmp_path, fault):
    lab = Lab(tmp_path)
    mend = fault(lab)
    (said,) = lab.faults()
    assert "\n" not in said
    mend(said)
    assert lab.faults() == []
