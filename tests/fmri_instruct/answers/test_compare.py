"""Two scans compared by what a model answers about each."""

import numpy as np
import pytest

from fmri_instruct.answers.ask import answer_question
from fmri_instruct.answers.compare import chance_of_higher, compare_scans
from fmri_llm.data.token_windows import TokenWindows

ANSWERS = ["below", "above"]


def test_with_two_answers_the_log_odds_are_a_difference_of_log_odds():
    rng = np.random.default_rng(0)
    for a, b in rng.uniform(0.01, 0.99, size=(20, 2)):
        found = chance_of_higher(*({"below": 1 - x, "above": x} for x in (a, b)), ANSWERS)
        expected = np.log(a / (1 - a)) - np.log(b / (1 - b))
        assert np.log(found / (1 - found)) == pytest.approx(expected)


def test_the_chance_is_that_of_independent_draws_of_which_equal_ones_are_dropped():
    answers = ["low", "medium", "high"]
    rng = np.random.default_rng(1)
    p, q = rng.dirichlet(np.ones(3), size=2)
    table = np.outer(p, q)
    higher, lower = np.tril(table, -1).sum(), np.triu(table, 1).sum()

    odds = [dict(zip(answers, map(float, each), strict=True)) for each in (p, q)]

    assert chance_of_higher(*odds, answers) == pytest.approx(higher / (higher + lower))


def test_certain_and_equal_answers_leave_it_open():
    assert chance_of_higher({"below": 0, "above": 1}, {"below": 0, "above": 1}, ANSWERS) == 0.5


def test_scans_are_compared_by_what_the_model_answers_about_each(model, tokens_dir):
    windows = TokenWindows.read(tokens_dir, "test")
    first, second = (windows.scan(name) for name in windows.scan_ids[:2])
    question = "Is the clustering below or above average?"

    found = compare_scans(model, first, second, question, ANSWERS)
    turned = compare_scans(model, second, first, question, ANSWERS)

    asked = [answer_question(model, scan, question, (), ANSWERS) for scan in (first, second)]
    assert found.answers == tuple(each.probabilities for each in asked)
    assert found.first == pytest.approx(chance_of_higher(*found.answers, ANSWERS))
    assert (turned.first, turned.second) == pytest.approx((found.second, found.first))
    assert compare_scans(model, first, first, question, ANSWERS).first == pytest.approx(0.5)
