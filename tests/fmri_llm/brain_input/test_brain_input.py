"""Tokens about whole scans: what they depend on, what they must not, and what is unknown."""

from dataclasses import replace

import pytest
import torch

from fmri_llm.brain_input.brain_input import BrainInput
from fmri_llm.brain_input.scans import BrainScans
from fmri_llm.settings import BrainInputSettings
from fmri_vqtok.model.relations import region_covariance
from fmri_vqtok.scan_scale import N_BANDS

from ..tiny import (
    N_CODES,
    N_REGIONS,
    N_STEPS,
    WIDTH,
    random_codes,
    random_filters,
    stir,
    tiny_tokenizer,
)

TOKENIZER = tiny_tokenizer("llama")
N_SCANS, N_RELATIONS, N_SCALE, N_FILTERS = 4, 3, 2, 3
ABOUT_RELATIONS = slice(0, N_RELATIONS)
ABOUT_SCALE = slice(N_RELATIONS, N_RELATIONS + N_SCALE)
N_ABOUT_SCAN = N_RELATIONS + N_SCALE + N_FILTERS
ABOUT_FILTERS = slice(N_RELATIONS + N_SCALE, N_ABOUT_SCAN)
ABOUT_REGIONS = slice(N_ABOUT_SCAN, None)


def make_input(**changes):
    """Brain input with all kinds of tokens, and random values for every weight."""
    kinds = {"relation_tokens": N_RELATIONS, "scale_tokens": N_SCALE, "region_tokens": True}
    settings = BrainInputSettings(**{**kinds, **changes})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        filters, names = random_filters(N_FILTERS), torch.randn(N_FILTERS, WIDTH)
        made = BrainInput(
            settings, filters, names, N_BANDS, WIDTH, token_length=1.0, scale=1.0
        ).eval()
    stir(made)
    return made


def some_scans(n_windows=2, seed=3, **changes):
    """Scans of so many windows; one of them lacks a region."""
    generator = torch.Generator().manual_seed(seed)
    parts = [random_codes(N_SCANS, seed=seed + k) for k in range(n_windows)]
    region_mask = torch.ones(N_SCANS, N_REGIONS, dtype=torch.bool)
    region_mask[1, 2] = False
    given = {
        "codes": torch.cat(parts, dim=1),
        "region_mask": region_mask,
        "log_amplitude": torch.randn(N_SCANS, N_REGIONS, generator=generator),
        "spectrum": torch.randn(N_SCANS, N_BANDS, generator=generator) - 2,
    }
    return BrainScans.of(**{**given, **changes})


def covariance_of(scans):
    with torch.no_grad():
        coefficients = TOKENIZER.coefficients(scans.codes)
    return region_covariance(coefficients, scans.region_mask, scans.step_mask)


@torch.no_grad()
def context(brain, scans, covariance=None):
    return brain.context(scans, covariance_of(scans) if covariance is None else covariance)


def test_there_are_as_many_tokens_as_the_settings_say_and_regions_share_a_position():
    found = context(make_input(), some_scans())
    assert found.embeddings.shape == (N_SCANS, N_ABOUT_SCAN + N_REGIONS, WIDTH)
    assert found.offsets.tolist() == [*range(N_ABOUT_SCAN), *[N_ABOUT_SCAN] * N_REGIONS]


@pytest.mark.parametrize(
    "kind",
    [
        {"relation_tokens": 3},
        {"scale_tokens": 3},
        {"filter_tokens": True},
        {"region_tokens": True},
    ],
)
def test_each_kind_of_token_can_be_had_alone(kind):
    none = {
        "relation_tokens": 0, "scale_tokens": 0, "filter_tokens": False, "region_tokens": False
    }  # fmt: skip
    found = context(make_input(**{**none, **kind}), some_scans())
    assert found.embeddings.shape[1] == (N_REGIONS if "region_tokens" in kind else 3)
    assert len(found.offsets) == found.mask.shape[1] == found.embeddings.shape[1]


def test_scans_of_a_batch_in_another_order_have_their_own_tokens():
    brain, scans, order = make_input(), some_scans(), torch.tensor([2, 0, 3, 1])
    moved = {name: None if x is None else x[order] for name, x in vars(scans).items()}
    before, after = context(brain, scans), context(brain, BrainScans(**moved))
    torch.testing.assert_close(after.embeddings, before.embeddings[order])
    assert torch.equal(after.mask, before.mask[order])
    assert not torch.allclose(after.embeddings, before.embeddings, atol=1e-3)


