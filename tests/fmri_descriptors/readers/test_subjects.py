"""One person is one subject, however labels are spelt."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from fmri_descriptors import CohortSettings, InputError, Recording, Source, open_source
from fmri_descriptors.cohort.splits import split_subjects
from fmri_descriptors.readers import ReadOptions
from fmri_descriptors.readers.participants.subjects import canonical_label, label_key


def recording(subject, scan_id="s", session=None):
    def read(path, parcellation):
        return np.zeros((20, 2))

    return Recording(Path(scan_id), scan_id, scan_id, subject, session, None, 2.0, read)


# A person is letters and a number without leading zeros: no two of them are spellings of one.
people = st.builds("{}{}".format, st.text("abxyz", max_size=3), st.integers(0, 999))


@st.composite
def spelt(draw, person):
    letters, number = person.rstrip("0123456789"), person.lstrip("abxyz")
    letters = "".join(draw(st.sampled_from([c, c.upper()])) for c in letters)
    padded = draw(st.sampled_from(["", "0", "00"])) + number
    prefix = draw(st.sampled_from(["", "sub-", "SUB-", "Sub-", "sub- "]))
    around = draw(st.sampled_from(["", " ", "\t", "\u00a0", "\u200e"]))
    return f"{around}{prefix}{letters}{padded}{around}"


@st.composite
def visits(draw):
    known = draw(st.lists(people, min_size=3, max_size=12, unique=True))
    return [(p, draw(spelt(p))) for p in known for _ in range(draw(st.integers(1, 3)))]


@examples(max_examples=50, deadline=None, derandomize=True)
@given(visits(), st.integers(0, 9))
def test_no_two_spellings_of_a_person_are_two_subjects_and_no_two_people_one(listed, seed):
    source = Source("made", tuple(recording(s, f"s{i}") for i, (_, s) in enumerate(listed)), ())
    subjects = {}
    for (person, _), made in zip(listed, source.recordings, strict=True):
        subjects.setdefault(person, set()).add(made.subject)
    assert all(len(labels) == 1 for labels in subjects.values())
    assert len(set.union(*subjects.values())) == len(subjects)
    splits = split_subjects(
        {r.subject: None for r in source.recordings}, CohortSettings(test_fraction=0.3), seed
    )
    assert len(splits) == len(subjects)


@pytest.mark.parametrize(
    ("first", "second"),
    [("1", "10"), ("S1", "T1"), ("1-02", "10-2"), ("0", "00x"), ("a1", "1a"), ("S10", "S1")],
)
def test_labels_of_two_people_stay_two(first, second):
    assert label_key(first) != label_key(second)


def test_the_most_frequent_spelling_stands_and_the_others_are_told():
    listed = ["S01", "sub-s1", "S01", "02", "sub-02"]
    source = Source("made", tuple(recording(s, f"s{i}") for i, s in enumerate(listed)), ())
    assert [r.subject for r in source.recordings] == ["S01", "S01", "S01", "02", "02"]
    (note,) = source.notes
    assert "'S01' is also spelt 's1'" in note


def test_a_label_of_nothing_is_refused():
    with pytest.raises(InputError, match="'sub-' names nobody"):
        canonical_label("sub-")


def test_a_session_loses_its_prefix_too():
    assert recording("sub-1", session="SES-pre").session == "pre"


@pytest.mark.parametrize("spelling", ["sub-S01", "s01", "S1"])
def test_a_held_out_subject_may_be_named_in_any_spelling(spelling):
    sites = dict.fromkeys(["S01", "S02", "S03"])
    assert split_subjects(sites, CohortSettings(test_subjects=(spelling,)), 0)["S01"] == "test"


def test_a_table_that_spells_a_person_in_two_ways_keeps_the_person_in_one_split(tmp_path):
    lines = ["path\tscan_id\tsubject\tsession\ttr"]
    for person in range(8):
        for visit, label in (("a", f"SUB-P{person:02d}"), ("b", f"p{person}")):
            np.save(tmp_path / f"{person}{visit}.npy", np.eye(20))
            lines.append(f"{person}{visit}.npy\t{person}{visit}\t{label}\t{visit}\t2")
    (tmp_path / "scans.tsv").write_text("\n".join(lines) + "\n")
    opened = open_source(tmp_path / "scans.tsv")
    by_person = {r.scan_id[0]: r.subject for r in opened.recordings}
    assert {(r.scan_id[0], r.subject) for r in opened.recordings} == set(by_person.items())
    assert "'P00' is also spelt 'p0', and so on for 7 more" in opened.notes[0]


def test_folders_that_differ_in_zeros_are_one_person(tmp_path):
    for name in ("sub-7_ses-1", "sub-07_ses-2"):
        np.save(tmp_path / f"{name}.npy", np.eye(20))
    subjects = {r.subject for r in open_source(tmp_path, ReadOptions(tr=2.0)).recordings}
    assert subjects == {"07"}
