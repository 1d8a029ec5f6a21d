"""Codes of a sequence that are chosen together."""

from itertools import product

import pytest
import torch

from fmri_vqtok.errors import InputError
from fmri_vqtok.quantizers import TrellisQuantizer, VectorQuantizer
from fmri_vqtok.quantizers.trellis import search, vectors_of


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_vector_of_a_token_is_a_sum_over_its_own_code_and_those_before_it():
    quantizer = TrellisQuantizer(5, 2, memory=3)
    first, second, third = (lag.codebook for lag in quantizer.lags)
    found = quantizer.lookup(torch.tensor([[4, 0, 3, 1]]))[0]
    assert torch.equal(found[0], first[4])
    assert torch.equal(found[1], first[0] + second[4])
    assert torch.allclose(found[3], first[1] + second[3] + third[0])


@pytest.mark.parametrize("memory", [1, 2, 3])
def test_a_search_that_drops_nothing_finds_the_best_of_all_sequences(memory):
    codebooks = draws(memory, 3, 2, seed=1)
    sequences = draws(6, 4, 2, seed=2)
    every = torch.tensor(list(product(range(3), repeat=4)))
    errors = (sequences[:, None] - vectors_of(every, codebooks)).square().sum(dim=(2, 3))
    assert torch.equal(search(sequences, codebooks, 3**4), every[errors.argmin(dim=1)])


def test_with_one_survivor_and_no_memory_each_token_gets_its_nearest_code():
    codebook, sequences = draws(1, 20, 3), draws(5, 7, 3, seed=1)
    nearest = torch.cdist(sequences, codebook[0]).argmin(dim=2)
    assert torch.equal(search(sequences, codebook, 1), nearest)


def test_sequences_know_nothing_of_each_other():
    codebooks, sequences = draws(3, 8, 2), draws(4, 9, 2, seed=1)
    changed = sequences.clone()
    changed[1] += 3.0
    before, after = (search(x, codebooks, 6) for x in (sequences, changed))
    assert (before != after).any(dim=1).tolist() == [False, True, False, False]


def test_codes_that_are_chosen_together_lose_less_than_codes_alone():
    # The bound of a Gaussian at 4 bits for 4 components is 0.25; nearest codes reach about 0.36.
    samples, held_out = draws(1500, 4), draws(40, 25, 4, seed=1)
    errors = []
    for quantizer in (VectorQuantizer(16, 4), TrellisQuantizer(16, 4)):
        quantizer.initialise(samples, torch.Generator().manual_seed(0))
        error = (quantizer.eval()(held_out).latents - held_out).square().mean()
        errors.append(float(error))
    assert 0.25 < errors[1] < 0.975 * errors[0]


def test_training_keeps_what_the_start_found():
    samples, batches = draws(1500, 3), draws(20, 4, 20, 3, seed=1)
    quantizer = TrellisQuantizer(12, 3, memory=2, decay=0.9)
    quantizer.initialise(samples, torch.Generator().manual_seed(0))
    before = (quantizer.eval()(batches).latents - batches).square().mean()
    for batch in batches:
        quantizer.train()(batch)
    after = (quantizer.eval()(batches).latents - batches).square().mean()
    assert after < 1.03 * before


@pytest.mark.parametrize("key", ["memory", "survivors"])
def test_a_trellis_of_nothing_is_refused(key):
    with pytest.raises(InputError, match=f"{key}: 0; give at least 1"):
        TrellisQuantizer(4, 2, **{key: 0})
