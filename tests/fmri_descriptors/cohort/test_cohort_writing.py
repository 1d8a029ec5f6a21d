"""Rejected scans, restarts, several processes and memory of a cohort that is being written."""

import json
import os
import tracemalloc
from itertools import count

import numpy as np
import pyarrow as pa
import pytest
from datasets import load_from_disk

from fmri_descriptors import CohortSettings, InputError, open_source, read_cohort, write_cohort
from fmri_descriptors.cohort.write import WriteOptions
from fmri_descriptors.readers import ReadOptions
from fmri_descriptors.readers.fingerprint import listing_digest

from .. import planted


@pytest.fixture
def source_dir(tmp_path):
    return planted.array_folder(tmp_path / "in", np.save, ".npy", n=8)


@pytest.fixture
def write(tmp_path, source_dir):
    """Write a cohort of the folder into a new directory, or into a given one."""
    numbers = count()

    def make(directory=None, settings=None, **options):
        directory = directory or tmp_path / f"cohort-{next(numbers)}"
        directory.mkdir(exist_ok=True)
        progress = options.pop("progress", lambda *_: None)
        said = write_cohort(
            open_source(source_dir),
            directory,
            settings or CohortSettings(parcellation="aal2"),
            progress=progress,
            options=WriteOptions(**options),
        )
        return directory, said

    return make


def spoil(source_dir, *numbers):
    for number in numbers:
        (source_dir / f"sub-{number}_ses-a.npy").write_bytes(b"not an array")


def splits(directory):
    return json.loads((directory / "cohort.json").read_text())["splits"]


def test_a_scan_that_cannot_be_used_is_listed_and_the_rest_goes_on(write, source_dir):
    spoil(source_dir, 3)
    directory, said = write()
    header, line = (directory / "rejected.tsv").read_text().splitlines()
    assert header == "path\tscan_id\treason\tstatus\trule"
    path, scan_id, reason, status, rule = line.split("\t")
    assert (path, scan_id) == ("sub-3_ses-a.npy", "sub-3_ses-a")
    assert (status, rule) == ("rejected", "n/a")
    assert reason.startswith("cannot be read as a .npy array")
    assert said.startswith("7 scans of 7 subjects")
    assert "8 files found: 7 used, 1 rejected, 0 left out (rejected.tsv)" in said
    assert "sub-3_ses-a" not in [scan for scans in splits(directory).values() for scan in scans]
    assert len(read_cohort(directory)) == 7


def test_a_scan_without_a_tr_is_listed_and_the_rest_goes_on(write, source_dir):
    (source_dir / "sub-5_ses-a.json").unlink()
    directory, _ = write()
    assert (
        "sub-5_ses-a.npy\tsub-5_ses-a\tno repetition time is written down"
        in (directory / "rejected.tsv").read_text()
    )


def test_no_path_of_this_machine_is_in_the_list(write, source_dir, tmp_path, tree):
    spoil(source_dir, 3)
    directory, _ = write()
    assert not any(str(tmp_path).encode() in content for content in tree(directory).values())


def test_without_rejected_scans_the_list_has_its_header_only(write):
    directory, said = write()
    assert (directory / "rejected.tsv").read_text() == "path\tscan_id\treason\tstatus\trule\n"
    assert "8 files found: 8 used, 0 rejected, 0 left out" in said
    assert "rejected.tsv" not in said


def test_strict_fails_at_the_first_such_scan_and_names_it(write, source_dir):
    spoil(source_dir, 3, 5)
    with pytest.raises(InputError, match=r"sub-3_ses-a.npy: cannot be read as a .npy array"):
        write(strict=True)


def test_strict_names_an_empty_file_once(simulate, table, tmp_path):
    source = table([simulate(seed, n_frames=60) for seed in range(2)])
    (empty,) = tmp_path.glob("sim-1.npy")
    empty.write_bytes(b"")
    with pytest.raises(InputError) as caught:
        write_cohort(
            open_source(str(source)),
            tmp_path,
            CohortSettings(parcellation="aal2"),
            options=WriteOptions(strict=True),
        )
    assert str(caught.value) == f"{empty}: is empty; copy or export it again"


def test_strict_fails_at_a_scan_that_is_listed_only(write, source_dir):
    (source_dir / "sub-5_ses-a.json").unlink()
    with pytest.raises(InputError, match=r"sub-5_ses-a.npy: no repetition time"):
        write(strict=True)


def test_nothing_left_is_an_error(write, source_dir):
    spoil(source_dir, *range(8))
    with pytest.raises(InputError, match=r"in: none of 8 scans can be used; the first: sub-0_"):
        write()


def test_no_training_scan_left_is_an_error(write, source_dir):
    spoil(source_dir, *range(1, 8))
    held_out = CohortSettings(parcellation="aal2", test_subjects=("0",), validation_fraction=0)
    with pytest.raises(InputError, match="no training scan is left, 7 of 8"):
        write(settings=held_out)


def test_a_damaged_scan_moves_no_other_subject_to_another_split(write, source_dir):
    settings = CohortSettings(parcellation="aal2", test_fraction=0.25, validation_fraction=0.25)
    before, _ = write(settings=settings)
    spoil(source_dir, 2)
    after, _ = write(settings=settings)
    expected = {
        split: [scan for scan in scans if scan != "sub-2_ses-a"]
        for split, scans in splits(before).items()
    }
    assert splits(after) == expected


