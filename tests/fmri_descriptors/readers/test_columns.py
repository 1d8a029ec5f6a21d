"""What becomes of the cells of a table."""

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from fmri_descriptors import InputError
from fmri_descriptors.readers.tables.columns import text_column, typed_column
from fmri_descriptors.readers.tables.delimited import read_rows
from fmri_descriptors.utils.cells import bound


@pytest.mark.parametrize("cell", ["", " ", "n/a", "NA", "NaN", "NULL", "-", ".", "#N/A", "?"])
def test_a_cell_without_an_entry_is_missing_and_leaves_numbers_numbers(cell):
    column = text_column("age", ["31", cell, "40"])
    assert (column.values, column.kind) == ((31.0, None, 40.0), "number")
    assert column.cells["missing"] == 1


@pytest.mark.parametrize(("cell", "told"), [("NULL", True), ("-", True), ("n/a", False)])
def test_an_unusual_spelling_of_missing_is_told(cell, told):
    notes = text_column("sex", ["F", cell, "M"]).notes
    assert any(repr(cell) in note and "missing" in note for note in notes) == told


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        *(
            ("89+", 89),
            (">89", 89),
            ("≥ 90", 90),
            ("90 or older", 90),
            ("<18", 18),
            ("over 85", 85),
        ),
        *(("89+ years", 89), ("older than 90", 90), ("90 years or older", 90), ("> 89 y", 89)),
    ],
)
def test_a_bound_becomes_its_number_among_numbers_and_is_told(cell, number):
    column = text_column("age", ["60", cell, "71.5"])
    assert column.values == (60.0, number, 71.5)
    assert column.record()["bounds"] == {cell: number}
    assert any(cell in note for note in column.notes)


def test_bands_without_numbers_are_a_category():
    assert text_column("age", ["60+", "<60", "60+", "61"]).kind == "category"


def test_one_word_among_numbers_makes_a_category_that_says_which_cell_decided():
    column = text_column("score", ["3", "4", "refused", "5"])
    assert column.kind == "category"
    assert column.cells == {"number": 3, "bound": 0, "text": 1, "missing": 0}
    assert "3 of 4 cells are numbers, since 'refused'" in column.notes[0]


def test_a_code_that_a_spreadsheet_gave_decimals_is_its_level():
    column = text_column("sex", ["1.0", "2", "3"], {"1": "male", "2": "female"})
    assert column.values == ("1", "2", "3")
    assert column.notes == ("sex: '3' (1 cell) is not among its Levels",)


@pytest.mark.parametrize("cells", [["-999", "3", "4"], ["99", "3", "4"]])
def test_a_number_that_often_means_missing_stays_a_number_and_is_told(cells):
    column = text_column("score", cells)
    assert column.values[0] == float(cells[0])
    assert "kept as a number" in column.notes[0]


@pytest.mark.parametrize("cells", [["3,5", "4,25", "6"], ["61 kg", "72kg"], ["31 %", "8 %"]])
def test_numbers_with_a_comma_or_a_unit_are_a_category_and_told(cells):
    column = text_column("x", cells)
    assert column.kind == "category"
    assert "numbers with a comma or a unit" in column.notes[0]


@pytest.mark.parametrize("cells", [["1a", "2b", "3c"], ["F", "M"], ["T1", "T2"], ["60+", "<60"]])
def test_codes_with_letters_are_a_category_without_a_word(cells):
    assert text_column("x", cells).notes == ()


def test_a_number_among_its_like_is_not_suspected():
    assert text_column("age", ["99", "97", "95"]).notes == ()


def test_spellings_of_a_category_that_differ_in_case_are_told():
    (note,) = text_column("sex", ["Male", "male", "female"]).notes
    assert "'Male' and 'male'" in note


def test_texts_of_a_typed_column_stay_texts_and_are_told_if_they_look_like_numbers():
    column = typed_column("age", ["20", "30", "89+"])
    assert column.values == ("20", "30", "89+")
    assert "2 of 3 cells are numbers" in column.notes[0]


cells = st.one_of(
    st.sampled_from(["", "n/a", "NULL", "-", "89+", "<5", "word", "1e400", "1_0", "٣"]),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(max_size=5),
)


@examples(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(cells, max_size=12))
def test_every_cell_is_counted_once_and_a_column_has_one_kind(listed):
    column = text_column("x", listed)
    assert sum(column.cells.values()) == len(column.values) == len(listed)
    assert column.cells["missing"] == column.values.count(None)
    known = [value for value in column.values if value is not None]
    assert len({type(value) for value in known}) <= 1
    if column.kind == "number":
        assert column.cells["text"] == 0
        assert all(abs(value) < float("inf") for value in known)


@examples(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 120), st.sampled_from([" or ", " and "]), st.sampled_from(["older", "over"]))
def test_a_bound_is_read_from_its_words(number, joint, word):
    assert bound(f"{number}{joint}{word}") == number
    assert bound(f"{number}") is None


def test_a_quotation_mark_is_a_letter_in_tsv_and_quotes_in_csv(tmp_path):
    tsv, csv = tmp_path / "a.tsv", tmp_path / "a.csv"
    tsv.write_text('id\tnote\n1\t"late\n2\tsaid "no"\n3\t5" tall\n')
    csv.write_text('id,note\n1,"late, tall"\n2,"said ""no"""\n')
    assert [row["note"] for row in read_rows(tsv)[1].values()] == ['"late', 'said "no"', '5" tall']
    assert [row["note"] for row in read_rows(csv)[1].values()] == ["late, tall", 'said "no"']


def test_what_a_spreadsheet_leaves_at_the_edges_is_dropped(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes(b"\xef\xbb\xbfid \tage\t\t\r\n1\t20\t\t\r\n\t\t\t\r\n")
    assert read_rows(path) == (["id", "age"], {2: {"id": "1", "age": "20"}})


def test_a_header_in_quotation_marks_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('"id"\t"age"\n"1"\t20\n')
    with pytest.raises(InputError, match=r"in quotation marks.*quote = FALSE"):
        read_rows(path)
