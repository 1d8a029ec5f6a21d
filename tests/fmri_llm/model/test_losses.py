"""The three losses against numbers worked out by hand."""

import math

import pytest
import torch

from fmri_llm.model.losses import choice_loss, mean_over_targets, next_step_loss, weighted_sum
from fmri_llm.packing.sequences import NO_TARGET
from fmri_vqtok.errors import InputError

PRESENT = torch.ones(1, 2, dtype=torch.bool)


def test_equal_odds_cost_the_logarithm_of_the_number_of_classes():
    loss = mean_over_targets(torch.zeros(2, 3, 7), torch.zeros(2, 3, dtype=torch.long))
    assert loss.item() == pytest.approx(math.log(7))


def test_the_mean_is_over_targets_and_not_over_examples():
    logits = torch.zeros(2, 3, 2)
    logits[0, 0, 0] = 5.0
    labels = torch.tensor([[0, NO_TARGET, NO_TARGET], [0, 0, 0]])
    expected = (math.log(1 + math.exp(-5)) + 3 * math.log(2)) / 4
    assert mean_over_targets(logits, labels).item() == pytest.approx(expected)


def test_no_target_at_all_costs_nothing():
    labels = torch.full((1, 2), NO_TARGET)
    assert mean_over_targets(torch.randn(1, 2, 3), labels).item() == 0


def sure_of(codes, n_codes=4):
    return 50.0 * torch.nn.functional.one_hot(codes, n_codes).float()


def test_the_target_is_the_next_step_of_the_same_region():
    codes = torch.tensor([[[0, 1], [2, 3], [1, 0]]])
    logits = torch.zeros(1, 3, 2, 4)
    logits[:, :2] = sure_of(codes[:, 1:])
    assert next_step_loss(logits, codes, PRESENT).item() == pytest.approx(0, abs=1e-6)


def test_predicting_the_same_step_is_not_the_target():
    codes = torch.tensor([[[0, 1], [2, 3], [1, 0]]])
    assert next_step_loss(sure_of(codes), codes, PRESENT).item() == pytest.approx(50)


def test_a_region_without_signal_is_no_target():
    codes = torch.tensor([[[0, 1], [0, 2]]])
    logits = torch.zeros(1, 2, 2, 4)
    logits[:, :, 0] = sure_of(torch.tensor(0))
    valid = torch.tensor([[True, False]])
    assert next_step_loss(logits, codes, valid).item() == pytest.approx(0, abs=1e-6)


def test_one_time_step_is_refused():
    with pytest.raises(InputError, match="1 time step has no next step"):
        next_step_loss(torch.zeros(1, 1, 2, 4), torch.zeros(1, 1, 2, dtype=torch.long), PRESENT)


def test_losses_are_summed_by_the_weights_of_equation_six():
    losses = {"f2t": torch.tensor(2.0), "f2f": torch.tensor(10.0), "t2t": torch.tensor(4.0)}
    total = weighted_sum(losses, {"f2t": 1.0, "f2f": 0.1, "t2t": 0.5})
    assert total.item() == pytest.approx(2 + 0.1 * 10 + 0.5 * 4)


def test_a_choice_compares_whole_answers_and_averages_over_questions():
    # Question 7: answer 1 of two tokens and answer 2 of one; question 9: two answers alike.
    log_p = torch.tensor([0.5, 0.4, 0.1, 0.3, 0.3]).log()
    logits = torch.stack([log_p, torch.log1p(-log_p.exp())], dim=1)
    labels = torch.zeros(5, dtype=torch.long)
    answer, question = torch.tensor([1, 1, 2, 4, 5]), torch.tensor([7, 7, 7, 9, 9])
    weights = torch.tensor([0.5, 0.5, 0.0, 0.25, 0.75])
    first = -math.log(0.2 / (0.2 + 0.1))
    found = choice_loss(logits, labels, weights, answer, question).item()
    assert found == pytest.approx((first + math.log(2)) / 2)


def test_a_choice_may_be_wanted_in_part():
    logits = torch.tensor([[math.log(3), 0.0], [0.0, 0.0]])
    numbers = torch.arange(2)
    weights = torch.tensor([0.75, 0.25])
    loss = choice_loss(logits, torch.zeros(2, dtype=torch.long), weights, numbers, 0 * numbers)
    p = torch.tensor([0.75, 0.5]) / 1.25
    assert loss.item() == pytest.approx(-(0.75 * p[0].log() + 0.25 * p[1].log()).item())
