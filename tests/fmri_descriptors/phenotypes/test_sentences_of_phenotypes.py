"""Subjects described from phenotypes: what is told, what is left out, and what is refused."""

import json

import pytest

from fmri_descriptors import InputError, load_dictionary, read_cohort, semantic_description
from fmri_descriptors.phenotypes.sentences import write_semantic

DICTIONARY = """
schema: 1
tasks: [diagnosis, sex]
columns:
  age: {group: demographic, meaning: age, unit: years, decimals: 0}
  sex: {group: demographic, meaning: sex, values: {1: female, 2: male}}
  mmse:
    group: cognitive
    meaning: Mini-Mental State Examination score
    unit: of 30 points
    missing: [-9]
    gives_away: [diagnosis]
  systolic:
    group: physical
    meaning: systolic blood pressure
    unit: mmHg
    bands: [{below: 120, label: low band}, {below: 140, label: middle band}, {label: high band}]
  diastolic: {group: physical, meaning: diastolic blood pressure, unit: mmHg}
"""
ALL = {"age": 63.4, "sex": 2.0, "mmse": 21.0, "systolic": 125.0, "diastolic": 85.0}


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "phenotypes.yaml"
        path.write_text(text, encoding="utf-8")
        return load_dictionary(path)

    return load


@pytest.fixture
def dictionary(load):
    return load(DICTIONARY)


def test_a_subject_is_described_group_by_group_with_units_and_labels(dictionary):
    assert semantic_description(ALL, dictionary) == (
        "Demographic data: age is 63 years; sex is male. "
        "Cognitive measures: Mini-Mental State Examination score is 21 of 30 points. "
        "Physical measures: systolic blood pressure is 125 mmHg (middle band); "
        "diastolic blood pressure is 85 mmHg."
    )


@pytest.mark.parametrize("nothing", [None, float("nan"), "", "n/a", "NaN", -9, "-9", -9.0])
def test_a_missing_value_is_left_out_with_its_group(dictionary, nothing):
    text = semantic_description(ALL | {"mmse": nothing}, dictionary)
    assert "Cognitive" not in text
    assert "Mini-Mental" not in text


def test_a_subject_of_whom_nothing_is_known_has_no_text(dictionary):
    assert semantic_description(dict.fromkeys(ALL), dictionary) == ""


def test_a_column_that_gives_an_answer_away_is_kept_out_of_that_tasks_text_alone(dictionary):
    assert "Mini-Mental" not in semantic_description(ALL, dictionary, "diagnosis")
    assert "Mini-Mental" in semantic_description(ALL, dictionary, "sex")


def test_a_column_with_the_tasks_own_name_is_kept_out_undeclared(dictionary):
    assert "male" not in semantic_description(ALL, dictionary, "sex")


def test_a_task_that_is_mistyped_is_refused_and_not_left_open(dictionary):
    with pytest.raises(InputError, match=r"task 'diagnosys' .*; did you mean 'diagnosis'\?$"):
        semantic_description(ALL, dictionary, "diagnosys")


@pytest.mark.parametrize(
    ("value", "band"), [(119.9, "low"), (120, "middle"), (139.9, "middle"), (140, "high")]
)
def test_a_value_on_a_bound_is_in_the_upper_band(dictionary, value, band):
    text = semantic_description(ALL | {"systolic": value}, dictionary)
    assert f"mmHg ({band} band);" in text


def test_one_columns_bands_judge_no_other_column(dictionary):
    low, high = (semantic_description(ALL | {"diastolic": v}, dictionary) for v in (60, 190))
    assert low.replace("is 60 mmHg.", "") == high.replace("is 190 mmHg.", "")


@pytest.mark.parametrize("value", [2, 2.0, "2", "2.0", " 2 "])
def test_a_label_is_found_however_a_table_spells_its_value(dictionary, value):
    assert "sex is male" in semantic_description(ALL | {"sex": value}, dictionary)


def test_none_is_a_value_where_the_dictionary_labels_it(load):
    text = "{group: physical, meaning: medication, values: {none: no medication, na: sodium}}"
    dictionary = load(f"schema: 1\ncolumns:\n  drug: {text}\n")
    assert "is no medication" in semantic_description({"drug": "none"}, dictionary)
    assert "is sodium" in semantic_description({"drug": "na"}, dictionary)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sex": 3}, "column 'sex': value '3' has no label; known are: 1, 2"),
        ({"age": "old"}, "column 'age': 'old'; give a number, or a missing code"),
        ({"systolic": "inf"}, "column 'systolic': 'inf'; give a number"),
    ],
)
def test_a_value_that_the_dictionary_does_not_allow_is_refused(dictionary, change, message):
    with pytest.raises(InputError) as told:
        semantic_description(ALL | change, dictionary)
    assert message in str(told.value)


def test_a_column_that_the_phenotypes_do_not_have_names_the_nearest(dictionary):
    phenotypes = {"systolic_bp" if name == "systolic" else name: v for name, v in ALL.items()}
    with pytest.raises(InputError, match=r"no column 'systolic' .* did you mean 'systolic_bp'\?"):
        semantic_description(phenotypes, dictionary)


