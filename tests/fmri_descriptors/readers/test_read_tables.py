"""Planted arrays come back exactly through every reader of tables and arrays."""

from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fmri_descriptors import InputError, open_source
from fmri_descriptors.readers import ReadOptions

from .. import planted

GIVEN = ReadOptions(tr=planted.TR)


def read(source, parcellation, options=None):
    """Series by scan id."""
    opened = open_source(source, options)
    return {r.scan_id: r.scan(parcellation).timeseries for r in opened.recordings}


@pytest.mark.parametrize("suffix", planted.ARRAY_KINDS)
def test_a_folder_of_arrays_gives_the_planted_series(tmp_path, aal2, suffix):
    planted.array_folder(tmp_path / "in", planted.ARRAY_KINDS[suffix], suffix)
    found = read(tmp_path / "in", aal2)
    assert list(found) == ["sub-0_ses-a", "sub-1_ses-a", "sub-2_ses-a"]
    for i, values in enumerate(found.values()):
        np.testing.assert_array_equal(values, planted.series(i))


def test_a_mat_file_of_v73_gives_the_planted_series(tmp_path, aal2):
    planted.array_folder(tmp_path / "in", planted.write_mat_v73, ".mat")
    np.testing.assert_array_equal(read(tmp_path / "in", aal2)["sub-1_ses-a"], planted.series(1))


def test_one_array_of_several_is_chosen_by_its_key(tmp_path, aal2):
    np.savez(tmp_path / "s.npz", a=planted.series(1), b=planted.series(2))
    (tmp_path / "scans.tsv").write_text("path\tscan_id\tsubject\ttr\tkey\ns.npz\ts\ts\t2\tb\n")
    np.testing.assert_array_equal(read(tmp_path / "scans.tsv", aal2)["s"], planted.series(2))


def test_one_file_is_a_source_too(tmp_path, aal2):
    np.save(tmp_path / "sub-7.npy", planted.series(7))
    np.testing.assert_array_equal(
        read(tmp_path / "sub-7.npy", aal2, GIVEN)["sub-7"], planted.series(7)
    )


@pytest.mark.parametrize("entity", ["seg", "atlas"])
def test_an_xcpd_folder_gives_the_planted_series(tmp_path, aal2, entity):
    found = read(planted.xcpd(tmp_path / "xcpd", entities=entity), aal2)
    assert list(found) == [f"sub-{i}_task-rest" for i in range(3)]
    for i, values in enumerate(found.values()):
        np.testing.assert_array_equal(values, planted.series(i))


def test_xcpd_regions_are_found_by_name_in_any_order(tmp_path, aal2):
    root = planted.xcpd(tmp_path / "xcpd", n=1, labels=list(aal2.labels)[::-1])
    values = next(iter(read(root, aal2).values()))
    np.testing.assert_array_equal(values, planted.series(0)[:, ::-1])


def test_xcpd_names_may_lack_the_network_order_of_the_parcellation(tmp_path, aal2):
    from dataclasses import replace

    named = replace(aal2, labels=tuple(f"7Networks_{label}" for label in aal2.labels))
    values = next(iter(read(planted.xcpd(tmp_path / "xcpd", n=1), named).values()))
    np.testing.assert_array_equal(values, planted.series(0))


def schaefer_like(n_regions):
    from fmri_descriptors import Parcellation

    labels = [f"LH_Vis_{i}" for i in range(n_regions)]
    return Parcellation(f"schaefer{n_regions}-7n", labels, ["Vis"] * n_regions, ["L"] * n_regions)


def test_4s_parcels_give_their_cortex_where_the_parcellation_is_schaefers(tmp_path):
    labels = [f"Sub_{i}" for i in range(56)] + [f"LH_Vis_{i}" for i in range(38)]
    root = planted.xcpd(tmp_path / "xcpd", n=1, seg="4S94Parcels", labels=labels)
    values = next(iter(read(root, schaefer_like(38)).values()))
    np.testing.assert_array_equal(values, planted.series(0)[:, 56:])


def test_a_finer_parcellation_that_shares_names_is_not_taken_for_a_coarser_one(tmp_path):
    labels = [f"LH_Vis_{i}" for i in range(94)]
    root = planted.xcpd(tmp_path / "xcpd", n=1, seg="4S150Parcels", labels=labels)
    recording = open_source(root).recordings[0]
    with pytest.raises(InputError, match="56 columns more than 'schaefer38-7n'"):
        recording.scan(schaefer_like(38))


