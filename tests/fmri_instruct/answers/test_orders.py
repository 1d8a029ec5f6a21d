from functools import partial
from itertools import permutations

import numpy as np
import pytest

from fmri_instruct.answers.ask import ask_reader
from fmri_instruct.answers.corrections import Corrections
from fmri_instruct.answers.orders import (
    answer_orders,
    choose_in_turn_over_orders,
    choose_over_orders,
)
from fmri_instruct.evaluation.evaluate import evaluate_reader
from fmri_instruct.prompts.paraphrases import PromptBank
from fmri_instruct.settings import EvaluateSettings
from fmri_llm.data.token_windows import ScanTokens

BANK = PromptBank.load()


class FavoursPlaces:
    """A reader that likes answers by their place in the prompt, and one answer for what it says."""

    def __init__(self, bias, knows=None, certainty=0.0):
        self.bias, self.knows, self.certainty = bias, knows, certainty

    def read(self, scan):
        return None

    def log_likelihoods(self, scan, prompt, replies, *, whole):
        question = prompt[0]["content"].split("\n")[-1]
        answers = [
            reply.split("\n")[-1].removeprefix("1. ").removeprefix("2. ") for reply in replies
        ]
        lines = [line for line in prompt[0]["content"].split("\n") if answers[0] in line]
        places = np.argsort(np.argsort([(lines or [question])[-1].rfind(a) for a in answers]))
        known = np.array([answer == self.knows for answer in answers])
        return np.array([self.bias[k] for k in places]) + self.certainty * known

    def describe(self, scan, prompt, max_new_tokens):
        return ""


def test_each_answer_is_once_at_each_position():
    orders = np.array(answer_orders(["below", "within", "above"]))

    for place in orders.T:
        assert sorted(place) == ["above", "below", "within"]


@pytest.mark.parametrize("given", list(permutations(["below", "within", "above"])))
def test_the_order_in_which_the_options_are_given_changes_no_probability(given):
    # Also where an answer is likelier after a certain other one, which rotations do not undo.
    class FavoursNeighbours(FavoursPlaces):
        def log_likelihoods(self, scan, prompt, replies, *, whole):
            after = "above, below" in prompt[0]["content"]
            return np.array([2.0 * (reply == "below" and after) for reply in replies])

    def chosen(candidates):
        write = partial(BANK.ask, "How is it?")
        return choose_over_orders(FavoursNeighbours([]), None, write, candidates).probabilities

    assert chosen(given) == pytest.approx(chosen(["below", "within", "above"]), abs=1e-6)
    assert chosen(given)["below"] > 0.4


def test_a_model_that_answers_by_order_alone_gets_equal_probabilities(tasks):
    task = tasks[1]
    reader = FavoursPlaces([2.0, 0.5, 0.0])

    found = choose_over_orders(
        reader, None, lambda order: BANK.single(task, order), task.candidates
    )

    assert found.first_named == 1.0
    assert found.probabilities == pytest.approx(dict.fromkeys(task.candidates, 1 / 3))


def test_averaging_over_orders_keeps_what_a_model_answers_by_content(tasks):
    task = tasks[1]
    reader = FavoursPlaces([2.0, 0.5, 0.0], knows="above", certainty=1.0)

    found = choose_over_orders(
        reader, None, lambda order: BANK.single(task, order), task.candidates
    )

    # By hand: "above" stands first, second and third.
    places = np.exp([2.0, 0.5, 0.0])
    expected = np.mean([e * p / (e * p + places.sum() - p) for p in places for e in [np.e]])
    assert found.probabilities["above"] == pytest.approx(expected)
    assert max(found.probabilities, key=found.probabilities.get) == "above"


def test_orders_have_equal_weight_where_another_question_has_more_answers(tasks):
    candidates = {task.name: task.candidates for task in tasks[:2]}
    reader = FavoursPlaces([1.0, 0.0, -1.0])

    found = choose_in_turn_over_orders(
        reader, None, lambda orders: BANK.multi(tasks[:2], orders), candidates
    )

    for name, options in candidates.items():
        uniform = dict.fromkeys(options, 1 / len(options))
        assert found[name].probabilities == pytest.approx(uniform)


def test_asking_and_evaluating_give_the_same_probabilities(
    tokens_dir, instructions_dir, cohort_dir, tasks, tmp_path
):
    reader = FavoursPlaces([1.5, 0.0, 0.0], knows="older", certainty=0.4)

    results = evaluate_reader(
        reader, tokens_dir, instructions_dir, cohort_dir, EvaluateSettings(resamples=10)
    )
    scan = ScanTokens(
        codes=np.zeros((2, 3), dtype=np.int64),
        region_mask=np.ones(3, dtype=bool),
        new_steps=np.ones(2, dtype=bool),
    )
    results.corrections.write(tmp_path)
    asked = ask_reader(
        reader, scan, tasks[0].questions[1], tasks, corrections=Corrections.read(tmp_path)
    )

    evaluated = [a for a in results.answers if a.task == tasks[0].name and a.paradigm == "single"]
    assert results.corrections.of(tasks[0].name, "single").prior
    for answer in evaluated:
        assert answer.probabilities == asked.probabilities
    notes = {row["method"]: row["note"] for row in results.scores["tasks"]["age_group"]["rows"]}
    assert "first-named was chosen in 100% of the prompts, 50% if" in notes["fMRI-LM, one question"]
