"""Evaluation with a reader whose answers are planted, so that the scores are known beforehand."""

import json
import math
import random
from dataclasses import replace

import numpy as np
import pytest

from fmri_instruct.answers.probabilities import choose, choose_in_turn, softmax
from fmri_instruct.baselines.scan_features import read_features
from fmri_instruct.evaluation.baseline_answers import baseline_methods
from fmri_instruct.evaluation.evaluate import METHODS, evaluate_reader
from fmri_instruct.prompts.instructions import (
    build_instructions,
    read_instructions,
    write_instructions,
)
from fmri_instruct.prompts.paraphrases import described, numbered
from fmri_instruct.settings import EvaluateSettings, MakeInstructionsSettings
from fmri_instruct.tasks.prompt_leaks import mentions
from fmri_vqtok.errors import InputError

from ..folders import made_up_rows, write_cohort, write_descriptors, write_tokens

SETTINGS = EvaluateSettings(resamples=50, wordings=1, prior="none", calibrate=False)
NEAR = math.log(3)  # odds of 3 to 1


class Planted:
    """A reader that finds the answers it was given likelier than the others.

    Parameters
    ----------
    answers : dict
        By place of the scan in the order of scan ids: answer by task name.
    text : callable
        Description from those answers.
    """

    def __init__(self, answers, tasks, text):
        self.answers, self.tasks, self.text = answers, tasks, text
        self.read_scans, self.replies = [], []

    def read(self, scan):
        place = int(scan.codes[0, 0])
        self.read_scans.append(place)
        return self.answers[place]

    def log_likelihoods(self, scan, prompt, replies, *, whole):
        self.replies.append((list(replies), whole))
        lines = replies[0].split("\n")
        asked = prompt[0]["content"].split("\n")
        numbered_lines = [line for line in asked if line.startswith(f"{len(lines)}. ")]
        line = numbered_lines[0] if numbered_lines else asked[1]
        task = next(task for task in self.tasks if task.questions[0] in line)
        wanted = [mentions(reply.split("\n")[-1], [scan[task.name]]) != [] for reply in replies]
        return np.where(wanted, NEAR, 0.0)

    def describe(self, scan, prompt, max_new_tokens):
        return self.text(scan)


@pytest.fixture(scope="module")
def truth(instructions_dir, rows):
    place = {scan_id: k for k, scan_id in enumerate(sorted(row.scan_id for row in rows))}
    return {
        place[each.scan_id]: each.answer
        for each in read_instructions(instructions_dir, "test")
        if each.paradigm == "multi"
    }


@pytest.fixture
def run(tokens_dir, instructions_dir, cohort_dir, descriptors_dir):
    def evaluate(reader, settings=SETTINGS, **folders):
        return evaluate_reader(
            reader,
            folders.get("tokens", tokens_dir),
            folders.get("instructions", instructions_dir),
            folders.get("cohort", cohort_dir),
            settings,
            descriptors_dir=folders.get("descriptors", descriptors_dir),
            seed=5,
        )

    return evaluate


def knowing(truth, tasks):
    return Planted(truth, tasks, lambda answers: described(tasks, answers))


def shifted(truth, tasks):
    """Every answer is the one after the true one."""
    wrong = {
        place: {
            task.name: task.candidates[
                (task.candidates.index(answers[task.name]) + 1) % len(task.candidates)
            ]
            for task in tasks
        }
        for place, answers in truth.items()
    }
    return Planted(wrong, tasks, lambda answers: described(tasks, answers))


def rows_of(results, task):
    return {row["method"]: row for row in results.scores["tasks"][task]["rows"]}


def test_a_model_with_the_true_answers_is_correct_in_every_paradigm(run, truth, tasks):
    results = run(knowing(truth, tasks))

    for task in tasks:
        found = rows_of(results, task.name)
        assert list(found)[:3] == [
            "fMRI-LM, one question",
            "fMRI-LM, several questions",
            "fMRI-LM, open-ended",
        ]
        for name, row in found.items():
            if name in METHODS.values():
                # Four of four: the exact 95 % interval begins at 0.025 to the power of 1/4.
                interval = row["accuracy"]
                assert (interval["value"], interval["high"]) == (1, 1)
                assert interval["low"] == pytest.approx(0.025 ** (1 / 4))
                assert row["unparsed"] == 0


