"""Codes of a step that are the bits of one path through a trellis."""

from itertools import product

import pytest
import torch

from fmri_vqtok.errors import InputError
from fmri_vqtok.quantizers import TrellisQuantizer, VectorQuantizer
from fmri_vqtok.quantizers.step_classes import fit_classes
from fmri_vqtok.quantizers.trellis import random_table
from fmri_vqtok.quantizers.water_filling import allotted_bits, rates, water_level


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def started(n_codes, samples, **settings):
    quantizer = TrellisQuantizer(n_codes, samples.shape[2], samples.shape[1], **settings)
    quantizer.initialise(samples, torch.Generator())
    return quantizer.eval()


def every_step(n_codes, n_tokens):
    return torch.tensor(list(product(range(n_codes), repeat=n_tokens)))


@pytest.mark.parametrize("classes", [1, 2, 4])
@pytest.mark.parametrize("state_bits", [1, 4, 10])
def test_the_search_finds_the_best_of_all_steps_of_codes(state_bits, classes):
    quantizer = started(8, 2 * draws(50, 3, 2), state_bits=state_bits, classes=classes)
    steps = 2 * draws(20, 3, 2, seed=1)
    every = quantizer.lookup(every_step(8, 3))
    nearest = (steps[:, None] - every).square().sum(dim=(2, 3)).amin(dim=1)
    out = quantizer(steps)
    assert torch.allclose((steps - out.latents).square().sum(dim=(1, 2)), nearest, atol=1e-4)
    assert torch.allclose(out.latents, quantizer.lookup(out.codes), atol=1e-6)


def test_a_component_is_read_at_the_last_bits_of_the_stream_up_to_its_share():
    # Equal variances: six components of three tokens of 4 bits take 2 bits each.
    quantizer = TrellisQuantizer(16, 2, 3, state_bits=3, classes=1)
    read = quantizer.lookup(torch.tensor([[0b1101, 0b0010, 0b0111]]))[0] / quantizer.scales[0, 0]
    first, second = quantizer.table
    # Stream 11 01 00 10 01 11, the register being 0 before it.
    assert torch.allclose(read[:, 0], first[[0b011, 0b100, 0b001]])
    assert torch.allclose(read[:, 1], second[[0b101, 0b010, 0b111]])


def test_a_code_affects_no_token_before_it_and_none_far_after_it():
    quantizer = TrellisQuantizer(16, 2, 6, state_bits=6, classes=1)
    codes = torch.full((1, 6), 5)
    changed = codes.clone()
    changed[0, 2] = 10
    same = (quantizer.lookup(codes) == quantizer.lookup(changed)).all(dim=2)[0]
    # 6 bits: its own token, the next one, and half of the one after.
    assert same.tolist() == [True, True, False, False, True, True]


def test_steps_are_independent():
    quantizer = started(8, draws(50, 4, 2))
    steps = draws(5, 4, 2, seed=1)
    changed = steps.clone()
    changed[1] += 3.0
    differs = (quantizer(steps).codes != quantizer(changed).codes).any(dim=1)
    assert differs.tolist() == [False, True, False, False, False]


def test_the_error_comes_near_to_the_bound_of_a_gaussian():
    # At 4 bits for 4 components the bound is 0.25; nearest codes reach about 0.36.
    samples, held_out = draws(100, 80, 4), draws(20, 80, 4, seed=1)
    alone = VectorQuantizer(16, 4)
    alone.initialise(samples, torch.Generator().manual_seed(0))
    together = started(16, samples)
    errors = [
        float((quantizer.eval()(held_out).latents - held_out).square().mean())
        for quantizer in (alone, together)
    ]
    assert errors[0] > 0.34
    assert 0.25 < errors[1] < 0.3


def test_water_filling_gives_the_rates_of_the_closed_form():
    variances = torch.tensor([16.0, 4.0, 0.01], dtype=torch.float64)
    # Level 2^-0.5 is below two of them: (log2 16 + log2 4 - 2 log2 level) / 2 = 3.5 bits.
    level = water_level(variances, 5)
    assert float(level) == pytest.approx((16 * 4 / 2**10) ** 0.5)
    assert rates(variances, level).tolist() == pytest.approx([3.0, 2.0, 0.0])
    assert allotted_bits(variances, level, 5).tolist() == [3, 5, 5]


def test_constant_training_steps_leave_a_quantizer_that_gives_their_mean():
    samples = torch.zeros(20, 3, 2)
    quantizer = started(8, samples)
    out = quantizer(samples)
    assert torch.equal(out.latents, samples)
    assert quantizer(draws(4, 3, 2)).latents.isfinite().all()


def test_a_component_that_takes_more_bits_than_the_register_has_is_decoded_as_it_was_found():
    samples = draws(50, 12, 2) * torch.tensor([1e9, 0.0])
    samples[:, 1:] = 0.0
    quantizer = started(2**8, samples, state_bits=4, classes=1)
    assert quantizer.ends[0, 0] == 96
    out = quantizer(samples)
    assert torch.allclose(out.latents, quantizer.lookup(out.codes), rtol=1e-5)
    assert (out.latents - samples).square().sum() < 0.05 * samples.square().sum()


def test_rare_strong_steps_have_a_class_and_leave_the_others_their_scale():
    usual, strong = draws(200, 4, 2), 40 + draws(5, 4, 2, seed=1)
    means, variances = fit_classes(torch.cat([usual, strong]).flatten(1), 2)
    assert means[0].abs().max() < 0.3
    assert means[1].mean() == pytest.approx(40, rel=0.1)
    assert float(variances[0].mean()) < 2


def test_strong_steps_cost_less_with_a_class_of_their_own():
    mean = 30 * draws(8, 2, seed=3)
    samples = torch.cat([draws(200, 8, 2), mean + draws(10, 8, 2, seed=1)])
    held_out = torch.cat([draws(20, 8, 2, seed=2), mean + draws(4, 8, 2, seed=4)])
    errors = []
    for classes in (1, 2):
        quantizer = started(16, samples, classes=classes)
        errors.append(float((quantizer(held_out).latents - held_out).square().mean()))
    assert errors[1] < 0.5 * errors[0]


def test_states_that_follow_on_one_state_are_read_far_apart():
    table = random_table(3, 256)
    assert torch.allclose(table.square().mean(dim=1), torch.ones(3), atol=1e-5)
    quarters = torch.bucketize(table, torch.tensor([-0.6745, 0.0, 0.6745]))
    assert (quarters.view(3, 64, 4).sort(dim=2).values == torch.arange(4)).all()


def test_the_table_comes_back_with_the_weights():
    quantizer = started(8, draws(50, 3, 2))
    other = TrellisQuantizer(8, 2, 3)
    other.table.zero_()
    other.load_state_dict(quantizer.state_dict())
    codes = every_step(8, 3)
    assert torch.equal(other.lookup(codes), quantizer.lookup(codes))


def test_the_vectors_of_codes_alone_are_their_bits():
    vectors = TrellisQuantizer(4, 2, 3).code_vectors()
    assert vectors.tolist() == [[-1, -1], [-1, 1], [1, -1], [1, 1]]


def test_part_of_a_step_is_refused():
    quantizer = TrellisQuantizer(4, 2, 3)
    with pytest.raises(InputError, match="give whole steps"):
        quantizer.lookup(torch.tensor([[0, 1]]))
    with pytest.raises(InputError, match="give whole steps"):
        quantizer(torch.zeros(5, 2, 2))


def test_codes_that_are_no_whole_bits_are_refused():
    with pytest.raises(InputError, match=r"n_codes: 24, .* give a power of two"):
        TrellisQuantizer(24, 2, 3)
