import random
from collections import Counter
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmri_instruct.prompts.instructions import (
    build_instructions,
    read_instructions,
    read_tasks,
    write_instructions,
)
from fmri_instruct.prompts.verification import PLACEHOLDER
from fmri_instruct.settings import MakeInstructionsSettings
from fmri_instruct.tasks.definitions import load_tasks
from fmri_instruct.tasks.labels import bin_of
from fmri_instruct.tasks.prompt_leaks import mentions, refuse_hint
from fmri_vqtok.errors import InputError

from ..folders import FEATURES, SPLITS, made_up_rows, write_cohort, write_descriptors

SETTINGS = MakeInstructionsSettings(variants=3)


@pytest.fixture(scope="module")
def built(cohort_dir, descriptors_dir, tasks):
    return build_instructions(cohort_dir, descriptors_dir, tasks, SETTINGS, seed=3)


@pytest.fixture(scope="module")
def everything(built):
    return [each for split in built.splits.values() for each in split]


def build(rows, root, tasks, seed=3):
    cohort = write_cohort(rows, root / "cohort")
    descriptors = write_descriptors(rows, root / "descriptors")
    return build_instructions(cohort, descriptors, tasks, SETTINGS, seed)


def written(built, tasks, directory):
    directory.mkdir()
    write_instructions(built, tasks, directory)
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def test_no_conversation_holds_two_tasks_of_which_one_gives_the_other_away(tmp_path, tasks):
    reworded = tasks[0].model_copy(update={"name": "same_column"})
    revealed = tasks[1].model_copy(update={"give_away": ("age_group",)})

    built = build(made_up_rows(), tmp_path, [tasks[0], revealed, tasks[2], reworded])

    held_out = [each for each in built.splits["test"] if each.paradigm != "single"]
    turns = {(each.paradigm, tuple(each.task)) for each in held_out}
    together = ("age_group", "clustering")
    assert turns == {
        ("multi", together),
        ("open", together),
        ("open", ("visual_strength",)),
        ("open", ("same_column",)),
    }


def test_every_scan_is_asked_in_every_paradigm_about_every_task(built, rows, tasks):
    for split, variants in (("train", 3), ("validation", 1), ("test", 1)):
        scans = [row.scan_id for row in rows if row.split == split]
        found = Counter((each.scan_id, each.paradigm) for each in built.splits[split])
        assert found == {
            (scan, paradigm): variants * n
            for scan in scans
            for paradigm, n in (("single", len(tasks)), ("multi", 1), ("open", 1))
        }


def test_each_conversation_is_one_question_about_a_scan_and_one_reply(everything):
    for each in everything:
        assert [message["role"] for message in each.messages] == ["user", "assistant"]
        assert each.messages[0]["content"].startswith(f"{PLACEHOLDER}\n")
    assert len({each.id for each in everything}) == len(everything)


def test_true_answers_are_those_of_the_scan_itself(everything, rows):
    truth = {
        row.scan_id: {
            "age_group": row.phenotypes["age_group"],
            "visual_strength": ("below", "within", "above")[bin_of(row.z[FEATURES[0]], (-1, 1))],
            "clustering": ("below", "within", "above")[bin_of(row.z[FEATURES[1]], (-1, 1))],
        }
        for row in rows
    }

    for each in everything:
        expected = truth[each.scan_id]
        assert each.answer == (expected[each.task] if each.paradigm == "single" else expected)


def test_replies_state_the_true_answers_in_the_order_asked(everything, tasks):
    by_name = {task.name: task for task in tasks}
    for each in everything:
        reply = each.messages[1]["content"]
        if each.paradigm == "single":
            assert reply == each.answer
        elif each.paradigm == "multi":
            lines = [f"{k}. {each.answer[name]}" for k, name in enumerate(each.task, start=1)]
            assert reply == "\n".join(lines)
        else:
            stated = [each.answer[name] for name in each.task]
            sentences = reply.removesuffix(".").split(". ")
            found = [
                mentions(sentence, by_name[name].candidates)
                for sentence, name in zip(sentences, each.task, strict=True)
            ]
            assert found == [[answer] for answer in stated]


def test_no_prompt_names_one_answer_more_often_than_another(everything, tasks):
    by_name = {task.name: task for task in tasks}
    for each in everything:
        prompt = each.messages[0]["content"]
        for name in [each.task] if isinstance(each.task, str) else each.task:
            named = Counter(mentions(prompt, by_name[name].candidates))
            assert len({named[candidate] for candidate in by_name[name].candidates}) == 1


def test_open_ended_prompts_name_no_answer_at_all(everything, tasks):
    for each in everything:
        if each.paradigm == "open":
            prompt = each.messages[0]["content"]
            assert [mentions(prompt, task.candidates) for task in tasks] == [[], [], []]


