import json

import pandas as pd
import pytest
import yaml

from fmri_instruct.tasks.definitions import load_tasks, read_task
from fmri_instruct.tasks.labels import bin_of, label_scans
from fmri_instruct.tasks.prompt_leaks import mentions
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
