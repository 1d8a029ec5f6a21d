import json

import pandas as pd
import pytest
import yaml

from fmri_instruct.tasks.definitions import load_tasks, read_task
from fmri_instruct.tasks.labels import bin_of, label_scans
from fmri_instruct.tasks.prompt_leaks import mentions
from fmri_instruct.tasks.ready import ready_tasks
from fmri_instruct.tasks.separate_turns import turns_of
from fmri_vqtok.errors import InputError

COLOUR = {
    "title": "colour",
    "answers": ["red", "blue"],
    "label": {"phenotype": "colour"},
    "questions": ["Which colour is it?"],
    "statements": ["It is {answer}."],
}


def write(tmp_path, **changes):
    path = tmp_path / "tasks.yaml"
    path.write_text(yaml.safe_dump({"schema": 1, "tasks": {"colour": {**COLOUR, **changes}}}))
    return path


def test_the_demo_asks_three_tasks_and_warns_of_the_confounded_one():
    tasks = {task.name: task for task in load_tasks()}

    assert len(tasks) >= 3
    for word in ("confounded", "scanner", "site", "repetition time", "length"):
        assert word in tasks["age_group"].caveat


def test_every_demo_question_has_paraphrases_and_none_hints_at_an_answer():
    for task in load_tasks():
        assert len(set(task.questions)) >= 4
        assert len(set(task.statements)) >= 4
        assert [mentions(question, task.candidates) for question in task.questions] == [
            [] for _ in task.questions
        ]


def test_a_task_is_the_same_after_it_was_written_as_json():
    for task in load_tasks():
        assert read_task(json.loads(json.dumps(task.model_dump(mode="json"))), "tasks.json") == task


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"caveta": "x"}, ["tasks.colour", "caveta", "did you mean 'caveat'"]),
        ({"label": {"phenotyp": "colour"}}, ["label", "phenotype: COLUMN"]),
        ({"label": {"phenotype": "c", "valeus": {}}}, ["valeus", "did you mean 'values'"]),
        ({"label": {"phenotype": "c", "values": {"r": "rde"}}}, ["rde", "did you mean 'red'"]),
        ({"label": {"zscore": "f", "thresholds": [1, -1]}}, ["[1, -1]", "ascending"]),
        ({"label": {"zscore": "f"}}, ["no 'thresholds'", "add it"]),
        ({"label": {"zscore": "f", "thresholds": [-1, 1]}}, ["2 answers for 2 thresholds"]),
        ({"answers": ["red"]}, ["answers", "at least two"]),
        ({"answers": ["red", "red"]}, ["answers", "different"]),
        ({"answers": [True, False]}, ["answers", "quotes"]),
        ({"answers": "red"}, ["answers", "give a list"]),
        ({"statements": ["It is red."]}, ["It is red.", "{answer}"]),
        ({"questions": ["Is it red?"]}, ["Is it red?", "'red'", "equally often"]),
        ({"title": "redness or red"}, ["'red'", "equally often"]),
        ({"questions": []}, ["questions", "give at least 1"]),
        (
            {"label": {"phenotype": "c", "bins": {}}},
            ["label", "bins", "nothing given", "quantiles"],
        ),
        (
            {"label": {"phenotype": "c", "bins": {"quantiles": 2, "sd": 1}}},
            ["bins", "quantiles and sd given", "give one of"],
        ),
        ({"label": {"phenotype": "c", "bins": {"quantiles": 3}}}, ["2 answers for 3 bins"]),
        ({"label": {"phenotype": "c", "bins": {"quantiles": 1}}}, ["quantiles", "at least 2"]),
        ({"label": {"phenotype": "c", "bins": {"edges": [2, 1]}}}, ["edges", "ascending"]),
        ({"label": {"phenotype": "c", "bins": {"sd": -1}}}, ["sd", "-1", "above 0"]),
        (
            {"label": {"phenotype": "c", "bins": {"edges": [1]}, "values": {"r": "red"}}},
            ["values", "drop `values` or `bins`"],
        ),
        (
            {"label": {"phenotype": "c", "bins": {"edges": [1]}, "missing": ["none"]}},
            ["missing", "'none'", "give numbers"],
        ),
        (
            {"label": {"zscore": "f", "bins": {"edges": [1]}, "thresholds": [1]}},
            ["thresholds", "either"],
        ),
        (
            {"label": {"phenotype": "c", "zscore": "f", "bins": {"edges": [1]}}},
            ["either `phenotype: COLUMN` or `zscore: FEATURE`"],
        ),
        (
            {"label": {"phenotype": "c", "values": {"r": "red"}, "missing": ["r"]}},
            ["missing", "'r'", "drop one"],
        ),
        ({"label": {"phenotype": []}}, ["phenotype", "at least one name"]),
        ({"kind": "continous"}, ["kind", "did you mean 'continuous'"]),
        ({"kind": "continuous"}, ["kind: continuous needs a number in bins"]),
        (
            {"kind": "categorical", "label": {"phenotype": "c", "bins": {"edges": [1]}}},
            ["kind: categorical", "ordinal or continuous"],
        ),
        ({"kind": "binary", "answers": ["red", "blue", "green"]}, ["kind: binary", "3 answers"]),
        ({"metric": "mae"}, ["metric: 'mae'", "a binary task has accuracy"]),
        ({"unit": "years"}, ["unit: 'years'", "drop it"]),
        (
            {
                "label": {
                    "phenotype": "c",
                    "bins": {"edges": [1]},
                    "fitted": {"edges": [1], "bin_means": [0, 2], "mean": 1, "n_subjects": 2},
                }
            },
            ["label.fitted", "drop it"],
        ),
    ],
)
def test_a_wrong_tasks_file_gives_one_line_with_the_place_and_the_fix(tmp_path, changes, words):
    path = write(tmp_path, **changes)

    with pytest.raises(InputError) as caught:
        load_tasks(path)

    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tasks: [", ["cannot be read", "line 1"]),
        ("- a", ["not a mapping"]),
        ("schema: 1", ["no tasks"]),
        ("schema: 9\ntasks: {a: {}}", ["schema 9", "upgrade"]),
        ("task: {}", ["task: unknown key", "did you mean 'tasks'"]),
        ("tasks: {a: 3}", ["tasks.a", "3", "mapping"]),
        (
            "tasks: {a: {title: b, answers: [c, d]}}",
            ["no 'label'", "such as `label: {phenotype"],
        ),
    ],
)
def test_a_file_of_another_kind_gives_one_line_too(tmp_path, text, words):
    path = tmp_path / "tasks.yaml"
    path.write_text(text)

    with pytest.raises(InputError) as caught:
        load_tasks(path)

    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in (str(path), *words) if word not in message] == []