def test_prompts_do_not_depend_on_the_labels(cohort_dir, built, rows, tasks, tmp_path):
    others = [
        replace(
            row,
            z={name: -value for name, value in row.z.items()},
            phenotypes={
                "age_group": {"younger": "older", "older": "younger"}[row.phenotypes["age_group"]]
            },
        )
        for row in rows
    ]

    turned = build(others, tmp_path, tasks)

    def prompts(found):
        return {each.id: each.messages[:-1] for split in found.splits.values() for each in split}

    assert prompts(turned) == prompts(built)


def test_a_prompt_that_hints_is_refused(tasks):
    with pytest.raises(InputError, match=r"names the answer 'older'.*equally often"):
        refuse_hint("The person is rather older. Younger or older?", tasks[:1], "x")


def test_the_true_answer_is_listed_at_every_place_about_equally_often(tasks, tmp_path):
    rows = [
        replace(row, bold=row.bold[:5, :3], split="test" if k % 2 else "train")
        for k, row in enumerate(made_up_rows(n_subjects=200, n_regions=3))
    ]

    found = build(rows, tmp_path, tasks)

    for task in tasks:
        places = Counter(
            each.candidates[task.name].index(each.answer)
            for split in found.splits.values()
            for each in split
            if each.task == task.name
        )
        n = len(task.candidates)
        total = sum(places.values())
        # 400 draws or more: five standard errors are at most 0.125.
        assert [places[k] / total for k in range(n)] == pytest.approx([1 / n] * n, abs=0.125)


def test_held_out_scans_get_the_canonical_wording_and_training_scans_several_others(built, tasks):
    for task in tasks:
        held_out = {
            each.messages[0]["content"].split("\n")[1]
            for each in built.splits["test"]
            if each.task == task.name
        }
        training = {
            each.messages[0]["content"] for each in built.splits["train"] if each.task == task.name
        }
        assert held_out == {task.questions[0]}
        assert len(training) > 6
        assert [prompt for prompt in training if task.questions[0] in prompt] == []


@pytest.mark.parametrize("seed", range(3))
def test_row_order_of_the_inputs_changes_no_byte(rows, tasks, built, tmp_path, seed):
    shuffled = random.Random(seed).sample(rows, len(rows))
    cohort = write_cohort(shuffled, tmp_path / "cohort")
    other_order = random.Random(seed + 1).sample(rows, len(rows))
    descriptors = write_descriptors(other_order, tmp_path / "descriptors")

    again = build_instructions(cohort, descriptors, tasks, SETTINGS, seed=3)

    assert written(again, tasks, tmp_path / "a") == written(built, tasks, tmp_path / "b")


def test_a_row_number_for_an_index_in_the_features_file_changes_no_byte(
    descriptors_dir, cohort_dir, tasks, built, tmp_path
):
    table = pd.read_parquet(descriptors_dir / "zscores.parquet").reset_index()
    table.to_parquet(tmp_path / "zscores.parquet")

    again = build_instructions(cohort_dir, tmp_path, tasks, SETTINGS, seed=3)

    assert again == built


def test_adding_a_scan_changes_no_other_scans_conversations(rows, tasks, built, tmp_path):
    fewer = build(rows[1:], tmp_path, tasks)

    gone = rows[0].scan_id
    assert fewer.splits["train"] == [each for each in built.splits["train"] if each.scan_id != gone]


def test_another_seed_gives_other_wordings(rows, tasks, built, tmp_path):
    assert build(rows, tmp_path, tasks, seed=4).splits["train"] != built.splits["train"]


def test_what_was_written_is_read_back(built, tasks, tmp_path):
    write_instructions(built, tasks, tmp_path)

    assert read_tasks(tmp_path) == tasks
    for split in SPLITS:
        assert read_instructions(tmp_path, split) == built.splits[split]


def test_scans_without_a_label_are_left_out_of_that_task_and_counted(rows, tasks, tmp_path):
    blank, gone, unmeasured = rows[0], rows[1], rows[2]
    changed = [
        replace(blank, phenotypes={"age_group": None}),
        replace(gone, phenotypes={"age_group": ""}),
        replace(unmeasured, z={FEATURES[0]: float("nan"), FEATURES[1]: 0.0}),
        *rows[3:],
    ]

    found = build(changed, tmp_path, tasks)

    assert found.counts["age_group"]["train"]["missing"] == 2
    assert found.counts["visual_strength"]["train"]["missing"] == 1
    assert found.counts["clustering"]["train"]["missing"] == 0
    asked = {
        (each.scan_id, name)
        for each in found.splits["train"]
        for name in ([each.task] if isinstance(each.task, str) else each.task)
    }
    assert (blank.scan_id, "age_group") not in asked
    assert (gone.scan_id, "age_group") not in asked
    assert (unmeasured.scan_id, "visual_strength") not in asked
    assert (blank.scan_id, "clustering") in asked


def test_counts_of_answers_and_missing_labels_add_up_to_the_scans(built, rows):
    sizes = Counter(row.split for row in rows)
    for by_split in built.counts.values():
        assert {split: sum(counts.values()) for split, counts in by_split.items()} == sizes