def test_one_of_several_xcpd_parcellations_is_chosen_by_name(tmp_path, aal2):
    root = planted.xcpd(tmp_path / "xcpd", n=2)
    planted.xcpd(root, n=2, seg="Other", labels=[f"r{i}" for i in range(94)])
    with pytest.raises(InputError, match="several parcellations; choose by --atlas: AAL2, Other"):
        open_source(root)
    found = read(root, aal2, ReadOptions(atlas=Path("AAL2")))
    np.testing.assert_array_equal(list(found.values())[1], planted.series(1))


@pytest.mark.parametrize("place", ["sub-0/func/sub-0_task-rest_bold.json", "task-rest_bold.json"])
def test_a_sidecar_further_up_tells_the_tr(tmp_path, place):
    root = planted.xcpd(tmp_path / "xcpd", n=1)
    next(root.rglob("*_timeseries.json")).unlink()
    planted.write_json(root / place, {"RepetitionTime": 1.5})
    assert open_source(root).recordings[0].tr == 1.5


def test_a_sidecar_of_another_run_does_not_tell_the_tr(tmp_path):
    root = planted.xcpd(tmp_path / "xcpd", n=1)
    next(root.rglob("*_timeseries.json")).unlink()
    planted.write_json(root / "task-nback_bold.json", {"RepetitionTime": 1.5})
    with pytest.raises(InputError, match="no repetition time is written down"):
        open_source(root)


def test_the_authors_hdf5_gives_the_planted_series(tmp_path, aal2):
    opened = open_source(planted.hdf5(tmp_path / "scans.h5"))
    people = [(r.scan_id, r.subject, r.session, r.tr) for r in opened.recordings]
    assert people == [(f"p{i}_s{i}", f"p{i}", f"s{i}", planted.TR) for i in range(3)]
    for i, recording in enumerate(opened.recordings):
        np.testing.assert_array_equal(recording.scan(aal2).timeseries, planted.series(i))


def test_numbered_scans_of_hdf5_are_those_of_the_metadata_in_order(tmp_path):
    with h5py.File(tmp_path / "scans.h5", "w") as file:
        for i in range(11):
            file[f"time_series/{i}"] = planted.series(i).T
        file["metadata/subjects"] = [f"person-{i}" for i in range(11)]
    opened = open_source(tmp_path / "scans.h5", GIVEN)
    assert {r.scan_id: r.subject for r in opened.recordings}["10"] == "person-10"


@pytest.mark.parametrize("kind", ["stream", "file", "parquet", "datasets"])
def test_rows_of_the_brainmarks_suite_give_raw_values(tmp_path, aal2, kind):
    raw = planted.arrow_files(tmp_path / "in", kind)
    opened = open_source(tmp_path / "in")
    assert [r.subject for r in opened.recordings] == ["p0", "p1", "p2"]
    assert [r.tr for r in opened.recordings] == [planted.TR] * 3
    assert [r.phenotypes["age"] for r in opened.recordings] == [30.0, 31.0, 32.0]
    for recording, expected in zip(opened.recordings, raw, strict=True):
        np.testing.assert_array_equal(recording.scan(aal2).timeseries, expected)


def typed_arrow(path, **columns):
    """Write three planted rows with phenotypes of the given types."""
    table = planted.arrow_table(n=3)[0]
    for name, values in columns.items():
        if name in table.column_names:
            table = table.drop_columns([name])
        table = table.append_column(name, values)
    pq.write_table(table, path)
    return open_source(path)


CATEGORY = pa.array(["b", None, "a"]).dictionary_encode()
TYPES = {
    "category": (CATEGORY, ["b", None, "a"]),
    "large category": (
        CATEGORY.cast(pa.dictionary(pa.int8(), pa.large_string())),
        ["b", None, "a"],
    ),
    "truth": (pa.array([True, None, False]), ["true", None, "false"]),
    "whole numbers with a gap": (pa.array([1, None, 3]), [1.0, None, 3.0]),
    "decimals": (pa.array(["1.5", None, "2.5"]).cast(pa.decimal128(4, 1)), [1.5, None, 2.5]),
    "date": (pa.array([0, None, 1], pa.date32()), ["1970-01-01", None, "1970-01-02"]),
    "missing in words": (pa.array(["x", "n/a", "NULL"]), ["x", None, None]),
    "not a number": (pa.array([1.0, float("nan"), float("inf")]), [1.0, None, None]),
    "nothing": (pa.nulls(3), [None, None, None]),
}