def test_a_model_that_is_always_wrong_scores_zero(run, truth, tasks):
    results = run(shifted(truth, tasks))

    for task in tasks:
        for name, row in rows_of(results, task.name).items():
            if name in METHODS.values():
                assert row["accuracy"]["value"] == row["balanced_accuracy"]["value"] == 0.0


def test_the_row_of_shuffled_scans_is_what_the_model_scores_when_it_is_shown_them(
    run, truth, tasks
):
    places = sorted(truth)
    half = len(places) // 2
    elsewhere = dict(zip(places, [*places[half:], *places[:half]], strict=True))
    shown = {place: truth[elsewhere[place]] for place in places}

    own, others = run(knowing(truth, tasks)), run(knowing(shown, tasks))

    for task in tasks:
        shuffled = rows_of(own, task.name)["fMRI-LM, one question, another person's scan"]
        asked_again = rows_of(others, task.name)["fMRI-LM, one question"]
        for score in ("accuracy", "balanced_accuracy", "auc"):
            assert shuffled[score] == asked_again[score]


BASELINES = [
    "majority class",
    "connectome + logistic regression",
    "tangent-space connectome + logistic regression",
    "descriptors + gradient boosting",
]


def test_every_task_has_all_baselines_beside_the_model_and_on_the_same_scans(run, truth, tasks):
    results = run(knowing(truth, tasks))

    for task in tasks:
        assert list(rows_of(results, task.name))[-4:] == BASELINES
        compared = results.scores["tasks"][task.name]["comparisons"]
        of_baselines = [each for each in compared if each["baseline"] in BASELINES]
        assert {each["baseline"] for each in of_baselines} == set(BASELINES)
        assert {each["n_subjects"] for each in of_baselines} == {4}


def test_a_baseline_does_not_see_the_descriptor_that_the_answers_are_made_of(run, truth, tasks):
    results = run(knowing(truth, tasks))
    notes = {
        task.name: rows_of(results, task.name)["descriptors + gradient boosting"]["note"]
        for task in tasks
    }

    made_of = "without graph.network_strength.Visual, of which the answers are made"
    assert notes["visual_strength"].endswith(made_of)
    assert "without" not in notes["age_group"]


def test_without_descriptors_the_other_baselines_stand_alone(run, truth, tasks):
    results = run(knowing(truth, tasks), descriptors=None)

    assert list(rows_of(results, "age_group"))[-3:] == BASELINES[:3]


def test_auc_is_of_probabilities_and_is_left_out_for_free_text_with_the_reason(run, truth, tasks):
    found = rows_of(run(knowing(truth, tasks)), "age_group")

    assert found["fMRI-LM, one question"]["auc"]["value"] == 1.0
    assert found["majority class"]["auc"]["value"] == 0.5
    assert found["fMRI-LM, open-ended"]["auc"] is None
    assert found["fMRI-LM, open-ended"]["auc_note"] == "free text gives no probabilities"


def test_every_answer_has_an_f1_and_only_probabilities_have_a_calibration_error(run, truth, tasks):
    results = run(knowing(truth, tasks))
    found = rows_of(results, "age_group")

    ours = [row for name, row in found.items() if name in METHODS.values()]
    assert [row["macro_f1"]["value"] for row in ours] == [1, 1, 1]
    # Right each time at odds of 3 to 1.
    assert found["fMRI-LM, one question"]["ece"]["value"] == pytest.approx(0.25)
    assert found["fMRI-LM, open-ended"]["ece"] is None
    compared = results.scores["tasks"]["age_group"]["comparisons"]
    assert "ece" not in {each["metric"] for each in compared}


def test_text_that_cannot_be_parsed_counts_as_unparsed_and_wrong(run, truth, tasks):
    silent = Planted(truth, tasks, lambda _: "A brain.")

    results = run(silent)

    for task in tasks:
        row = rows_of(results, task.name)["fMRI-LM, open-ended"]
        assert row["unparsed"] == results.scores["tasks"][task.name]["n_scans"] == 4
        assert row["accuracy"]["value"] == 0.0
    blank = [answer for answer in results.answers if answer.paradigm == "open"]
    assert {answer.answer for answer in blank} == {None}
    assert {answer.text for answer in blank} == {"A brain."}