@pytest.mark.parametrize("stop_at", [1, 4, 7])
def test_a_stopped_cohort_goes_on_where_it_was_and_ends_the_same(
    write, tmp_path, tree, source_dir, stop_at
):
    def stop(done, _total):
        if done == stop_at:
            raise KeyboardInterrupt

    spoil(source_dir, 2)
    whole, _ = write()
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "stopped", progress=stop)
    seen = []
    write(tmp_path / "stopped", progress=lambda done, _: seen.append(done))
    assert tree(tmp_path / "stopped") == tree(whole)
    # The damaged scan has no part, so it alone is tried again.
    assert seen[0] == stop_at + (1 if stop_at < 3 else 0)


def test_a_half_written_part_and_dataset_are_written_anew(write, tmp_path, tree):
    whole, _ = write()
    target = tmp_path / "stopped"
    with pytest.raises(ZeroDivisionError):
        write(target, progress=lambda done, _: 1 // (3 - done))
    (parts,) = target.glob(".parts-*")
    (parts / "00000005.arrow.unfinished").write_bytes(b"half a row")
    (parts / "train.whole").write_bytes(b"half a split")
    (target / "train").mkdir()
    (target / "train" / "data-00000-of-00001.arrow").write_bytes(b"half a file")
    write(target)
    assert tree(target) == tree(whole)


def test_parts_of_recordings_that_have_changed_since_are_not_used(write, tmp_path, source_dir):
    target = tmp_path / "stopped"
    with pytest.raises(ZeroDivisionError):
        write(target, progress=lambda done, _: 1 // (8 - done))
    np.save(source_dir / "sub-0_ses-a.npy", planted.series(50))
    write(
        target, settings=CohortSettings(parcellation="aal2", test_fraction=0, validation_fraction=0)
    )
    first = next(iter(read_cohort(target).scans("train")))
    np.testing.assert_allclose(first.timeseries, planted.series(50), atol=0.02)


def test_two_processes_write_the_same_bytes_as_one(write, source_dir, tree):
    spoil(source_dir, 3)
    one, said_by_one = write()
    two, said_by_two = write(jobs=2)
    assert said_by_one == said_by_two
    assert tree(one) == tree(two)


def test_memory_does_not_grow_with_the_number_of_scans(tmp_path, aal2):
    """Ten times the scans need less than six scans' series more at the peak, in numpy or Arrow."""

    def peak(n):
        folder = planted.array_folder(tmp_path / str(n), np.save, ".npy", n=n, n_frames=300)
        opened, directory = open_source(folder), tmp_path / f"cohort-{n}"
        directory.mkdir()
        in_arrow = []
        tracemalloc.start()
        write_cohort(
            opened,
            directory,
            CohortSettings(parcellation="aal2"),
            progress=lambda *_: in_arrow.append(pa.total_allocated_bytes()),
        )
        scans = read_cohort(directory).scans("train")
        in_arrow.extend(pa.total_allocated_bytes() for _ in scans)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used + max(in_arrow)

    peak(3)  # imports
    assert peak(200) - peak(20) < 6 * planted.series(0, 300).nbytes


def test_a_listing_changes_with_a_file_and_not_with_its_folder(source_dir, tmp_path):
    before = listing_digest(open_source(source_dir))
    moved = tmp_path / "elsewhere" / "in"
    moved.parent.mkdir()
    source_dir.rename(moved)
    assert listing_digest(open_source(moved)) == before
    os.utime(moved / "sub-0_ses-a.npy", ns=(1, 1))
    assert listing_digest(open_source(moved)) != before


def test_a_listing_changes_with_a_sidecar_and_a_participant(source_dir, tmp_path):
    people = tmp_path / "participants.tsv"
    digests = set()
    for age, tr in ((30, 0.8), (31, 0.8), (31, 0.9)):
        people.write_text(f"participant_id\tage\nsub-0\t{age}\n")
        planted.write_json(source_dir / "sub-1_ses-a.json", {"RepetitionTime": tr})
        opened = open_source(source_dir, ReadOptions(phenotypes=people))
        times = dict.fromkeys(opened.files, (1, 1))
        for path, when in times.items():
            os.utime(path, ns=when)
        digests.add(listing_digest(opened))
    assert len(digests) == 3


def test_stored_scans_are_views_of_what_is_on_disk(write):
    directory, _ = write()
    rows = load_from_disk(str(directory)).with_format("numpy")["train"]
    for stored, row in zip(read_cohort(directory).stored("train"), rows, strict=True):
        assert stored.scan_id == row["scan_id"]
        np.testing.assert_array_equal(stored.bold, row["bold"])
        np.testing.assert_array_equal(stored.std, row["std"][0])
        assert not stored.bold.flags.owndata
        assert not stored.bold.flags.writeable


def test_a_spread_that_single_precision_cannot_hold_is_rejected(source_dir, write):
    np.save(source_dir / "sub-4_ses-a.npy", (planted.series(4) - 100) * 1e-40)
    directory, _ = write()
    assert "too small for single precision" in (directory / "rejected.tsv").read_text()
