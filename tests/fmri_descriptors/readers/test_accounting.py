"""Every file that is found is used, rejected or left out: trees of many shapes, one account."""

import json
import os
import re
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmri_descriptors import CohortSettings, open_source, read_cohort, write_cohort
from fmri_descriptors.readers.base import LEFT_OUT_RULES, ReadOptions
from fmri_descriptors.readers.layouts.array_folder import folder_source
from fmri_descriptors.readers.layouts.arrow import arrow_source
from fmri_descriptors.readers.layouts.cifti import cifti_source
from fmri_descriptors.readers.layouts.fmriprep import fmriprep_source
from fmri_descriptors.readers.layouts.hdf5 import hdf5_source
from fmri_descriptors.readers.layouts.nifti import nifti_source
from fmri_descriptors.readers.layouts.table import table_source
from fmri_descriptors.readers.layouts.xcpd import xcpd_source
from fmri_descriptors.readers.selection.content import files_below

from ..image_files import (
    REGIONS,
    courses,
    parcels,
    save_atlas,
    save_bold,
    save_cifti,
    save_fmriprep,
    save_json,
    volumes,
)
from ..planted import arrow_table, write_text

TREES = settings(max_examples=25, deadline=None, derandomize=True)


class Contents(dict):
    """Bytes by ending, shown by its endings alone."""

    def __repr__(self):
        return f"Contents({', '.join(self)})"


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """Bytes of a sound file of each ending, and the atlas."""
    folder = tmp_path_factory.mktemp("contents")
    save_bold(folder / "a.nii", volumes(courses()))
    save_bold(folder / "a.nii.gz", volumes(courses()))
    save_cifti(folder / "a.ptseries.nii", courses(), parcels(), tr=2.0)
    save_cifti(folder / "a.dtseries.nii", courses(), parcels(), tr=2.0)
    write_text(folder / "a.tsv", courses(), REGIONS.labels)
    write_text(folder / "a.csv", courses(), REGIONS.labels, ",")
    np.save(folder / "a.npy", courses())
    made = {path.name[1:]: path.read_bytes() for path in folder.iterdir()}
    return Contents(made, atlas=save_atlas(folder / "atlas.nii.gz"))


ENTITIES = st.fixed_dictionaries(
    {},
    optional={
        "ses": st.sampled_from(["a", "01"]),
        "task": st.sampled_from(["rest", "restAP", "nback", "rest-2", "mémoire"]),
        "foo": st.just("bar"),
        "run": st.sampled_from(["1", "01", "2"]),
        "dir": st.sampled_from(["AP", "PA"]),
        "echo": st.sampled_from(["1", "2"]),
        "part": st.sampled_from(["mag", "phase"]),
        "space": st.sampled_from(["MNI152NLin6Asym", "MNI152NLin2009cAsym", "T1w", "fsLR"]),
        "res": st.sampled_from(["2", "native"]),
        "seg": st.sampled_from(["Four", "Five"]),
        "stat": st.sampled_from(["mean", "alff"]),
        "desc": st.sampled_from(["preproc", "denoised", "confounds"]),
    },
)
STATES = ["sound", "annex", "nowhere", "loop", "empty", "garbage", "pointer", "cut", "twin"]


@st.composite
def names(draw, suffixes, endings):
    """A path such as pipelines and people make them."""
    sub = draw(st.sampled_from(["sub-1", "sub-01", "sub-2", "sub-C-04", "sub-S_05", "Ada", "sub-"]))
    pairs = [f"{key}-{value}" for key, value in draw(ENTITIES).items()]
    pairs = draw(st.permutations(pairs))
    suffix = draw(st.sampled_from(suffixes))
    name = "_".join([sub, *pairs, *([suffix] if suffix else [])]) + draw(st.sampled_from(endings))
    folder = draw(st.sampled_from(["", sub, f"{sub}/func", f"{sub}/ses-a/func", "deep/er/sub-9"]))
    return f"{folder}/{name}" if folder else name


def trees(suffixes, endings):
    return st.dictionaries(names(suffixes, endings), st.sampled_from(STATES), max_size=9)