def test_only_held_out_scans_are_read_and_each_of_them_once(run, truth, tasks):
    reader = knowing(truth, tasks)

    run(reader)

    assert reader.read_scans == sorted(truth)


def test_later_questions_follow_the_models_own_answers_and_only_the_last_ends_the_turn(
    run, truth, tasks
):
    reader = shifted(truth, tasks)
    run(reader)
    place = reader.read_scans[0]
    own = [reader.answers[place][task.name] for task in tasks]

    # One scan: a reply set per single question and order, then one per numbered question, again
    # and again in as many orders as the question with most answers has.
    n_single = sum(len(task.candidates) for task in tasks)
    n_orders = max(len(task.candidates) for task in tasks)
    numbered_calls = reader.replies[n_single : n_single + n_orders * len(tasks)]

    for place, (replies, whole) in enumerate(numbered_calls):
        k = place % len(tasks)
        expected = {numbered([*own[:k], option]) for option in tasks[k].candidates}
        assert set(replies) == expected
        assert whole == (k == len(tasks) - 1)


def test_probabilities_are_the_softmax_of_the_log_likelihoods(run, truth, tasks):
    results = run(knowing(truth, tasks))

    for answer in results.answers:
        if answer.probabilities is not None:
            n = len(answer.probabilities)
            assert answer.probabilities[answer.truth] == pytest.approx(3 / (3 + n - 1))
            assert sum(answer.probabilities.values()) == pytest.approx(1)


def test_softmax_of_very_unlikely_replies_does_not_underflow():
    assert softmax(np.array([-2000.0, -2000.0 + NEAR])) == pytest.approx([0.25, 0.75])


def test_the_order_of_candidates_does_not_change_what_is_chosen(truth, tasks):
    reader = knowing(truth, tasks)
    prompt = [{"role": "user", "content": f"<fmri>\n{tasks[0].questions[0]}"}]
    scan = reader.answers[min(truth)]

    one = choose(reader, scan, prompt, tasks[0].candidates)
    other = choose(reader, scan, prompt, tasks[0].candidates[::-1])

    assert one == other
    assert choose_in_turn(reader, scan, prompt, [tasks[0].candidates]) == [one]


