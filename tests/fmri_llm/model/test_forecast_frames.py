"""Forecast frames are what the tokenizer decodes the forecast codes to, and know no future."""

import pytest
import torch

from fmri_llm.model.fmri_lm import FMRILM
from fmri_vqtok.errors import InputError

from ..tiny import N_CODES, N_REGIONS, N_STEPS, random_codes, stir, tiny_tokenizer

P = 4
ALWAYS = 7


@pytest.fixture
def certain(make_model):
    """Model that is certain of the next code, whatever it reads."""
    model = make_model("llama")
    with torch.no_grad():
        model.head.bias[ALWAYS] = 1e4
    return model


@pytest.mark.parametrize("n_steps", [1, 2, 3, 4, 6])
def test_a_known_code_decodes_to_the_tokenizers_own_frames(certain, n_steps):
    codes = random_codes(4).reshape(2, 2 * N_STEPS, N_REGIONS)[:, :n_steps]
    known = torch.cat([codes, torch.full((2, 1, N_REGIONS), ALWAYS)], dim=1)
    last_window = known[:, n_steps - n_steps % N_STEPS :]
    expected = certain.brain_tokenizer.decode(last_window)[:, -P:]
    frames = certain.forecast_frames(codes)
    assert frames.shape == (2, P, N_REGIONS)
    torch.testing.assert_close(frames, expected)
    torch.testing.assert_close(certain.forecast_frames(codes, n_draws=3), expected)


def test_frames_after_a_step_are_those_of_a_scan_that_ends_there(any_model):
    codes = random_codes(2).reshape(1, 2 * N_STEPS, N_REGIONS)
    for n_steps in (2, 4):
        following = any_model.forecast(codes)[:, n_steps - 1].argmax(-1)
        window = codes[:, n_steps - n_steps % N_STEPS : n_steps]
        whole = torch.cat([window, following[:, None]], dim=1)
        expected = any_model.brain_tokenizer.decode(whole)[:, -P:]
        frames = any_model.forecast_frames(codes[:, :n_steps])
        torch.testing.assert_close(frames, expected)


def test_regions_without_signal_do_not_enter_the_forecast_of_others(tiny_model):
    codes = random_codes(2)
    changed = codes.clone()
    changed[:, :, 1] = (codes[:, :, 1] + 1) % N_CODES
    region_mask = torch.ones(2, N_REGIONS, dtype=torch.bool)
    region_mask[:, 1] = False
    before, after = (tiny_model.forecast_frames(c[:, :2], region_mask) for c in (codes, changed))
    others = region_mask[0].nonzero()[:, 0]
    torch.testing.assert_close(before[..., others], after[..., others])


def test_the_mean_over_draws_approaches_the_expected_frames(tiny_folder):
    model = FMRILM.from_base(
        tiny_folder("llama"), tiny_tokenizer("llama", n_regions=1), name="llama"
    )
    stir(model)
    codes = random_codes(1)[:, :2, :1]
    probabilities = model.forecast(codes)[0, -1, 0].softmax(-1)
    every = torch.arange(N_CODES)[:, None, None]
    decoded = model.brain_tokenizer.decode(
        torch.cat([codes.expand(N_CODES, -1, -1), every], dim=1)
    )[:, -P:]
    weights = probabilities[:, None, None]
    expected = (weights * decoded).sum(0)
    spread = (weights * (decoded - expected).square()).sum(0).sqrt()
    frames = model.forecast_frames(codes, n_draws=400, seed=3)[0]
    assert ((frames - expected).abs() < 4 * spread / 400**0.5 + 1e-6).all()
    assert torch.equal(frames, model.forecast_frames(codes, n_draws=400, seed=3)[0])


def test_a_scan_without_a_step_has_no_forecast(tiny_model):
    with pytest.raises(InputError, match="no time step to forecast from; give at least 1"):
        tiny_model.forecast_frames(random_codes(1)[:, :0])
    with pytest.raises(InputError, match="n_draws: -1; give 0"):
        tiny_model.forecast_frames(random_codes(1), n_draws=-1)
