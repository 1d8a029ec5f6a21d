from dataclasses import replace

import numpy as np
import pytest

from fmri_instruct.answers.probabilities import ModelReader
from fmri_instruct.evaluation.evaluate import evaluate
from fmri_instruct.evaluation.probe import PromptStates, layers_kept, probe_method
from fmri_instruct.prompts.instructions import build_instructions
from fmri_instruct.settings import EvaluateSettings, MakeInstructionsSettings
from fmri_llm.data.token_windows import TokenWindows

from ..folders import made_up_rows, write_cohort, write_descriptors

SETTINGS = EvaluateSettings(max_new_tokens=2, resamples=10)


class Layers:
    """States of three layers, of which the second holds the answer."""

    layers, n_layers = (1, 2, 3), 3

    def __init__(self, truth):
        rng = np.random.default_rng(0)
        self.rows = {scan: rng.normal(size=(3, 4)) for scan in truth}
        for scan, answer in truth.items():
            self.rows[scan][1, 0] = 4.0 if answer == "older" else -4.0

    def of(self, task, scan_ids, layer):
        return np.array([self.rows[scan_id][layer - 1] for scan_id in scan_ids]).reshape(-1, 4)


@pytest.fixture(scope="module")
def people(tasks, tmp_path_factory):
    """Instructions about 36 people, and their true answers."""
    root = tmp_path_factory.mktemp("people")
    rows = made_up_rows(36)
    write_cohort(rows, root / "cohort")
    write_descriptors(rows, root / "descriptors")
    built = build_instructions(
        root / "cohort",
        root / "descriptors",
        tasks[:1],
        MakeInstructionsSettings(paradigms=("single",), variants=1),
        seed=0,
    )
    return built.splits, {row.scan_id: row.phenotypes["age_group"] for row in rows}


def test_the_layer_is_chosen_on_validation_subjects_and_told(people, tasks):
    splits, truth = people
    method = probe_method(tasks[0], splits, Layers(truth), SETTINGS, seed=0)
    assert method.note.startswith("after layer 2 of 3 at the end of the question (chosen on valid")
    assert [answer.answer for answer in method.answers] == [a.truth for a in method.answers]
    assert {answer.scan_id for answer in method.answers} == {i.scan_id for i in splits["test"]}


def test_labels_of_test_scans_have_no_say(people, tasks):
    splits, truth = people
    swapped = {"older": "younger", "younger": "older"}
    other = [replace(each, answer=swapped[each.answer]) for each in splits["test"]]
    states = Layers(truth)
    before = probe_method(tasks[0], splits, states, SETTINGS, seed=0)
    after = probe_method(tasks[0], {**splits, "test": other}, states, SETTINGS, seed=0)
    assert after.note == before.note
    assert [a.probabilities for a in after.answers] == [a.probabilities for a in before.answers]


def test_without_validation_subjects_it_is_the_middle_layer(people, tasks):
    splits, truth = people
    method = probe_method(tasks[0], {**splits, "validation": []}, Layers(truth), SETTINGS, seed=0)
    assert "layer 2 of 3 at the end of the question (the middle: no validation" in method.note


def test_the_last_layer_is_kept_of_models_of_any_depth():
    assert layers_kept(2) == [1, 2]
    for depth in (1, 9, 10, 61):
        kept = layers_kept(depth)
        assert kept[-1] == depth
        assert len(kept) == len(set(kept)) <= 9


def test_states_are_of_the_scan_and_of_the_question(model, tasks, tokens_dir):
    windows = TokenWindows.read(tokens_dir, "train")
    first, second = windows.scan_ids[:2]
    states, reader = PromptStates(model, tasks), ModelReader(model)
    for scan_id in (first, second):
        states.add(scan_id, reader.read(windows.scan(scan_id)))
    asked = [states.of(task.name, [first, second], 2) for task in tasks[:2]]
    assert not np.allclose(asked[0][0], asked[0][1])
    assert not np.allclose(asked[0][0], asked[1][0])


def test_each_scan_goes_through_the_model_once_for_answers_and_probe(
    model, tokens_dir, instructions_dir, cohort_dir, rows, monkeypatch
):
    passes, prefill = [], model.prefill
    monkeypatch.setattr(model, "prefill", lambda scans: passes.append(0) or prefill(scans))
    results = evaluate(model, tokens_dir, instructions_dir, cohort_dir, SETTINGS)
    assert len(passes) == len(rows)
    for task in results.scores["tasks"].values():
        row = task["rows"][-1]
        assert row["method"] == "hidden state + logistic regression"
        assert row["accuracy"] is not None


def test_the_probe_can_be_left_out(model, tokens_dir, instructions_dir, cohort_dir):
    settings = replace(SETTINGS, probe=False)
    results = evaluate(model, tokens_dir, instructions_dir, cohort_dir, settings)
    names = [row["method"] for row in results.scores["tasks"]["age_group"]["rows"]]
    assert not any(name.startswith("hidden state") for name in names)