def test_a_scan_beside_a_longer_one_has_the_tokens_that_it_has_alone():
    brain, long = make_input(), some_scans(n_windows=3)
    step_mask = torch.ones(N_SCANS, 3 * N_STEPS, dtype=torch.bool)
    step_mask[0, N_STEPS:] = False  # other codes lie in its padding
    together = context(brain, some_scans(n_windows=3, step_mask=step_mask))
    rows = {name: None if x is None else x[:1] for name, x in vars(long).items()}
    short = {name: rows[name][:, :N_STEPS] for name in ("codes", "step_mask", "new_steps")}
    alone = context(brain, BrainScans(**{**rows, **short}))
    torch.testing.assert_close(together.embeddings[:1], alone.embeddings)
    longer = context(brain, long).embeddings
    assert not torch.allclose(longer[0], alone.embeddings[0], atol=1e-3)
    assert torch.equal(longer[2], together.embeddings[2])


def test_any_order_of_the_windows_gives_the_same_tokens():
    scans = some_scans(n_windows=3)
    first, second, third = scans.codes.split(N_STEPS, dim=1)
    moved = some_scans(n_windows=3, codes=torch.cat([third, first, second], dim=1))
    before, after = (context(make_input(), each).embeddings for each in (scans, moved))
    torch.testing.assert_close(after, before)


def test_codes_of_a_missing_region_have_no_influence():
    brain, scans = make_input(), some_scans()
    changed = scans.codes.clone()
    changed[1, :, 2] = (changed[1, :, 2] + 1) % N_CODES
    amplitude = scans.log_amplitude.clone()
    amplitude[1, 2] += 5
    before = context(brain, scans)
    after = context(brain, some_scans(codes=changed, log_amplitude=amplitude))
    kept = before.mask[1]
    assert torch.equal(after.embeddings[1, kept], before.embeddings[1, kept])
    changed[0, :, 2] = (changed[0, :, 2] + 1) % N_CODES
    present = context(brain, some_scans(codes=changed))
    assert not torch.equal(present.embeddings[0], before.embeddings[0])


def test_the_token_of_a_missing_region_is_masked_and_no_other():
    found = context(make_input(), some_scans())
    expected = torch.ones_like(found.mask)
    expected[1, N_ABOUT_SCAN + 2] = False
    assert torch.equal(found.mask, expected)


def test_regions_in_another_order_with_their_weights_give_the_same_tokens():
    order = torch.tensor([3, 0, 4, 1, 2])
    brain, scans = make_input(), some_scans()
    covariance = covariance_of(scans)
    before = context(brain, scans, covariance).embeddings
    for weight, axis in ((brain.filters.filters, 1), (brain.connector.region, 0)):
        weight.data = weight.data.index_select(axis, order)
    moved = some_scans(
        codes=scans.codes[:, :, order],
        region_mask=scans.region_mask[:, order],
        log_amplitude=scans.log_amplitude[:, order],
    )
    after = context(brain, moved, covariance[:, order][:, :, order]).embeddings
    about_scan = slice(0, N_ABOUT_SCAN)
    torch.testing.assert_close(after[:, about_scan], before[:, about_scan])
    torch.testing.assert_close(after[:, ABOUT_REGIONS], before[:, ABOUT_REGIONS][:, order])


def test_a_scan_without_amplitude_and_spectrum_is_taken_for_an_average_one():
    brain, scans = make_input(), some_scans()
    brain.fit([(scans, covariance_of(scans))])
    unknown = context(brain, some_scans(log_amplitude=None, spectrum=None)).embeddings
    with torch.no_grad():
        average = brain.scale(torch.zeros(1, N_BANDS + 3))
    assert torch.equal(unknown[:, ABOUT_SCALE], average.expand(N_SCANS, -1, -1))
    known = context(brain, scans).embeddings
    assert torch.equal(unknown[:, ABOUT_RELATIONS], known[:, ABOUT_RELATIONS])
    assert not torch.allclose(unknown[:, ABOUT_SCALE], known[:, ABOUT_SCALE], atol=1e-2)