def put(path, state, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if state == "annex":
        path.symlink_to("../.git/annex/objects/x/MD5E-s9--0")
    elif state == "nowhere":
        path.symlink_to(path.parent / "gone")
    elif state == "loop":
        path.symlink_to(path.name)
    else:
        path.write_bytes(
            {
                "empty": b"",
                "garbage": b"no image\n" * 99,
                "pointer": b"/annex/objects/MD5E-s9--0\n",
                "cut": content[: len(content) // 2],
            }.get(state, content)
        )
    if state == "twin":
        os.link(path, path.with_name(f"sub-7_{path.name}"))


def walked(root, endings):
    """What a plain walk finds, hidden names aside."""
    walk = ((Path(folder), files) for folder, _, files in os.walk(root))
    found = (folder / name for folder, files in walk for name in files)
    return sorted(
        path.relative_to(root).as_posix()
        for path in found
        if path.name.endswith(endings) and not path.name.startswith(".")
    )


def listed(source):
    assert {each.rule for each in source.left_out} <= set(LEFT_OUT_RULES)
    return sorted(
        [r.name for r in source.recordings]
        + [each.path for each in (*source.rejected, *source.left_out)]
    )


BOLD = (".nii", ".nii.gz", ".dtseries.nii")
TABLES = (".tsv", ".tsv.gz", ".ptseries.nii")


def build(root, tree, contents):
    for name, state in tree.items():
        ending = "." + name.rpartition("/")[2].partition(".")[2]
        put(root / name, state, contents.get(ending, contents[".tsv"]))


@TREES
@given(tree=trees(["bold"], BOLD))
def test_every_bold_file_of_an_fmriprep_folder_is_accounted_for(contents, tree):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        save_fmriprep(root, volumes(courses()), sub="99")
        build(root, tree, contents)
        found = fmriprep_source(root, ReadOptions(atlas=contents["atlas"]))
        endings = tuple(f"_bold{ending}" for ending in BOLD)
        assert listed(found) == walked(root, endings)
        assert "sub-99_task-rest" in [r.scan_id for r in found.recordings]


@TREES
@given(tree=trees(["timeseries"], TABLES))
def test_every_timeseries_of_an_xcpd_folder_is_accounted_for(contents, tree):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_text(root / "sub-99/func/sub-99_task-rest_seg-Four_timeseries.tsv", courses(), "abcd")
        build(root, tree, contents)
        found = xcpd_source(root, ReadOptions(atlas=Path("Four"), tr=2.0))
        assert listed(found) == walked(root, tuple(f"_timeseries{e}" for e in TABLES))


@TREES
@given(tree=trees(["bold", "", "T1w", "rest"], (".nii", ".nii.gz", ".nii.bz2")))
def test_every_image_of_a_folder_is_accounted_for(contents, tree):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        save_bold(root / "sub-99_task-rest_bold.nii", volumes(courses()))
        build(root, tree, contents)
        found = nifti_source(root, ReadOptions(atlas=contents["atlas"]))
        assert listed(found) == walked(root, (".nii", ".nii.gz", ".nii.bz2"))


@TREES
@given(tree=trees(["bold", "timeseries"], (".ptseries.nii", ".dtseries.nii")))
def test_every_cifti_series_of_a_folder_is_accounted_for(contents, tree):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        save_cifti(root / "sub-99_task-rest_seg-Four_bold.ptseries.nii", courses(), parcels())
        build(root, tree, contents)
        found = cifti_source(root, ReadOptions(atlas=Path("Four")))
        assert listed(found) == walked(root, (".nii",))


@TREES
@given(tree=trees(["", "bold", "events", "timeseries"], (".npy", ".csv", ".tsv", ".tsv.gz")))
def test_every_array_of_a_folder_is_accounted_for(contents, tree):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        np.save(root / "sub-99_task-rest_seg-Four.npy", courses())
        (root / "participants.tsv").write_text("participant_id\nsub-99\n")
        build(root, tree, contents)
        found = folder_source(root, ReadOptions(atlas=Path("Four"), tr=2.0))
        arrays = walked(root, (".npy", ".csv", ".tsv", ".tsv.gz"))
        assert listed(found) == [name for name in arrays if name != "participants.tsv"]


CELLS = {"path": [""], "scan_id": ["", "n/a"], "subject": ["", " "], "tr": ["", "x", "0", "720"]}
SPOILT = st.one_of(*(st.tuples(st.just(name), st.sampled_from(CELLS[name])) for name in CELLS))


@TREES
@given(lines=st.lists(st.one_of(st.sampled_from(STATES), SPOILT), max_size=6))
def test_every_line_of_a_scans_table_is_accounted_for(contents, lines):
    with tempfile.TemporaryDirectory() as folder:
        rows = ["path\tscan_id\tsubject\ttr", "never.npy\tnever\tnever\t2"]
        for i, fault in enumerate(lines):
            cells = {"path": f"{i}.npy", "scan_id": f"s{i}", "subject": f"p{i}", "tr": "2"}
            put(Path(folder) / f"{i}.npy", fault if fault in STATES else "sound", contents[".npy"])
            cells |= dict([fault] if fault not in STATES else [])
            rows.append("\t".join(cells.values()))
        table = Path(folder) / "scans.tsv"
        table.write_text("\n".join(rows) + "\n")
        found = table_source(table, ReadOptions())
        assert found.n_found == 1 + len(lines)
        spoilt = {i + 3 for i, fault in enumerate(lines) if fault not in STATES}
        told = {int(re.search(r"line (\d+)", each.reason)[1]) for each in found.rejected}
        assert {2, *spoilt} <= told


@pytest.mark.parametrize("state", ["annex", "empty", "garbage", "cut"])
def test_every_row_of_arrow_files_is_accounted_for(tmp_path, state):
    rows, _ = arrow_table(n=3, sub=["p0", None, "p2"])
    for name in ("a", "b"):
        named = rows.append_column("scan_id", [[f"{name}{i}" for i in range(3)]])
        with pa.ipc.new_file(str(tmp_path / f"{name}.arrow"), named.schema) as writer:
            writer.write_table(named)
    content = (tmp_path / "b.arrow").read_bytes()
    (tmp_path / "b.arrow").unlink()
    put(tmp_path / "b.arrow", state, content)
    found = arrow_source(tmp_path, ReadOptions())
    assert [r.scan_id for r in found.recordings] == ["a0", "a2"]
    assert [each.path for each in found.rejected] == ["a.arrow#1", "b.arrow"]


@pytest.mark.parametrize("damage", ["no metadata", "one subject too few", "a link", "twice"])
def test_every_series_of_hdf5_files_is_accounted_for(tmp_path, damage):
    for name, subjects in (("good", ["p0", "p1"]), ("other", ["p2", "p3"])):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.attrs["tr"] = 2.0
            for subject in subjects:
                file[f"time_series/{subject}"] = courses().T
            file["metadata/subjects"] = subjects
    with h5py.File(tmp_path / "other.h5", "a") as file:
        if damage == "no metadata":
            del file["metadata"]
        elif damage == "one subject too few":
            del file["metadata/subjects"]
            file["metadata/subjects"] = ["p2"]
        elif damage == "a link":
            del file["time_series/p3"]
            file["time_series/p3"] = h5py.SoftLink("/nowhere")
        else:
            file["time_series/p1"] = file.pop("time_series/p2")
            del file["metadata/subjects"]
            file["metadata/subjects"] = ["p1", "p3"]
    found = hdf5_source(tmp_path, ReadOptions())
    assert found.n_found == 4
    assert len(found.rejected) == {"a link": 1, "twice": 1}.get(damage, 2)


def test_the_three_numbers_agree_wherever_they_are_told(tmp_path):
    root = tmp_path / "in"
    for sub in ("1", "2", "3"):
        save_fmriprep(root, volumes(courses()), sub=sub)
    save_fmriprep(root, volumes(courses()), sub="1", space="T1w")
    save_fmriprep(root, volumes(courses()), sub="4", task="nback")
    save_fmriprep(root, volumes(courses()), sub="5").write_bytes(b"damaged")
    (tmp_path / "four.tsv").write_text("label\tnetwork\na\tV\nb\tV\nc\tM\nd\tM\n")
    (tmp_path / "out").mkdir()
    said = write_cohort(
        open_source(root, ReadOptions(atlas=save_atlas(tmp_path / "atlas.nii.gz"))),
        tmp_path / "out",
        CohortSettings(parcellation=str(tmp_path / "four.tsv")),
    )
    assert "6 files found: 3 used, 1 rejected, 2 left out (rejected.tsv)" in said
    assert "task rest of nback, rest; space MNI152NLin2009cAsym of MNI152NLin2009cAsym, T1w" in said
    document = json.loads((tmp_path / "out" / "cohort.json").read_text())
    assert document["accounting"] == {
        "unit": "files",
        "found": 6,
        "used": 3,
        "rejected": 1,
        "left_out": 2,
    }
    assert len(read_cohort(tmp_path / "out")) == 3
    _, *lines = (tmp_path / "out" / "rejected.tsv").read_text().splitlines()
    assert [line.split("\t")[3:] for line in lines] == [
        ["rejected", "n/a"],
        ["left out", "other space"],
        ["left out", "other task"],
    ]


def test_folders_that_are_links_are_entered_and_loops_end(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    root = tmp_path / "in"
    root.mkdir()
    save_json(elsewhere / "deep" / "a.json", a=1)
    (root / "sub-1").symlink_to(elsewhere)
    (elsewhere / "again").symlink_to(elsewhere)
    (elsewhere / ".git").mkdir()
    save_json(elsewhere / ".git" / "b.json", b=1)
    assert files_below(root) == ([root / "sub-1" / "deep" / "a.json"], [])


def test_a_folder_that_cannot_be_listed_is_told(tmp_path, monkeypatch):
    (tmp_path / "open").mkdir()
    (tmp_path / "shut").mkdir()
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    _, (rejected,) = files_below(tmp_path)
    assert (rejected.path, "Permission denied" in rejected.reason) == ("shut", True)