@settings(max_examples=15, deadline=None)
@given(
    splits=st.lists(st.sampled_from(SPLITS), min_size=3, max_size=8),
    visits=st.integers(1, 2),
)
def test_no_scan_of_one_split_is_asked_about_in_another(tmp_path_factory, splits, visits):
    assigned = ["train", *splits]
    rows = [
        replace(row, split=assigned[int(row.subject.removeprefix("sub-"))])
        for row in made_up_rows(n_subjects=len(assigned), n_regions=3, scans_each=visits)
    ]

    found = build(rows, tmp_path_factory.mktemp("splits"), load_tasks())

    owner = {row.scan_id: row.subject for row in rows}
    subjects = {split: {owner[each.scan_id] for each in found.splits[split]} for split in SPLITS}
    assert subjects == {
        split: {row.subject for row in rows if row.split == split} for split in SPLITS
    }


def test_a_subject_in_two_splits_is_refused(rows, tasks, tmp_path):
    leaking = [replace(rows[0], subject=rows[-1].subject), *rows[1:]]

    with pytest.raises(InputError, match=f"{rows[-1].subject} is in test and train.*by subject"):
        build(leaking, tmp_path, tasks)


def test_a_duplicate_scan_is_refused(rows, tasks, tmp_path):
    with pytest.raises(InputError, match=f"duplicate scan {rows[0].scan_id}"):
        build([rows[0], *rows], tmp_path, tasks)


def test_descriptors_of_another_split_are_refused(cohort_dir, rows, tasks, tmp_path):
    moved = [replace(rows[0], split="test"), *rows[1:]]
    descriptors = write_descriptors(moved, tmp_path)

    with pytest.raises(InputError, match=r"is in split 'test'.*'train'; describe this cohort"):
        build_instructions(cohort_dir, descriptors, tasks, SETTINGS, seed=0)


def test_a_newer_cohort_schema_is_refused(rows, descriptors_dir, tasks, tmp_path):
    cohort = write_cohort(rows, tmp_path / "cohort", schema=2)

    with pytest.raises(InputError, match=r"cohort\.json: schema 2, .* up to 1; upgrade"):
        build_instructions(cohort, descriptors_dir, tasks, SETTINGS, seed=0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"phenotype": "age_gruop"}, "no column 'age_gruop'; did you mean 'age_group'"),
        (
            {"zscore": "graph.mean_clusterng", "thresholds": [0]},
            "no feature 'graph.mean_clusterng'; did you mean 'graph.mean_clustering'",
        ),
    ],
)
def test_a_label_source_that_is_missing_is_named_with_the_nearest_one(
    cohort_dir, descriptors_dir, tasks, change, words
):
    from fmri_instruct.tasks.definitions import read_task

    lost = read_task({**tasks[0].model_dump(mode="json"), "label": change}, "task")

    with pytest.raises(InputError, match=words):
        build_instructions(cohort_dir, descriptors_dir, [lost], SETTINGS, seed=0)


def test_a_phenotype_value_that_is_no_answer_is_named(rows, tasks, tmp_path):
    strange = [replace(rows[0], phenotypes={"age_group": "oldre"}), *rows[1:]]

    with pytest.raises(
        InputError, match=r"has 'oldre' in column 'age_group'; did you mean 'older'"
    ):
        build(strange, tmp_path, tasks)


def test_a_task_that_no_training_scan_has_a_label_for_is_refused(rows, tasks, tmp_path):
    blank = [
        replace(row, phenotypes={"age_group": None}) if row.split == "train" else row
        for row in rows
    ]

    with pytest.raises(InputError, match="task age_group: no training scan"):
        build(blank, tmp_path, tasks)


def test_a_folder_that_is_no_cohort_is_refused(descriptors_dir, tasks, tmp_path):
    with pytest.raises(InputError, match=r"cohort\.json"):
        build_instructions(tmp_path, descriptors_dir, tasks, SETTINGS, seed=0)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"variants": 0}, "variants: 0; give at least 1"),
        ({"paradigms": ("singel",)}, "paradigms.0: 'singel'; give 'single', 'multi' or 'open'"),
        ({"paradigms": ()}, r"paradigms: \(\); give at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(bad, words):
    with pytest.raises(InputError, match=words):
        MakeInstructionsSettings(**bad)


def test_numbers_of_a_phenotype_column_are_mapped_even_where_some_are_missing(
    rows, tasks, tmp_path
):
    from fmri_instruct.tasks.definitions import read_task

    coded = [
        replace(row, phenotypes={"sex": None if k == 0 else 1 + k % 2})
        for k, row in enumerate(rows)
    ]
    label = {"phenotype": "sex", "values": {"1": "younger", "2": "older"}}
    task = read_task({**tasks[0].model_dump(mode="json"), "label": label}, "task")

    counts = build(coded, tmp_path, [task]).counts["age_group"]["train"]

    assert counts == {"younger": 2, "older": 3, "missing": 1}
