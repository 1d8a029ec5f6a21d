"""What text and forecasts owe to the tokens about the whole scan, and what to signal tokens."""

import pytest
import torch

from fmri_llm.brain_input.scans import BrainScans, scan_covariance
from fmri_llm.packing import sequences
from fmri_llm.packing.sequences import TextSegment
from fmri_vqtok.scan_scale import N_BANDS

from ..inference.test_scoring import full_pass
from ..tiny import MEASURES, N_CODES, N_REGIONS, N_STEPS, random_codes

ANSWERS = ["yes", "no", "maybe so"]
ALL_KINDS = {"region_tokens": True, "text_reads_signal": True}
ABOUT_SCAN = TextSegment(ids=[72, 105, 33, 50, 51], n_given=3)


def some_scan(codes=None, n_windows=2, **changes):
    """One scan with everything that normalisation takes out."""
    generator = torch.Generator().manual_seed(5)
    codes = random_codes(n_windows).flatten(0, 1)[None] if codes is None else codes
    given = {
        "log_amplitude": torch.randn(1, N_REGIONS, generator=generator),
        "spectrum": torch.randn(1, N_BANDS, generator=generator),
    }
    return BrainScans.of(codes, **{**given, **changes})


def scores(model, scan):
    return model.score_answers(scan, "Old?", ANSWERS)


def f2f(model, scan):
    """Next-step loss of a batch as training takes it, beside text about the scan."""
    text = sequences.pack([[ABOUT_SCAN]] * len(scan))
    given = {name: value for name, value in vars(scan).items() if value is not None}
    with torch.no_grad():
        return model(**given, **text._asdict())["losses"]["f2f"]


@pytest.fixture(scope="module")
def of_all_kinds(make_model):
    """A model that is given everything; not to be trained."""
    return make_model(**ALL_KINDS)


def test_text_depends_on_relations_and_not_on_the_order_of_windows(tiny_model):
    first, second = random_codes(2)[:, None]
    before = scores(tiny_model, torch.cat([first, second], dim=1))
    swapped = scores(tiny_model, torch.cat([second, first], dim=1))
    torch.testing.assert_close(swapped, before, rtol=1e-4, atol=1e-4)
    other = scores(tiny_model, torch.cat([first, first], dim=1))
    assert not torch.allclose(other, before, rtol=1e-2, atol=1e-2)


def test_a_covariance_that_is_given_takes_the_place_of_that_of_the_codes(tiny_model):
    codes, other = (random_codes(1, seed) for seed in (1, 2))
    of_other = scan_covariance(tiny_model.brain_tokenizer, BrainScans.of(other))
    given = scores(tiny_model, BrainScans.of(codes, covariance=of_other))
    assert torch.equal(given, scores(tiny_model, BrainScans.of(other)))
    assert not torch.equal(given, scores(tiny_model, BrainScans.of(codes)))


@pytest.mark.parametrize("reads_signal", [False, True])
def test_signal_tokens_reach_text_only_where_it_reads_them(make_model, reads_signal):
    """Steps in another order have the same covariance."""
    model = make_model(text_reads_signal=reads_signal)
    scan = some_scan()
    covariance = scan_covariance(model.brain_tokenizer, scan)
    turned = some_scan(scan.codes.flip(1), covariance=covariance)
    before = scores(model, some_scan(scan.codes, covariance=covariance))
    assert torch.equal(scores(model, turned), before) == (not reads_signal)
    assert reads_signal == (not torch.allclose(scores(model, turned), before, atol=1e-2))


def test_amplitude_and_spectrum_change_what_is_said(tiny_model):
    whole = scores(tiny_model, some_scan())
    for unknown in ("log_amplitude", "spectrum"):
        without = scores(tiny_model, some_scan(**{unknown: None}))
        assert not torch.allclose(without, whole, atol=1e-3)


def test_the_prefix_of_a_scan_without_amplitude_is_another_one(tiny_model):
    prefixes = [tiny_model.prefill(some_scan(**change)) for change in ({}, {"log_amplitude": None})]
    one, other = (prefix.cache.layers[0].keys for prefix in prefixes)
    assert one.shape == other.shape
    assert not torch.equal(one, other)
    # Tokens about scale, filters and measures hold amplitudes; markers and relations do not.
    brain = tiny_model.brain
    n_with_amplitude = brain.settings.scale_tokens + brain.filters.n_filters + len(MEASURES)
    assert (one != other).any(dim=(0, 1, 3)).sum() == n_with_amplitude


def test_forecasts_owe_nothing_to_the_weights_of_whole_scan_tokens(make_model):
    one, other = make_model(**ALL_KINDS), make_model(**ALL_KINDS)
    for part in (
        other.brain.relations,
        other.brain.scale,
        other.brain.filter_tokens,
        other.brain.profiles,
    ):
        for weight in part.parameters():
            weight.data += 1
    other.brain.filters.filters.data += 1
    scan = some_scan()
    assert torch.equal(one.forecast(scan.codes), other.forecast(scan.codes))
    assert torch.equal(f2f(one, scan), f2f(other, scan))
    assert not torch.allclose(scores(one, scan), scores(other, scan), atol=1e-2)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma3"])
def test_the_future_moves_no_forecast_and_no_loss_of_the_past_by_one_bit(make_model, architecture):
    """With all kinds of tokens; the loss is over the first steps alone, the others no targets."""
    model = make_model(architecture, **ALL_KINDS)
    codes = random_codes(2).flatten(0, 1)[None]
    for step in range(1, 2 * N_STEPS - 1):
        changed = codes.clone()
        changed[:, step + 1 :] = (codes[:, step + 1 :] + 3) % N_CODES
        moved = [model.forecast(each)[:, : step + 1] for each in (codes, changed)]
        assert torch.equal(*moved)
        targets = (torch.arange(2 * N_STEPS) <= step)[None]
        scans = [
            some_scan(each, new_steps=targets, spectrum=torch.full((1, N_BANDS), float(k)))
            for k, each in enumerate((codes, changed))
        ]
        losses = [f2f(model, scan) for scan in scans]
        assert torch.equal(*losses)
        assert losses[0] > 0


@pytest.mark.parametrize("n_windows", [1, 2])
def test_cached_scores_equal_full_passes_with_all_kinds_of_tokens(of_all_kinds, n_windows):
    region_mask = torch.ones(1, N_REGIONS, dtype=torch.bool)
    region_mask[0, 1] = False
    scan = some_scan(n_windows=n_windows, region_mask=region_mask)
    expected = [full_pass(of_all_kinds, scan, "Old?", answer) for answer in ANSWERS]
    found = scores(of_all_kinds, scan)[0]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-4)


def test_a_missing_regions_codes_change_no_answer(of_all_kinds):
    region_mask = torch.ones(1, N_REGIONS, dtype=torch.bool)
    region_mask[0, 1] = False
    scan = some_scan(region_mask=region_mask)
    changed = scan.codes.clone()
    changed[:, :, 1] = (changed[:, :, 1] + 1) % N_CODES
    other = some_scan(changed, region_mask=region_mask)
    assert torch.equal(scores(of_all_kinds, scan), scores(of_all_kinds, other))


def test_the_positions_of_a_block_are_those_that_lengths_are_checked_with(of_all_kinds, tiny_model):
    for model in (of_all_kinds, tiny_model):
        prefix = model.prefill(some_scan())
        assert prefix.text_start.item() == model.n_brain_positions(2 * N_STEPS)
