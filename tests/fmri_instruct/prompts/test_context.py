"""What a prompt tells beside the scan, and that it never tells the answer."""

import json
from dataclasses import replace

import numpy as np
import pytest

from fmri_instruct.evaluation.evaluate import evaluate
from fmri_instruct.prompts.instructions import (
    build_instructions,
    read_instructions,
    write_instructions,
)
from fmri_instruct.prompts.lengths import longest_conversation
from fmri_instruct.settings import EvaluateSettings, MakeInstructionsSettings
from fmri_instruct.tasks.definitions import read_task
from fmri_vqtok.errors import InputError

from ..folders import made_up_rows, write_cohort, write_descriptors

TEXT = "Physical measures: weight is {} kg."
SETTINGS = MakeInstructionsSettings(variants=4, context_measures=1)


@pytest.fixture
def age(tasks):
    """The task about age groups, which may be told what is known."""
    return tasks[0].model_copy(update={"context": ("semantic",)})


@pytest.fixture
def write_texts(descriptors_dir, rows, tmp_path):
    def write(task="age_group", columns=("weight",), text=TEXT):
        directory = write_descriptors(rows, tmp_path / "descriptors")
        lines = [
            {"scan_id": row.scan_id, "task": task, "text": text.format(k), "columns": columns}
            for k, row in enumerate(rows)
        ]
        if columns is None:
            lines = [{k: v for k, v in line.items() if k != "columns"} for line in lines]
        path = directory / "semantic.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return directory

    return write


@pytest.fixture
def build(cohort_dir):
    def build(descriptors, task, settings=SETTINGS):
        return build_instructions(cohort_dir, descriptors, [task], settings, seed=0).splits

    return build


def test_half_of_the_training_conversations_tell_what_is_known_of_their_own_person(
    age, write_texts, tmp_path
):
    rows = [replace(row, split="train") for row in made_up_rows(n_subjects=60, n_regions=2)]
    cohort = write_cohort(rows, tmp_path / "cohort")
    descriptors = write_texts()
    texts = {row.scan_id: TEXT.format(k) for k, row in enumerate(rows)}
    lines = [
        {"scan_id": scan_id, "task": "age_group", "text": text, "columns": ["weight"]}
        for scan_id, text in texts.items()
    ]
    path = descriptors / "semantic.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    made = build_instructions(cohort, descriptors, [age], SETTINGS, seed=0).splits["train"]

    single = [each for each in made if each.paradigm == "single"]
    told = [each for each in single if "weight" in each.messages[0]["content"]]
    # 240 draws of a half: five standard errors are 0.16.
    assert len(told) / len(single) == pytest.approx(0.5, abs=0.16)
    for each in told:
        assert each.messages[0]["content"].startswith(f"<fmri>\n{texts[each.scan_id]}\n")
    assert [
        each for each in made if each.paradigm == "open" and "weight" in str(each.messages)
    ] == []


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_none_or_all_of_the_training_conversations_is_kept_to(
    age, write_texts, build, share
):
    made = build(write_texts(), age, replace(SETTINGS, context_share=share))["train"]
    single = [each for each in made if each.paradigm == "single"]
    assert {"weight" in each.messages[0]["content"] for each in single} == {share == 1}


def test_a_task_that_allows_nothing_is_told_nothing_and_asked_as_ever(
    tasks, write_texts, build, descriptors_dir
):
    assert build(write_texts(), tasks[0]) == build(descriptors_dir, tasks[0])


@pytest.mark.parametrize("column", ["age_group", "birth_year"])
def test_a_text_that_tells_a_column_from_which_the_answer_follows_is_an_error(
    age, write_texts, build, column
):
    revealed = age.model_copy(update={"give_away": ("birth_year",)})
    with pytest.raises(InputError, match=rf"'{column}', which gives .*gives_away: \[age_group\]"):
        build(write_texts(columns=("weight", column)), revealed)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task": "sex"}, "no text for task 'age_group'; add it to `tasks`"),
        ({"columns": None}, "run `fmri describe` again"),
        ({"text": "The mother of {} is older."}, "names the answer 'older'"),
    ],
)
def test_texts_that_cannot_be_told_are_an_error(age, write_texts, build, change, words):
    settings = replace(SETTINGS, context_share=0.0)
    with pytest.raises(InputError, match=words):
        build(write_texts(**change), age, settings)


def test_without_a_phenotype_dictionary_the_fix_is_told(age, descriptors_dir, build):
    with pytest.raises(InputError, match=r"semantic\.jsonl: no such file; .*phenotype-dictionary"):
        build(descriptors_dir, age)


def test_the_measure_furthest_from_the_centre_is_told_in_words(tasks, build, rows, tmp_path):
    z = {"graph.modularity": 0.5, "graph.network_strength.Visual": -2.5}
    descriptors = write_descriptors([replace(row, z=z) for row in rows], tmp_path / "d")
    task = tasks[0].model_copy(update={"context": ("descriptors",)})

    [told] = {
        each.context for each in build(descriptors, task)["test"] if each.paradigm == "single"
    }

    assert told == (
        "Measures of this scan: the connection strength of the Visual network is well below the "
        "typical range."
    )


def test_measures_beside_a_question_about_a_measure_are_an_error(tasks):
    entry = {**tasks[1].model_dump(mode="json"), "context": ["descriptors"]}
    with pytest.raises(InputError, match="descriptors tell the z-score"):
        read_task(entry, "tasks")


def test_held_out_scans_are_asked_with_and_without_and_only_one_is_told(
    age, write_texts, cohort_dir, tokens_dir, model, tmp_path
):
    directory = tmp_path / "instructions"
    directory.mkdir()
    built = build_instructions(cohort_dir, write_texts(), [age], SETTINGS, seed=0)
    write_instructions(built, [age], directory)
    asked = read_instructions(directory, "test")
    assert [each for each in asked if "weight" in str(each.messages)] == []
    untold = [replace(each, context=None) for each in asked]
    lengths = [longest_conversation(model.text_tokenizer, each) for each in (asked, untold)]
    assert lengths[0] > lengths[1]

    results = evaluate(
        model, tokens_dir, directory, cohort_dir, EvaluateSettings(max_new_tokens=2, resamples=5)
    )

    by_way = {
        way: np.array([a.probabilities["older"] for a in results.answers if a.paradigm == way])
        for way in ("single", "context")
    }
    assert len(by_way["context"]) == len(by_way["single"]) > 0
    assert (by_way["context"] != by_way["single"]).all()
    rows = {row["method"]: row for row in results.scores["tasks"]["age_group"]["rows"]}
    assert "told nothing" in rows["fMRI-LM, one question, told about the person"]["note"]