COLUMN = "schema: 1\ntasks: [diagnosis]\ncolumns:\n  a: "
GROUPED = COLUMN + "{group: physical, meaning: height, "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no mapping; begin with `schema: 1`"),
        ("- age", "holds no mapping"),
        ("schema: [1", "not valid YAML"),
        ("a: b: c", "not valid YAML"),
        ("\tschema: 1", "not valid YAML"),
        ("schema: !!python/object:os.system {}", "not valid YAML"),
        ("? [1, 2]\n: 3\n", "a key has to be text, line 1"),
        ("schema: 1\nschema: 1", "key 'schema' is given twice"),
        ("columns: {a: {}}", "schema None; begin the file with `schema: 1`"),
        ("schema: 2\ncolumns: {a: {}}", "schema 2; begin"),
        ("schema: 1", "no 'columns'; add it"),
        ("schema: 1\ncolumns: {}", "columns: {}; give one entry a column"),
        ("schema: 1\ncolumns: [age]", "columns: ['age']; give a mapping"),
        ("schema: 1\ncolums: {}", "unknown key 'colums'; did you mean 'columns'?"),
        ("schema: 1\ncolumns: {no: {}}", "columns.no: no 'meaning'; add it"),
        ("schema: 1\ntasks: sex\ncolumns: {a: {}}", "tasks: 'sex'; give a list"),
        (COLUMN + "age", "columns.a: 'age'; give a mapping"),
        (COLUMN + "{group: physical}", "columns.a: no 'meaning'; add it"),
        (COLUMN + "{meaning: height}", "columns.a: no 'group'; add it"),
        (COLUMN + "{group: physicl, meaning: b}", "did you mean 'physical'?"),
        (COLUMN + "{group: physical, meaning: ''}", "columns.a.meaning: ''; give text"),
        (GROUPED + "units: cm}", "unknown key 'units'; did you mean 'unit'?"),
        (GROUPED + "unit: ''}", "columns.a.unit: ''; give text"),
        (GROUPED + "decimals: 1.5}", "columns.a.decimals: 1.5; give a valid integer"),
        (GROUPED + "values: [tall]}", "columns.a.values: ['tall']; give a mapping"),
        (GROUPED + "values: {1: true}}", "put true and false in quotes"),
        (
            GROUPED + "values: {1: tall}, unit: cm}",
            "exclude each other; give one",
        ),
        (GROUPED + "bands: 3}", "columns.a.bands: 3; give a list"),
        (GROUPED + "bands: [{below: 3}]}", "bands[0]: no 'label'; add it"),
        (GROUPED + "bands: [{below: x, label: b}]}", "bands[0].below: 'x'; give a valid number"),
        (
            GROUPED + "bands: [{below: .nan, label: b}]}",
            "below: nan; give a finite number",
        ),
        (GROUPED + "bands: [{below: 3, label: b}]}", "give all bands but the last a `below`"),
        (
            GROUPED + "bands: [{below: 3, label: b}, {below: 3, label: c}, {label: d}]}",
            "give rising bounds",
        ),
        (GROUPED + "gives_away: diagnosis}", "gives_away: 'diagnosis'; give a list"),
        (GROUPED + "gives_away: [diagnoses]}", "did you mean 'diagnosis'?"),
    ],
)
def test_a_malformed_dictionary_is_one_clear_line(load, text, message):
    with pytest.raises(InputError) as told:
        load(text)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_a_dictionary_that_is_no_text_is_one_clear_line(tmp_path):
    path = tmp_path / "phenotypes.yaml"
    path.write_bytes(b"\xff\xfe\x00schema")
    with pytest.raises(InputError, match=r"not valid YAML \(.*\); correct it$"):
        load_dictionary(path)


def test_a_dictionary_that_is_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(InputError, match=r"No such file or directory; give a phenotype dictionary"):
        load_dictionary(tmp_path / "none.yaml")


SITE = """
schema: 1
tasks: [age_group]
columns:
  NAME: {group: demographic, meaning: the first phenotype}
"""


def test_a_cohort_gets_a_text_of_everything_and_one_a_task(cohort_dir, tmp_path):
    cohort = read_cohort(cohort_dir)
    names = list(cohort.document["phenotypes"])
    known = next(n for n in names if cohort.document["phenotypes"][n]["missing"] < len(cohort))
    path = tmp_path / "phenotypes.yaml"
    path.write_text(SITE.replace("NAME", known), encoding="utf-8")
    written = write_semantic(cohort, path, tmp_path / "semantic.jsonl")
    text = (tmp_path / "semantic.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    n_known = len(cohort) - cohort.document["phenotypes"][known]["missing"]
    assert written == len(lines)
    assert sum(line["task"] is None for line in lines) == n_known
    assert all(line["text"].startswith("Demographic data: the first") for line in lines)
    assert {tuple(line["columns"]) for line in lines} == {(known,)}
