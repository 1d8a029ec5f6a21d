import json

import numpy as np
import pytest
from datasets import load_from_disk

from fmri_descriptors import CohortSettings, InputError, open_source, read_cohort, write_cohort
from fmri_descriptors.cohort.write import WriteOptions

BRAINMARKS = {
    "sub",
    "ses",
    "site",
    "path",
    "start",
    "end",
    "n_frames",
    "tr",
    "bold",
    "mean",
    "std",
}


def test_the_demo_cohort_holds_out_two_subjects_of_each_set(cohort_dir):
    test = load_from_disk(str(cohort_dir))["test"]
    assert sorted(test["scan_id"]) == ["102816", "377451", "NAP_001", "NAP_013"]


def test_it_has_the_columns_of_the_brainmarks_suite(cohort_dir):
    columns = load_from_disk(str(cohort_dir))["train"].column_names
    assert BRAINMARKS | {"scan_id", "age_group", "dataset"} == set(columns)


def test_stored_signals_and_statistics_are_float32(cohort_dir):
    features = load_from_disk(str(cohort_dir))["train"].features
    kinds = {name: features[name].dtype for name in ("bold", "mean", "std", "tr")}
    assert kinds == {"bold": "float32", "mean": "float32", "std": "float32", "tr": "float32"}