def test_written_results_do_not_depend_on_the_row_order_of_any_folder(
    run, truth, tasks, rows, tmp_path, instructions_dir
):
    shuffled = random.Random(1).sample(rows, len(rows))
    cohort = write_cohort(shuffled, tmp_path / "cohort")
    tokens = write_tokens(shuffled[::-1], tmp_path / "tokens")

    for name, folders in (("a", {}), ("b", {"cohort": cohort, "tokens": tokens})):
        (tmp_path / name).mkdir()
        run(knowing(truth, tasks), **folders).write(tmp_path / name)

    for name in ("answers.jsonl", "scores.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_scores_hold_the_caveat_and_how_the_intervals_were_made(run, truth, tasks, tmp_path):
    run(knowing(truth, tasks)).write(tmp_path)
    scores = json.loads((tmp_path / "scores.json").read_text())

    assert scores["bootstrap"] == {"level": 0.95, "resamples": 50, "unit": "subject"}
    assert scores["tasks"]["age_group"]["caveat"] == tasks[0].caveat
    assert scores["tasks"]["age_group"]["n_subjects"] == 4


def test_changing_a_held_out_scan_changes_no_baseline_answer_about_the_others(
    tasks, rows, tmp_path, instructions_dir, cohort_dir
):
    rng = np.random.default_rng(9)
    changed_scan = next(row.scan_id for row in rows if row.split == "test")
    changed = [
        replace(row, bold=rng.normal(size=row.bold.shape)) if row.scan_id == changed_scan else row
        for row in rows
    ]
    cohort = write_cohort(changed, tmp_path / "cohort")

    def baseline_answers(folder):
        train, test = (read_instructions(instructions_dir, split) for split in ("train", "test"))
        methods = baseline_methods(tasks[0], train, test, read_features(folder), SETTINGS, 0)
        return [{a.scan_id: a.probabilities for a in method.answers} for method in methods[1:]]

    for before, after in zip(baseline_answers(cohort_dir), baseline_answers(cohort), strict=True):
        assert before.pop(changed_scan) != after.pop(changed_scan)
        assert before == after


def test_changing_validation_scans_changes_nothing_that_a_baseline_sees(
    tasks, rows, tmp_path, instructions_dir, cohort_dir
):
    changed = [
        replace(row, bold=row.bold[::2]) if row.split == "validation" else row for row in rows
    ]
    again = read_features(write_cohort(changed, tmp_path))

    before = read_features(cohort_dir)
    assert again.scan_ids == before.scan_ids
    for kind, features in before.features.items():
        np.testing.assert_array_equal(again.features[kind], features)


def test_the_majority_is_that_of_training_subjects_even_if_held_out_ones_differ(
    tasks, tmp_path, truth
):
    # Training subjects: two in three older; held-out subjects: all younger.
    rows = [
        replace(
            row,
            phenotypes={
                "age_group": "younger"
                if row.split == "test" or int(row.subject[-2:]) % 3 == 0
                else "older"
            },
        )
        for row in made_up_rows()
    ]
    cohort = write_cohort(rows, tmp_path / "cohort")
    descriptors = write_descriptors(rows, tmp_path / "descriptors")
    built = build_instructions(cohort, descriptors, tasks, MakeInstructionsSettings(), 0)

    majority, *_ = baseline_methods(
        tasks[0], built.splits["train"], built.splits["test"], read_features(cohort), SETTINGS, 0
    )

    assert {answer.answer for answer in majority.answers} == {"older"}
    assert majority.answers[0].probabilities == pytest.approx({"younger": 1 / 3, "older": 2 / 3})


def test_tokens_of_another_region_order_are_refused(run, truth, tasks, rows, tmp_path):
    tokens = write_tokens(rows, tmp_path)
    record = json.loads((tokens / "tokens.json").read_text())
    (tokens / "tokens.json").write_text(json.dumps({**record, "order_hash": "six"}))

    with pytest.raises(InputError, match=r"region order six, but .* has five"):
        run(knowing(truth, tasks), tokens=tokens)


def test_a_held_out_scan_without_tokens_is_named(run, truth, tasks, rows, tmp_path):
    lost = next(row for row in rows if row.split == "test")
    tokens = write_tokens([row for row in rows if row is not lost], tmp_path)

    with pytest.raises(InputError, match=f"{lost.scan_id}: .* no test tokens"):
        run(knowing(truth, tasks), tokens=tokens)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"level": 1.0}, "level: 1.0; give less than 1"),
        ({"resamples": 0}, "resamples: 0; give at least 1"),
        ({"max_new_tokens": 0}, "max_new_tokens: 0; give at least 1"),
        ({"regularisation": 0.0}, "regularisation: 0.0; give more than 0"),
    ],
)
def test_settings_out_of_range_are_refused(bad, words):
    with pytest.raises(InputError, match=words):
        EvaluateSettings(**bad)


def test_a_task_without_held_out_labels_has_no_rows(tasks, tmp_path, rows, tokens_dir):
    blank = [
        replace(row, phenotypes={"age_group": None}) if row.split == "test" else row for row in rows
    ]
    cohort = write_cohort(blank, tmp_path / "cohort")
    descriptors = write_descriptors(blank, tmp_path / "descriptors")
    built = build_instructions(cohort, descriptors, tasks[:1], MakeInstructionsSettings(), 0)
    (tmp_path / "instructions").mkdir()
    write_instructions(built, tasks[:1], tmp_path / "instructions")

    results = evaluate_reader(
        knowing({}, tasks), tokens_dir, tmp_path / "instructions", cohort, SETTINGS
    )

    assert results.answers == []
    assert results.scores["tasks"]["age_group"]["rows"] == []
    assert results.summary().endswith("age_group no label")