def test_a_missing_tasks_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        load_tasks(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("z", "expected"), [(-9, 0), (-1, 0), (-0.999, 1), (0, 1), (0.999, 1), (1, 2), (9, 2)]
)
def test_a_zscore_on_the_edge_is_outside_the_typical_range(z, expected):
    assert bin_of(z, (-1.0, 1.0)) == expected


def test_a_zscore_of_zero_is_in_the_upper_half_of_a_split_at_zero():
    assert bin_of(0.0, (0.0,)) == 1


@pytest.mark.parametrize(
    ("mapping", "column"),
    [
        ("{yes: red, no: blue}", ["yes", "no"]),
        ("{on: red, off: blue}", ["on", "off"]),
        ("{true: red, False: blue}", [True, False]),
        ("{1: red, 2: blue}", [1.0, 2.0]),
        ("{01: red, 02: blue}", ["01", "02"]),
        ("{2020-01-31: red, 12:30: blue}", ["2020-01-31", "12:30"]),
    ],
)
def test_values_of_a_column_are_mapped_as_they_are_written(tmp_path, mapping, column):
    path = write(tmp_path, label={"phenotype": "group", "values": "HERE"})
    path.write_text(path.read_text().replace("HERE", mapping))

    labels = label_scans(load_tasks(path), pd.DataFrame({"group": column}), tmp_path)

    assert list(labels.iloc[:, 0]) == ["red", "blue"]


@pytest.mark.parametrize(
    ("label", "answers", "kind"),
    [
        ({"phenotype": "c"}, ["red", "blue"], "binary"),
        ({"phenotype": "c"}, ["red", "blue", "green"], "categorical"),
        ({"zscore": "f", "thresholds": [0]}, ["red", "blue"], "ordinal"),
        ({"phenotype": "c", "bins": {"edges": [0]}}, ["red", "blue"], "ordinal"),
    ],
)
def test_the_kind_of_a_task_follows_from_its_label_where_it_is_not_given(
    tmp_path, label, answers, kind
):
    [task] = load_tasks(write(tmp_path, label=label, answers=answers))
    assert (task.kind, task.metric) == (kind, "accuracy")


def test_values_outside_a_subset_have_no_label_and_missing_codes_neither(tmp_path):
    label = {
        "phenotype": "dx",
        "values": {"CN": "red", "AD": "blue"},
        "subset": True,
        "missing": ["?"],
    }
    column = ["CN", "MCI", "AD", "?", None, "MCI to AD"]

    labels = label_scans(
        load_tasks(write(tmp_path, label=label)), pd.DataFrame({"dx": column}), tmp_path
    )

    assert labels["colour"].tolist() == ["red", None, "blue", None, None, None]


def test_a_mistyped_value_of_a_subset_is_found_by_its_answer_being_nobodys(tmp_path):
    label = {"phenotype": "dx", "values": {"CN": "red", "Dementa": "blue"}, "subset": True}
    cohort = pd.DataFrame({"dx": ["CN", "MCI", "Dementia"]})

    with pytest.raises(InputError) as caught:
        label_scans(load_tasks(write(tmp_path, label=label)), cohort, tmp_path)

    assert "task colour: nobody's answer is 'blue'; column 'dx' holds CN, MCI, Dementia" in str(
        caught.value
    )


def test_a_value_that_is_no_answer_is_an_error_without_subset(tmp_path):
    cohort = pd.DataFrame({"colour": ["red", "green"]})
    with pytest.raises(InputError, match=r"'green' in column 'colour'.*`subset: true`"):
        label_scans(load_tasks(write(tmp_path)), cohort, tmp_path)


def named(task, name, **changes):
    return task.model_copy(update={"name": name, **changes})


def test_tasks_that_give_each_other_away_are_not_asked_in_the_same_turn(tmp_path):
    [first] = load_tasks(write(tmp_path))
    other = first.label.model_copy(update={"phenotype": "shade"})
    same_column = named(first, "same column")
    revealed = named(first, "revealed", label=other, give_away=("colour",))
    free = named(first, "free", label=first.label.model_copy(update={"phenotype": "size"}))

    turns = turns_of([first, same_column, revealed, free])

    assert [[task.name for task in turn] for turn in turns] == [
        ["colour", "free"],
        ["same column"],
        ["revealed"],
    ]


def test_an_unknown_name_says_which_ready_files_there_are():
    with pytest.raises(InputError) as caught:
        load_tasks("ukbb")

    assert "'ukbb'" in str(caught.value)
    assert [name for name in ready_tasks() if name not in str(caught.value)] == []


def test_a_file_of_the_user_goes_before_a_ready_one_of_the_same_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path).rename(tmp_path / "ukb")
    assert [task.name for task in load_tasks("ukb")] == ["colour"]