def test_each_region_is_z_scored_with_the_population_deviation(cohort_dir):
    row = load_from_disk(str(cohort_dir)).with_format("numpy")["test"][0]
    np.testing.assert_allclose(row["bold"].mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(row["bold"].std(axis=0, ddof=0), 1, atol=1e-3)


def test_reading_back_loses_at_most_the_rounding_of_float32(cohort_dir, recordings):
    for split in ("train", "validation", "test"):
        for scan in read_cohort(cohort_dir).scans(split):
            raw = recordings[scan.scan_id].timeseries
            deviation = np.abs(raw - raw.mean(axis=0))
            # Half a unit in the last place is 2^-24, of z, of the deviation and of the mean.
            bound = deviation * 2**-23 + np.abs(raw.mean(axis=0)) * 2**-24
            assert (np.abs(scan.timeseries - raw) <= 1.01 * bound).all()


def test_what_is_measured_on_a_stored_scan_is_that_of_the_recording(cohort_dir, recordings):
    scan = next(read_cohort(cohort_dir).scans("test"))
    original = recordings[scan.scan_id]
    correlations = [np.corrcoef(each.timeseries.T) for each in (scan, original)]
    np.testing.assert_allclose(*correlations, atol=1e-6)


def test_a_cohort_that_an_earlier_version_stored_as_float16_is_read(cohort_dir, tmp_path):
    import shutil

    from datasets import Array2D, DatasetDict

    # Casting leaves a cache beside the files that it reads.
    shutil.copytree(cohort_dir, tmp_path / "whole")
    stored = load_from_disk(str(tmp_path / "whole"))
    half = {
        split: rows.cast_column("bold", Array2D(shape=(None, 94), dtype="float16"))
        for split, rows in stored.items()
    }
    DatasetDict(half).save_to_disk(tmp_path / "half")
    shutil.copy(cohort_dir / "cohort.json", tmp_path / "half")
    both = (read_cohort(folder).scans("test") for folder in (tmp_path / "half", cohort_dir))
    for old, new in zip(*both, strict=True):
        spread = new.timeseries.std(axis=0)
        np.testing.assert_allclose(old.timeseries / spread, new.timeseries / spread, atol=2**-6)


def test_reading_back_keeps_who_when_and_how_fast(cohort_dir, recordings):
    for scan in read_cohort(cohort_dir).scans("test"):
        original = recordings[scan.scan_id]
        for name in ("subject", "session", "site", "tr"):
            assert getattr(scan, name) == getattr(original, name)


def test_the_document_says_which_tr_is_assumed(cohort_dir):
    times = json.loads((cohort_dir / "cohort.json").read_text())["tr"]
    assert times["hcp"] == {"value": 0.72, "documented": True}
    assert times["gw"]["value"] == 2.0
    assert not times["gw"]["documented"]
    assert "not documented" in times["gw"]["note"]


def test_the_document_carries_the_region_order(cohort_dir, aal2):
    document = json.loads((cohort_dir / "cohort.json").read_text())
    assert document["order_hash"] == aal2.order_hash
    assert document["labels"] == list(aal2.labels)
    assert document["networks"] == list(aal2.networks)


def test_no_path_of_this_machine_is_stored(cohort_dir, tree):
    assert not any(str(cohort_dir).encode() in content for content in tree(cohort_dir).values())
    paths = load_from_disk(str(cohort_dir))["train"]["path"]
    assert all(path.startswith(("hcp/", "gw/")) for path in paths)


def test_the_same_recordings_give_the_same_bytes(simulate, table, tmp_path, tree):
    path = table([simulate(seed, n_frames=64) for seed in range(5)])
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_cohort(open_source(str(path)), tmp_path / name, CohortSettings(parcellation="aal2"))
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_a_cohort_without_held_out_subjects_can_be_written_and_read(simulate, table, tmp_path):
    path = table([simulate(seed, n_frames=64) for seed in range(3)])
    settings = CohortSettings(parcellation="aal2", test_fraction=0, validation_fraction=0)
    write_cohort(open_source(str(path)), tmp_path, settings)
    cohort = read_cohort(tmp_path)
    assert [cohort.n_scans(split) for split in ("train", "validation", "test")] == [3, 0, 0]


def test_phenotypes_become_columns_with_their_kind(simulate, table, tmp_path):
    scans = [simulate(seed, n_frames=64) for seed in range(3)]
    lines = [
        f"{s.scan_id}.npy\t{s.scan_id}\t{s.subject}\t2\t{age}\t{sex}"
        for s, age, sex in zip(scans, (31.5, "n/a", 40), "fmf", strict=True)
    ]
    path = table(scans, "path\tscan_id\tsubject\ttr\tage\tsex", lines)
    write_cohort(
        open_source(str(path)), tmp_path, CohortSettings(parcellation="aal2", test_fraction=0)
    )
    train = load_from_disk(str(tmp_path))["train"]
    assert (train["age"][:], train["sex"][:]) == ([31.5, None, 40.0], ["f", "m", "f"])
    document = json.loads((tmp_path / "cohort.json").read_text())
    assert document["phenotypes"]["age"] == {
        "kind": "number",
        "missing": 1,
        "cells": {"number": 2, "bound": 0, "text": 0, "missing": 1},
        "missing_cells": {"n/a": 1},
    }
    assert document["phenotypes"]["sex"]["values"] == ["f", "m"]


@pytest.mark.parametrize("filling", [np.nan, 512.0])
def test_a_masked_region_is_refused_by_default_and_kept_when_allowed(
    simulate, table, tmp_path, filling
):
    path = table([simulate(seed, n_frames=64) for seed in range(3)])
    series = np.load(tmp_path / "sim-1.npy")
    series[:, [4, 9]] = filling
    np.save(tmp_path / "sim-1.npy", series)
    source = open_source(str(path))
    with pytest.raises(InputError, match=r"sim-1.npy: 2 of 94 .*Frontal_Mid_2_L.*_regions: 2"):
        write_cohort(
            source,
            tmp_path,
            CohortSettings(parcellation="aal2", test_fraction=0),
            options=WriteOptions(strict=True),
        )
    write_cohort(
        source, tmp_path, CohortSettings(parcellation="aal2", test_fraction=0, max_masked_regions=2)
    )
    row = load_from_disk(str(tmp_path)).with_format("numpy")["train"][1]
    assert not row["bold"][:, [4, 9]].any()
    assert not row["std"][0, [4, 9]].any()
    scan = list(read_cohort(tmp_path).scans("train"))[1]
    assert sorted(np.flatnonzero(~scan.mask)) == [4, 9]


def test_progress_counts_every_recording(simulate, table, tmp_path):
    path = table([simulate(seed, n_frames=64) for seed in range(4)])
    seen = []
    write_cohort(
        open_source(str(path)),
        tmp_path,
        CohortSettings(parcellation="aal2"),
        progress=lambda *now: seen.append(now),
    )
    assert seen == [(i, 4) for i in range(1, 5)]


@pytest.fixture
def edited(cohort_dir, tmp_path):
    """A copy of the cohort whose cohort.json is changed."""
    import shutil

    def make(**changes):
        target = tmp_path / "edited"
        shutil.copytree(cohort_dir, target)
        document = json.loads((target / "cohort.json").read_text()) | changes
        (target / "cohort.json").write_text(json.dumps(document))
        return target

    return make


def test_a_newer_schema_is_refused_with_the_fix(edited):
    with pytest.raises(InputError, match=r"edited: cohort of schema 2, .* up to 1; upgrade"):
        read_cohort(edited(schema=2))


def test_an_edited_region_order_is_refused(edited, aal2):
    with pytest.raises(InputError, match="the region order was edited"):
        read_cohort(edited(labels=list(aal2.labels[::-1])))


def test_a_folder_that_is_no_cohort_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no cohort.json"):
        read_cohort(tmp_path)


def test_a_broken_document_is_refused(cohort_dir, tmp_path):
    (tmp_path / "cohort.json").write_text((cohort_dir / "cohort.json").read_text()[:300])
    with pytest.raises(InputError, match="cannot be read as JSON"):
        read_cohort(tmp_path)


def test_a_truncated_arrow_file_is_refused(edited):
    target = edited()
    arrow = next((target / "train").glob("*.arrow"))
    arrow.write_bytes(arrow.read_bytes()[:100])
    with pytest.raises(InputError, match="cannot be read as a dataset directory"):
        read_cohort(target)


def test_a_missing_split_is_refused(edited):
    target = edited()
    next((target / "train").glob("*.arrow")).unlink()
    with pytest.raises(InputError, match="cannot be read as a dataset directory"):
        read_cohort(target)