@pytest.mark.parametrize("kind", TYPES)
def test_a_column_of_any_type_of_single_values_is_a_phenotype(tmp_path, kind):
    values, expected = TYPES[kind]
    opened = typed_arrow(tmp_path / "a.parquet", x=values)
    assert [r.phenotypes["x"] for r in opened.recordings] == expected


def test_categories_say_who_and_where_too(tmp_path):
    labels = pa.array(["p1", "p2", "p3"]).dictionary_encode()
    opened = typed_arrow(tmp_path / "a.parquet", sub=labels, ses=CATEGORY, site=CATEGORY)
    found = [(r.subject, r.session, r.site) for r in opened.recordings]
    assert found == [("p1", "b", "b"), ("p2", None, None), ("p3", "a", "a")]


def test_numbers_that_name_people_have_no_decimals(tmp_path):
    opened = typed_arrow(tmp_path / "a.parquet", sub=pa.array([4.0, 5.0, 6.0]))
    assert [r.subject for r in opened.recordings] == ["4", "5", "6"]


@pytest.mark.parametrize("saved", ["to_parquet", "save_to_disk"])
def test_codes_of_a_class_label_are_their_names_and_minus_one_is_missing(tmp_path, saved):
    from datasets import ClassLabel, Dataset

    rows = Dataset(planted.arrow_table(n=3)[0].append_column("sex", pa.array([1, 0, -1])))
    rows = rows.cast_column("sex", ClassLabel(names=["F", "M"]))
    path = tmp_path / ("a.parquet" if saved == "to_parquet" else "a")
    getattr(rows, saved)(path)
    assert [r.phenotypes["sex"] for r in open_source(path).recordings] == ["M", "F", None]


def test_a_column_that_can_be_no_phenotype_is_told_with_its_type(tmp_path):
    opened = typed_arrow(tmp_path / "a.parquet", x=pa.array([[1], [2], [3]]))
    assert opened.dropped_columns == {"x": "holds list<element: int64>"}
    assert opened.notes[0] == "column 'x' left out: holds list<element: int64>"


def test_a_cohort_of_ours_is_a_source(cohort_dir, recordings, aal2):
    opened = open_source(cohort_dir)
    assert {r.scan_id for r in opened.recordings} == set(recordings)
    for recording in opened.recordings[:2]:
        original = recordings[recording.scan_id]
        assert (recording.tr, recording.subject) == (original.tr, original.subject)
        spread = original.timeseries.std()
        np.testing.assert_allclose(
            recording.scan(aal2).timeseries, original.timeseries, atol=spread * 2**-6
        )


def test_a_cohort_of_another_region_order_is_refused(cohort_dir, aal2):
    from dataclasses import replace

    turned = replace(aal2, labels=aal2.labels[::-1])
    with pytest.raises(InputError, match=r"regions in the order .*; name the parcellation"):
        open_source(cohort_dir).recordings[0].scan(turned)


def test_a_given_tr_stands_in_for_an_absent_column(tmp_path):
    np.save(tmp_path / "s.npy", planted.series(0))
    (tmp_path / "scans.tsv").write_text("path\tscan_id\tsubject\ns.npy\ts\ts\n")
    assert open_source(tmp_path / "scans.tsv", GIVEN).recordings[0].tr == planted.TR


def test_a_written_tr_that_differs_from_the_given_one_is_refused(tmp_path):
    root = planted.xcpd(tmp_path / "xcpd", n=1)
    with pytest.raises(InputError, match=r"its sidecar: repetition time 0.8 s, but --tr says 2"):
        open_source(root, ReadOptions(tr=2.0))


def test_a_phenotype_with_underscores_stays_text(tmp_path):
    np.save(tmp_path / "s.npy", planted.series(0))
    (tmp_path / "scans.tsv").write_text("path\tscan_id\tsubject\ttr\tgroup\ns.npy\ts\ts\t2\t1_0\n")
    assert open_source(tmp_path / "scans.tsv").recordings[0].phenotypes == {"group": "1_0"}


def test_recordings_of_every_kind_can_be_sent_to_another_process(tmp_path, aal2):
    import pickle

    sources = [
        planted.array_folder(tmp_path / "arrays", np.save, ".npy"),
        planted.xcpd(tmp_path / "xcpd"),
        planted.hdf5(tmp_path / "scans.h5"),
    ]
    for source in sources:
        sent = pickle.loads(pickle.dumps(open_source(source).recordings[2]))
        np.testing.assert_array_equal(sent.scan(aal2).timeseries, planted.series(2))
