"""Tables of people, visits and runs, joined to the scans of a folder."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from fmri_descriptors import InputError, Source, open_source
from fmri_descriptors.readers import ReadOptions
from fmri_descriptors.readers.participants.join_phenotypes import with_phenotypes

from .test_subjects import recording


@pytest.fixture
def join(tmp_path):
    """Open scans of these names with a table of these lines; values of a column by scan."""
    folder = tmp_path / "scans"
    folder.mkdir()

    def make(names, *lines, table="people.tsv", column="x", levels=None, tasks=()):
        for name in names:
            np.save(folder / f"{name}.npy", np.eye(20))
        path = tmp_path / table
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        if levels is not None:
            path.with_suffix(".json").write_text(json.dumps(levels))
        make.opened = open_source(folder, ReadOptions(tr=2.0, phenotypes=path, tasks=tasks))
        return {r.scan_id: r.phenotypes[column] for r in make.opened.recordings}

    return make


def test_numbers_that_a_spreadsheet_stripped_of_zeros_still_name_people(join):
    found = join(["sub-001", "sub-010"], "participant_id\tx", "1\t5", "10.0\t7")
    assert found == {"sub-001": 5.0, "sub-010": 7.0}
    assert "2 subjects are spelt otherwise in people.tsv (such as '1' for '001')" in str(
        join.opened.notes
    )


def test_a_prefix_alone_is_not_worth_a_note(join):
    join(["sub-01"], "participant_id\tx", "sub-01\t5")
    assert join.opened.notes == ()


@pytest.mark.parametrize("head", ["session_id", "session", "ses"])
def test_lines_of_visits_go_to_their_visits(join, head):
    names = ["sub-01_ses-1", "sub-01_ses-2", "sub-02_ses-1"]
    found = join(
        names, f"participant_id\t{head}\tx", "sub-01\tses-01\t1", "01\t2\t2", "02\tses-1\t3"
    )
    assert found == dict(zip(names, (1.0, 2.0, 3.0), strict=True))
    assert head not in join.opened.recordings[0].phenotypes


def test_a_visit_without_a_line_gets_nothing_from_another_visit(join):
    found = join(["sub-01_ses-1", "sub-01_ses-2"], "participant_id\tsession_id\tx", "01\tses-2\t4")
    assert found == {"sub-01_ses-1": None, "sub-01_ses-2": 4.0}
    assert "1 of 2 scans have no line in people.tsv (sub-01_ses-1)" in join.opened.notes[0]


RUNS = ["sub-01_task-rest_run-1", "sub-01_task-rest_run-2", "sub-02_task-rest_run-1"]


def test_a_scans_table_of_bids_is_joined_by_file(join):
    files = [f"sub-{n[4:6]}/func/{n}_bold.nii.gz" for n in RUNS]
    lines = [f"{file}\t{word}" for file, word in zip(files, ("open", "shut", "open"), strict=True)]
    found = join(
        RUNS, "filename\tx", "sub-01/anat/sub-01_T1w.nii.gz\tn/a", *lines, table="scans.tsv"
    )
    assert found == dict(zip(RUNS, ("open", "shut", "open"), strict=True))
    assert join.opened.notes == ()


@pytest.mark.parametrize(
    ("header", "lines"),
    [
        ("participant_id\trun\tx", ["01\t1\ta", "01\t2\tb", "02\t1\tc"]),
        ("subject\trun\tx", ["1\trun-01\ta", "1\trun-02\tb", "2\t1\tc"]),
        ("participant_id\ttask\trun\tx", ["01\trest\t1\ta", "01\trest\t2\tb", "02\trest\t1\tc"]),
        ("scan_id\tx", [f"{name}\t{word}" for name, word in zip(RUNS, "abc", strict=True)]),
        ("filename\tx", [f"{n}_bold.nii.gz\t{x}" for n, x in zip(RUNS, "abc", strict=True)]),
    ],
    ids=["run", "other heads", "task and run", "scan_id", "file"],
)
def test_lines_of_runs_go_to_their_runs(join, header, lines):
    assert join(RUNS, header, *lines) == dict(zip(RUNS, "abc", strict=True))


def test_a_table_of_runs_goes_to_derivatives_with_more_in_their_names(join):
    names = [f"{name}_space-MNI_desc-clean" for name in RUNS]
    lines = [f"func/{name}_bold.nii.gz\t{i}" for i, name in enumerate(RUNS)]
    assert list(join(names, "filename\tx", *lines).values()) == [0.0, 1.0, 2.0]


def test_a_column_of_conditions_tells_lines_apart_where_tasks_have_the_same_names(join):
    names = ["sub-1_task-open", "sub-1_task-shut", "sub-2_task-open"]
    lines = ["1\tOpen\t1", "1\tshut\t2", "2\topen\t3"]
    found = join(names, "participant_id\tcondition\tx", *lines, tasks=("open", "shut"))
    assert found == dict(zip(names, (1.0, 2.0, 3.0), strict=True))
    assert join.opened.notes[0] == "people.tsv: column 'condition' tells lines apart by task"
    assert join.opened.recordings[1].phenotypes["condition"] == "shut"


@pytest.mark.parametrize("head", ["visit", "timepoint", "stage"])
def test_a_column_of_visits_tells_lines_apart_where_sessions_have_the_same_names(join, head):
    names = ["sub-1_ses-before", "sub-1_ses-after"]
    found = join(names, f"participant_id\t{head}\tx", "1\tBefore\t1", "1\tafter\t2")
    assert found == dict(zip(names, (1.0, 2.0), strict=True))


def test_numbers_of_visits_are_sessions_and_numbers_of_something_else_are_not_runs(join):
    names = ["sub-1_ses-1_run-2", "sub-1_ses-2_run-1"]
    assert list(join(names, "participant_id\tvisit\tx", "1\t1\t5", "1\t2\t6").values()) == [5, 6]
    with pytest.raises(InputError, match="differ in 'hand'"):
        join(names, "participant_id\thand\tx", "1\t1\t5", "1\t2\t6")


def test_an_entity_of_ones_own_tells_lines_apart(join):
    names = ["sub-1_cond-a", "sub-1_cond-b"]
    found = join(names, "participant_id\tcond\tx", "1\tb\t2", "1\ta\t1")
    assert found == {"sub-1_cond-a": 1.0, "sub-1_cond-b": 2.0}


def test_a_scan_that_does_not_say_which_visit_it_is_gets_no_line_of_two(join):
    lines = ["1\tA\t1", "1\tB\t2", "2\tA\t3"]
    found = join(["sub-1", "sub-2"], "participant_id\tsession_id\tx", *lines)
    assert found == {"sub-1": None, "sub-2": 3.0}
    assert "(sub-1: lines 2, 3), so nothing is joined" in join.opened.notes[0]


def test_lines_of_people_go_to_all_their_runs_and_visits(join):
    names = ["sub-01_ses-1_run-1", "sub-01_ses-2_run-1", "sub-02_ses-1_run-2"]
    found = join(names, "participant_id\trun\tx", "01\t7\t1", "02\t8\t2")
    assert found == dict(zip(names, (1.0, 1.0, 2.0), strict=True))


def test_left_over_on_either_side_is_told_with_a_near_name(join):
    join(["sub-anna", "sub-bert", "sub-carl"], "participant_id\tx", "anna\t1", "brt\t2", "zoe\t3")
    scans, lines = join.opened.notes
    assert "2 of 3 scans have no line in people.tsv (sub-bert, sub-carl)" in scans
    assert "line 3 is of 'brt', which is near 'bert'" in scans
    assert lines == "2 of 3 lines of people.tsv have no scan (brt, zoe)"


def test_a_line_written_twice_counts_once_and_two_that_differ_are_refused(join):
    assert join(["sub-01"], "participant_id\tx", "01\t1", "sub-01\t1") == {"sub-01": 1.0}
    with pytest.raises(InputError, match=r"lines 2 and 3 .* '01' \(also spelt '1'\) .* 'x'"):
        join(["sub-01"], "participant_id\tx", "01\t1", "1\t2")


def test_lines_that_differ_for_somebody_without_a_scan_do_no_harm(join):
    assert join(["sub-01"], "participant_id\tx", "02\t1", "02\t2", "01\t3") == {"sub-01": 3.0}


def test_the_advice_on_two_lines_of_a_person_is_followed_by_a_column_of_runs(join):
    lines = ["01\t{}5", "01\t{}6", "02\t{}7"]
    with pytest.raises(InputError, match=r"differ in 'x'; keep one, .* run or filename"):
        join(RUNS, "participant_id\tx", *(line.format("") for line in lines))
    runs = ("1\t", "2\t", "1\t")
    mended = [line.format(run) for line, run in zip(lines, runs, strict=True)]
    assert list(join(RUNS, "participant_id\trun\tx", *mended).values()) == [5.0, 6.0, 7.0]


def test_a_table_of_other_visits_says_so(join):
    with pytest.raises(InputError, match=r"line 2 says sub 1, ses 9, .* session 1; make"):
        join(["sub-01_ses-1"], "participant_id\tsession_id\tx", "01\t9\t1")


def test_a_csv_table_is_read_with_its_quotes(join):
    found = join(["sub-01"], "participant_id,x", '01,"a, b"', table="people.csv")
    assert found == {"sub-01": "a, b"}


@st.composite
def listed(draw):
    """People, each with a value, and two spellings of each."""
    people = draw(st.dictionaries(st.integers(0, 999), st.integers(0, 99), min_size=1, max_size=8))
    written = st.sampled_from(["{}", "{:04d}", "sub-{}", "SUB-{:03d}", " {} ", "{}.0"])
    return [(draw(written).format(who), draw(written).format(who), x) for who, x in people.items()]


@examples(max_examples=50, deadline=None, derandomize=True)
@given(listed(), st.randoms(use_true_random=False))
def test_everybody_gets_their_own_value_however_either_side_spells_them(
    tmp_path_factory, people, random
):
    scans = [recording(spelt, f"s{i}") for i, (spelt, _, _) in enumerate(people)]
    lines = [f"{spelt}\t{value}" for _, spelt, value in people]
    random.shuffle(lines)
    path = tmp_path_factory.mktemp("table") / "people.tsv"
    path.write_text("\n".join(["participant_id\tx", *lines]) + "\n")
    joined = with_phenotypes(Source("made", tuple(scans), ()), path)
    assert [r.phenotypes["x"] for r in joined.recordings] == [float(x) for _, _, x in people]


heads = st.lists(
    st.sampled_from(["participant_id", "session", "run", "filename", "scan_id", "x", "site", ""]),
    min_size=1,
    max_size=5,
)
odd = st.sampled_from(["sub-", "sub-1", "1", "ses-", "n/a", "", "-", "\x00", '"', "\u202e", "0"])
contents = st.lists(st.lists(st.one_of(odd, st.text(max_size=3)), max_size=5), max_size=5)


@examples(max_examples=80, deadline=None, derandomize=True)
@given(heads, contents, st.sampled_from([("a.tsv", "\t"), ("a.csv", ",")]))
def test_whatever_a_table_holds_it_is_joined_or_refused_in_one_line(
    tmp_path_factory, header, rows, kind
):
    name, separator = kind
    path = tmp_path_factory.mktemp("table") / name
    whole = [(row + [""] * len(header))[: len(header)] for row in rows]
    text = "\n".join(separator.join(cells) for cells in [header, *whole]) + "\n"
    path.write_bytes(text.encode(errors="surrogatepass"))
    scans = tuple(recording(spelt, f"s{i}") for i, spelt in enumerate(["1", "b"]))
    told = None
    joined = Source("made", scans, ())
    try:
        joined = with_phenotypes(joined, path)
    except InputError as error:
        told = str(error)
    assert told is None or "\n" not in told
    assert len({frozenset(r.phenotypes) for r in joined.recordings}) == 1


def test_a_table_among_the_scans_is_no_scan(tmp_path):
    import nibabel as nib

    np.save(tmp_path / "sub-1.npy", np.eye(20))
    table = tmp_path / "conditions.csv"
    table.write_text("participant_id,x\n1,a\n")
    opened = open_source(tmp_path, ReadOptions(tr=2.0, phenotypes=table))
    assert (opened.recordings[0].phenotypes, opened.rejected) == ({"x": "a"}, ())
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 20)), np.eye(4)), tmp_path / "sub-1_bold.nii")
    (tmp_path / "sub-1.npy").unlink()
    atlas = tmp_path.parent / f"{tmp_path.name}-atlas.nii"
    nib.save(nib.Nifti1Image(np.ones((2, 2, 2), np.int16), np.eye(4)), atlas)
    images = open_source(tmp_path, ReadOptions(tr=2.0, phenotypes=table, atlas=atlas))
    assert [r.phenotypes for r in images.recordings] == [{"x": "a"}]


@pytest.mark.parametrize("cell", ["", "n/a", "sub-"])
def test_a_line_without_a_name_is_left_out_and_told(join, cell):
    assert join(["sub-01"], "participant_id\tx", f"{cell}\t4", "01\t5") == {"sub-01": 5.0}
    assert join.opened.notes == ("people.tsv: line 2 left out, without a participant_id",)


def test_columns_of_the_table_keep_their_record(join):
    join(["sub-01", "sub-02"], "participant_id\tx", "01\t89+", "02\t70")
    assert join.opened.columns["x"].cells["bound"] == 1
    assert "'89+' taken as 89" in join.opened.notes[0]


def test_sites_that_differ_in_case_only_are_told(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(20))
    lines = ["a.npy\ta\tA\t2\tNorth", "a.npy\tb\tB\t2\tnorth"]
    path = tmp_path / "scans.tsv"
    path.write_text("\n".join(["path\tscan_id\tsubject\ttr\tsite", *lines]) + "\n")
    assert "'North' and 'north' differ in letters' case" in open_source(path).notes[0]


def test_a_bad_line_of_a_scans_table_is_rejected_and_the_rest_goes_on(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(20))
    lines = ["a.npy\ta\tA\t2", "a.npy\tb\tB\ttwo", "c.npy\tc\tC\t2", "a.npy\td\t\t2", "\te\tE\t2"]
    path = tmp_path / "scans.tsv"
    path.write_text("\n".join(["path\tscan_id\tsubject\ttr", *lines]) + "\n")
    opened = open_source(path)
    assert [r.scan_id for r in opened.recordings] == ["a"]
    assert [(each.scan_id, each.reason) for each in opened.rejected] == [
        ("b", "scans.tsv: line 3 has tr 'two'; give seconds, above 0"),
        ("c", "scans.tsv: line 4 names c.npy, which is not a file; correct it"),
        ("d", "scans.tsv: line 5 has no subject; fill the cell"),
        ("e", "scans.tsv: line 6 has no path; fill the cell"),
    ]
