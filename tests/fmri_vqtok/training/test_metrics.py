import pytest
import torch

from fmri_vqtok.training.metrics import code_counts, codes_used, normalised_mse, perplexity


def test_perplexity_of_codes_used_alike_is_their_number():
    counts = code_counts(torch.arange(12).remainder(4), 10)
    assert perplexity(counts) == pytest.approx(4)
    assert codes_used(counts) == 4


def test_perplexity_of_one_code_is_one():
    assert perplexity(code_counts(torch.zeros(9, dtype=torch.int64), 10)) == pytest.approx(1)


def test_predicting_nothing_has_a_normalised_error_of_one():
    signal = torch.randn(2, 8, 3)
    mask = torch.ones(2, 3, dtype=torch.bool)
    assert normalised_mse(signal, torch.zeros_like(signal), mask) == pytest.approx(1)


def test_masked_regions_do_not_count_in_the_normalised_error():
    signal, wrong = torch.ones(1, 8, 3), torch.ones(1, 8, 3)
    wrong[..., 0] = 0.5
    wrong[..., 2] = 99.0
    mask = torch.tensor([[True, True, False]])
    # Half of the unmasked entries are off by 0.5: (8 * 0.25) / 16.
    assert normalised_mse(signal, wrong, mask) == pytest.approx(0.125)
