"""Damaged or misleading tables and arrays: one clear line each, and never a wrong number."""

import gzip
import json
import pickle
import zipfile
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.io import savemat

from fmri_descriptors import (
    CohortSettings,
    InputError,
    load_parcellation,
    open_source,
    read_cohort,
    write_cohort,
)
from fmri_descriptors.cohort.write import WriteOptions
from fmri_descriptors.readers import ReadOptions
from fmri_descriptors.settings import MIN_FRAMES

from .. import planted

STRICT = WriteOptions(strict=True)


def cut(path: Path, share=0.5):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def xcpd(tmp_path, spoil=lambda path: None, sidecar=None, **options):
    root = planted.xcpd(tmp_path / "in", n=1, **options)
    spoil(next(root.rglob("*_stat-mean_timeseries.tsv")))
    if sidecar is not None:
        next(root.rglob("*_stat-mean_timeseries.json")).write_text(sidecar)
    return root


def edited(change):
    """Change the lines of a text file."""

    def spoil(path):
        path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")

    return spoil


def labels(change):
    return change(list(load_parcellation("aal2").labels))


def npz(write):
    def make(tmp_path):
        path = tmp_path / "sub-0.npz"
        write(path)
        planted.write_json(tmp_path / "sub-0.json", {"RepetitionTime": 2})
        return path

    return make


def npy_bytes(values):
    content = BytesIO()
    np.save(content, values)
    return content.getvalue()


def truncated_npz(path):
    planted.save_npz(path, planted.series(0))
    cut(path)


def flipped_npz(path):
    np.savez(path, x=planted.series(0))
    content = bytearray(path.read_bytes())
    content[2000] ^= 0xFF
    path.write_bytes(content)


def pickled_npz(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", pickle.dumps(planted.series(0)))


def mat_v73(spoil):
    def make(tmp_path):
        path = tmp_path / "sub-0.mat"
        planted.write_mat_v73(path, planted.series(0))
        planted.write_json(tmp_path / "sub-0.json", {"RepetitionTime": 2})
        spoil(path)
        return path

    return make


def hdf5(spoil, tr=planted.TR):
    def make(tmp_path):
        path = planted.hdf5(tmp_path / "scans.h5", n=3, tr=tr)
        if spoil is cut:
            cut(path)
        else:
            with h5py.File(path, "a") as file:
                spoil(file)
        return path

    return make


def without(*names):
    def spoil(file):
        for name in names:
            del file[name]

    return spoil


def replaced(name, value):
    def spoil(file):
        del file[name]
        file[name] = value

    return spoil


def arrow(suffix=".arrow", spoil=lambda path: None, drop=(), **columns):
    def make(tmp_path):
        table = planted.arrow_table(**columns)[0].drop_columns(list(drop))
        path = tmp_path / f"scans{suffix}"
        if suffix == ".parquet":
            pq.write_table(table, path)
        else:
            with pa.ipc.new_stream(str(path), table.schema) as writer:
                writer.write_table(table)
        spoil(path)
        return path

    return make


def nested(values):
    return pa.array(values, pa.list_(pa.list_(pa.float32())))


def dataset_folder(spoil):
    def make(tmp_path):
        planted.arrow_files(tmp_path / "in", "datasets")
        spoil(tmp_path / "in")
        return tmp_path / "in"

    return make


def listing(name, **lists):
    """Put other lists into a file that says what a saved dataset consists of."""

    def spoil(directory):
        path = directory / name
        path.write_text(json.dumps(json.loads(path.read_text()) | lists))

    return spoil


def folder(*names):
    def make(tmp_path):
        (tmp_path / "in").mkdir()
        for name in names:
            path = tmp_path / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"something")
        return tmp_path / "in"

    return make