def test_a_scan_with_a_spectrum_alone_has_an_average_amplitude():
    brain, scans = make_input(), some_scans()
    brain.fit([(scans, covariance_of(scans))])
    silent, loud = (some_scans(log_amplitude=None), some_scans(log_amplitude=None, seed=7))
    same_spectrum = some_scans(log_amplitude=None, spectrum=silent.spectrum, seed=7)
    tokens = [context(brain, each).embeddings[:, ABOUT_SCALE] for each in (silent, same_spectrum)]
    assert torch.equal(*tokens)
    assert not torch.allclose(tokens[0], context(brain, loud).embeddings[:, ABOUT_SCALE], atol=1e-2)


@torch.no_grad()
def test_fitting_standardises_the_features_of_training_scans_and_forgets_the_last_fit():
    brain = make_input()
    everyone = torch.ones(N_SCANS, N_REGIONS, dtype=torch.bool)
    for shift in (3.0, -7.0):
        parts = []
        for seed in (3, 11):
            scans = some_scans(seed=seed, region_mask=everyone)
            amplitude, spectrum = scans.log_amplitude * 2 + shift, scans.spectrum - shift
            scans = some_scans(
                seed=seed, region_mask=everyone, log_amplitude=amplitude, spectrum=spectrum
            )
            parts.append((scans, 4 * covariance_of(scans)))
        brain.fit(parts)
    relations = torch.cat(
        [brain.relation_scaler(brain.filters(c, s.region_mask)) for s, c in parts]
    )
    scales = torch.cat([brain.scale_scaler(brain._scale_features(s)) for s, _ in parts])
    for features in (relations, scales):
        assert features.mean(0).abs().max() < 1e-4
        torch.testing.assert_close(features.std(0, correction=0), torch.ones(features.shape[1]))


def test_features_are_noisy_in_training_alone():
    brain, scans = make_input(), some_scans()
    seeded = replace(scans, noise_seeds=torch.arange(len(scans)))
    resting = context(brain, scans).embeddings
    assert torch.equal(context(brain, seeded).embeddings, resting)
    noisy = context(brain.train(), seeded).embeddings
    for kind in (ABOUT_RELATIONS, ABOUT_SCALE, ABOUT_FILTERS, ABOUT_REGIONS):
        assert not torch.allclose(noisy[:, kind], resting[:, kind], atol=1e-2)
    quiet = make_input(feature_noise=0.0).train()
    assert torch.equal(context(quiet, seeded).embeddings, resting)


def test_the_noise_of_an_example_is_that_of_its_seed_whatever_is_beside_it():
    brain, scans = make_input().train(), some_scans()
    seeds = torch.arange(len(scans)) + 10
    together = context(brain, replace(scans, noise_seeds=seeds)).embeddings
    rows = {name: None if v is None else v[-1:] for name, v in vars(scans).items()}
    last = BrainScans(**rows)
    alone = context(brain, replace(last, noise_seeds=seeds[-1:])).embeddings
    torch.testing.assert_close(alone, together[-1:])
    other = context(brain, replace(last, noise_seeds=seeds[:1])).embeddings
    assert not torch.allclose(other, alone, atol=1e-2)


def test_the_token_of_a_filter_holds_its_couplings_power_and_amplitude_and_no_other():
    brain, scans = make_input(), some_scans()
    with torch.no_grad():
        relations = brain.relation_scaler(brain.filters(covariance_of(scans), scans.region_mask))
        amplitudes = brain.scale_scaler(brain._scale_features(scans))[:, :N_FILTERS]
    first, second = torch.triu_indices(N_FILTERS, N_FILTERS, 1)
    found = context(brain, scans).embeddings[:, ABOUT_FILTERS]
    for own in range(N_FILTERS):
        features = torch.zeros(N_SCANS, N_FILTERS + 1)
        features[:, own] = relations[:, own]
        for pair, (a, b) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
            if own in (a, b):
                features[:, b if own == a else a] = relations[:, N_FILTERS + pair]
        features[:, -1] = amplitudes[:, own]
        expected = features @ brain.filter_tokens.weight[own] + brain.filter_tokens.name[own]
        torch.testing.assert_close(found[:, own], expected)