MALFORMED = {
    # XCP-D and other tables of text
    "tsv cut in a line": (lambda t: xcpd(t, cut), "cells, but the header has|no line end"),
    "tsv cut in its last number": (
        lambda t: xcpd(t, lambda p: p.write_text(p.read_text()[:-3])),
        "no line end after the last line; it may be cut short",
    ),
    "tsv with a header only": (lambda t: xcpd(t, edited(lambda x: x[:1])), "0 frames"),
    "empty tsv": (lambda t: xcpd(t, lambda p: p.write_bytes(b"")), "is empty"),
    "gzip named tsv": (
        lambda t: xcpd(t, lambda p: p.write_bytes(gzip.compress(p.read_bytes()))),
        "cannot be read as a .tsv table",
    ),
    "tsv with decimal commas": (
        lambda t: xcpd(t, edited(lambda x: [x[0], *(line.replace(".", ",") for line in x[1:])])),
        "is not a number",
    ),
    "tsv with thousands": (
        lambda t: xcpd(t, edited(lambda x: [x[0], "1_0" + x[1][x[1].index("\t") :], *x[2:]])),
        "'1_0' is not a number",
    ),
    "tsv with a long line": (
        lambda t: xcpd(t, edited(lambda x: [*x[:5], x[5] + "\t1", *x[6:]])),
        "cannot be read as a .tsv table|cells, but the header",
    ),
    "tsv with a line numbers' column": (
        lambda t: xcpd(t, edited(lambda x: [x[0], *(f"{i}\t{r}" for i, r in enumerate(x[1:]))])),
        "more cells than the header|cells, but the header",
    ),
    "tsv with a region twice": (
        lambda t: xcpd(t, labels=labels(lambda x: [x[1], *x[1:]])),
        "two columns have the same region name",
    ),
    "tsv with a region too many": (
        lambda t: xcpd(t, edited(lambda x: [x[0] + "\tMore", *(line + "\t1" for line in x[1:])])),
        "1 columns more than 'aal2' has regions .such as More",
    ),
    "tsv of another parcellation": (
        lambda t: xcpd(t, labels=[f"r{i}" for i in range(94)]),
        "no column for 94 of 94 regions",
    ),
    # JSON sidecars
    "json cut short": (lambda t: xcpd(t, sidecar='{"RepetitionTime": 2'), "cannot be read as JSON"),
    "json list": (lambda t: xcpd(t, sidecar="[2]"), "holds no JSON object"),
    "tr as text": (lambda t: xcpd(t, sidecar='{"RepetitionTime": "2"}'), "repetition time '2'"),
    "tr in milliseconds": (lambda t: xcpd(t, sidecar='{"RepetitionTime": 800}'), "time 800; give"),
    "tr nan": (lambda t: xcpd(t, sidecar='{"RepetitionTime": NaN}'), "repetition time nan"),
    "tr true": (lambda t: xcpd(t, sidecar='{"RepetitionTime": true}'), "repetition time True"),
    "no tr": (lambda t: xcpd(t, sidecar="{}"), "no repetition time is written down"),
    # npz
    "npz cut short": (npz(truncated_npz), "cannot be read as a .npz archive"),
    "npz with a flipped bit": (npz(flipped_npz), "cannot be read as a .npz archive"),
    "npz with a pickle": (npz(pickled_npz), "cannot be read as a .npz archive"),
    "npz of objects": (
        npz(lambda p: np.savez(p, x=np.array([[{}]], dtype=object))),
        "allow_pickle=False",
    ),
    "npz with two arrays": (npz(lambda p: np.savez(p, a=np.eye(3), b=np.eye(3))), "found: a, b"),
    "npz without an array": (npz(lambda p: np.savez(p, a=np.arange(5))), "found: none"),
    "npy named npz": (
        npz(lambda p: p.write_bytes(npy_bytes(planted.series(0)))),
        "cannot be read as a .npz archive",
    ),
    # MATLAB 7.3
    "mat 7.3 cut short": (mat_v73(cut), "cannot be read as a MATLAB file"),
    "mat 7.3 transposed": (
        mat_v73(lambda p: planted.write_mat_v73(p, planted.series(0).T)),
        "looks transposed",
    ),
    "mat of cells": (
        mat_v73(lambda p: savemat(p, {"x": np.array([[1, "a"]], dtype=object)})),
        "found: none",
    ),
    # HDF5
    "hdf5 cut short": (hdf5(cut), "cannot be read as an HDF5 file"),
    "hdf5 without series": (hdf5(without("time_series")), "no group 'time_series'"),
    "hdf5 without subjects": (hdf5(without("metadata/subjects")), "no metadata/subjects"),
    "hdf5 with too few subjects": (
        hdf5(replaced("metadata/subjects", ["p0"])),
        "1 metadata/subjects, but 3 scans",
    ),
    "hdf5 with other subjects": (
        hdf5(replaced("metadata/subjects", ["x", "y", "z"])),
        "does not tell whose scan 'p0_s0' is",
    ),
    "hdf5 without tr": (hdf5(lambda file: None, tr=None), "no repetition time is written down"),
    "hdf5 with two trs": (hdf5(lambda file: None, tr=[1.0, 2.0]), "repetition time array"),
    "hdf5 of frames by regions": (
        hdf5(replaced("time_series/p0_s0", planted.series(0))),
        "looks transposed",
    ),
    "hdf5 with a scan less": (
        hdf5(without("time_series/p0_s0")),
        "3 metadata/subjects, but 2 scans",
    ),
    "hdf5 of one dimension": (hdf5(replaced("time_series/p0_s0", np.ones(9))), "no .regions, fr"),
    "text named h5": (folder("scans.h5"), "cannot be read as an HDF5 file"),
    # Arrow and Parquet
    "arrow cut short": (arrow(spoil=cut), "cannot be read as"),
    "arrow cut in its first bytes": (arrow(spoil=lambda p: cut(p, 0.001)), "cannot be read as"),
    "parquet cut short": (arrow(".parquet", spoil=cut), "cannot be read as"),
    "arrow without std": (arrow(drop=["std"]), "no column 'std'"),
    "arrow without tr": (arrow(drop=["tr"]), "no repetition time is written down"),
    "arrow without a subject": (arrow(sub=[None, "a", "b"]), "row 0 has no sub"),
    "arrow with a short mean": (arrow(mean=nested([[[1.0] * 93]] * 3)), "mean .1, 93."),
    "arrow with ragged bold": (
        arrow(bold=nested([[[1.0, 2.0], [1.0]]] * 3)),
        "rows differ in length",
    ),
    "arrow with a missing value": (
        arrow(mean=nested([[[None] + [1.0] * 93]] * 3)),
        "a missing value among the arrays",
    ),
    "arrow with a negative std": (
        arrow(std=nested([[[-1.0] * 94]] * 3)),
        "std that is negative or missing",
    ),
    "arrow with a flat std": (
        arrow(std=pa.array([[1.0] * 94] * 3)),
        "one dimension instead of two",
    ),
    "arrow with the same scan twice": (arrow(scan_id=["a", "a", "b"]), "'a' occurs twice"),
    "dataset with a lost file": (
        dataset_folder(lambda d: next((d / "test").glob("*.arrow")).unlink()),
        "no such file",
    ),
    "dataset with a broken state": (
        dataset_folder(lambda d: (d / "train" / "state.json").write_text("{")),
        "cannot be read as JSON",
    ),
    "dataset without splits": (
        dataset_folder(lambda d: (d / "dataset_dict.json").write_text("{}")),
        "lists no splits",
    ),
    "dataset with a split beside its folder": (
        dataset_folder(listing("dataset_dict.json", splits=["train", "../elsewhere"])),
        r"in: its list names '\.\./elsewhere', outside of it",
    ),
    "dataset with a split that is the folder above": (
        dataset_folder(listing("dataset_dict.json", splits=[".."])),
        r"in: its list names '\.\.', outside of it",
    ),
    "dataset with a file of another split": (
        dataset_folder(listing("train/state.json", _data_files=[{"filename": "../test/a.arrow"}])),
        r"train: its list names '\.\./test/a\.arrow', outside of it",
    ),
    "dataset with a file from the root": (
        dataset_folder(listing("train/state.json", _data_files=[{"filename": "/srv/a.arrow"}])),
        "train: its list names '/srv/a.arrow', outside of it",
    ),
    # Folders
    "empty folder": (folder(), "holds no scan of a known kind"),
    "folder of other files": (folder("notes.txt", "participants.tsv"), "no scan of a known kind"),
    "folder of two kinds": (
        folder("sub-0.npy", "scans.h5"),
        "holds array files and HDF5 files; give",
    ),
    "folder of two pipelines": (
        folder(
            "sub-0/func/sub-0_seg-A_stat-mean_timeseries.tsv",
            "sub-0/func/sub-0_desc-preproc_bold.nii.gz",
        ),
        "XCP-D parcellated series and fMRIPrep derivatives|fMRIPrep derivatives and XCP-D",
    ),
    "folder without subjects": (folder("a.npy"), "does not tell the subject"),
    "file of another kind": (lambda t: folder("a.txt")(t) / "a.txt", "of no kind that is read"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_input_is_one_clear_line(tmp_path, case):
    make, message = MALFORMED[case]
    source = make(tmp_path)
    (tmp_path / "cohort").mkdir()
    with pytest.raises(InputError, match=message) as caught:
        write_cohort(
            open_source(source),
            tmp_path / "cohort",
            CohortSettings(parcellation="aal2"),
            options=STRICT,
        )
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cohort" / "cohort.json").exists()


def test_a_nan_or_negative_tr_cannot_be_given(tmp_path):
    np.save(tmp_path / "sub-0.npy", planted.series(0))
    for tr in (float("nan"), -1.0, 0.0, 2000.0):
        with pytest.raises(InputError, match="repetition time"):
            open_source(tmp_path / "sub-0.npy", ReadOptions(tr=tr))


KINDS = hnp.floating_dtypes(endianness="=") | hnp.integer_dtypes(endianness="=")
ARRAYS = KINDS.flatmap(
    lambda kind: hnp.arrays(
        kind, st.tuples(st.integers(MIN_FRAMES - 2, MIN_FRAMES + 2), st.sampled_from([93, 94]))
    )
)


def unless_refused(function):
    """What a function returns, or None where it refuses its input in one line."""
    try:
        return function()
    except InputError as error:
        reason = str(error)
    assert "\n" not in reason
    return None


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("generated")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(values=ARRAYS, suffix=st.sampled_from([".npy", ".npz", ".mat"]))
def test_any_array_is_read_as_it_is_or_refused_in_one_line(place, values, suffix):
    write = planted.ARRAY_KINDS[suffix]
    path = place / f"sub-0{suffix}"
    try:
        write(path, values)
    except (TypeError, ValueError):  # scipy knows no half precision
        return
    recording = open_source(path, ReadOptions(tr=2.0)).recordings[0]
    scan = unless_refused(lambda: recording.scan(load_parcellation("aal2")))
    if scan is not None:
        np.testing.assert_array_equal(scan.timeseries, values.astype(np.float64))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    scale=st.floats(1e-45, 1e38),
    offset=st.floats(-1e38, 1e38),
    seed=st.integers(0, 1000),
)
def test_whatever_a_cohort_takes_it_gives_back_to_its_precision(
    place, tmp_path_factory, scale, offset, seed
):
    raw = planted.series(seed) * scale + offset
    np.save(place / "sub-0.npy", raw)
    directory = tmp_path_factory.mktemp("cohort")
    source = open_source(place / "sub-0.npy", ReadOptions(tr=2.0))
    everyone = CohortSettings(parcellation="aal2", test_fraction=0, validation_fraction=0)
    if unless_refused(lambda: write_cohort(source, directory, everyone)) is None:
        return
    stored = next(read_cohort(directory).stored("train"))
    z = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    # Half a unit in the last place of float32 at |z| < 4, and the cancellation in raw - mean.
    allowed = 2**-22 + 2**-50 * np.abs(raw).max() / raw.std(axis=0)
    assert (np.abs(stored.bold.astype(float) - z) <= allowed).all()
    np.testing.assert_allclose(stored.std, raw.std(axis=0), rtol=1e-6)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(share=st.floats(0, 0.999), kind=st.sampled_from(["tsv", "h5", "npz", "mat", "arrow"]))
def test_a_file_cut_anywhere_gives_the_first_frames_or_is_refused(place, share, kind):
    path = place / f"sub-0.{kind}"
    whole = planted.series(0)
    if kind == "h5":
        planted.hdf5(path, n=1)
    elif kind == "arrow":
        table, (whole,) = planted.arrow_table(n=1)
        with pa.ipc.new_stream(str(path), table.schema) as writer:
            writer.write_table(table)
    elif kind == "tsv":
        planted.write_text(path, whole)
    else:
        planted.ARRAY_KINDS[f".{kind}"](path, whole)
    cut(path, share)
    table = place / "scans.tsv"
    table.write_text(f"path\tscan_id\tsubject\ttr\n{path.name}\ts\ts\t2\n")
    source = table if kind == "tsv" else path
    options = ReadOptions(tr=2.0 if kind in {"npz", "mat"} else None)
    scan = unless_refused(
        lambda: open_source(source, options).recordings[0].scan(load_parcellation("aal2"))
    )
    if scan is not None:
        np.testing.assert_array_equal(scan.timeseries, whole[: scan.n_frames])


def test_reasons_in_the_list_are_one_line_each(tmp_path):
    root = planted.array_folder(tmp_path / "in", np.save, ".npy")
    (root / "sub-1_ses-a.json").write_text(json.dumps({"RepetitionTime": "a\nb\tc"}))
    (tmp_path / "cohort").mkdir()
    write_cohort(open_source(root), tmp_path / "cohort", CohortSettings(parcellation="aal2"))
    lines = (tmp_path / "cohort" / "rejected.tsv").read_text().splitlines()
    assert [line.count("\t") for line in lines] == [4, 4]
