"""Tokens of measures: what they start from, and what their read-out finds."""

import numpy as np
import torch
from sklearn.linear_model import Ridge

from fmri_llm.brain_input.measure_tokens import PENALTIES, MeasureTokens, MeasureWords

N_MEASURES, N_FEATURES, N_SCANS, WIDTH, LENGTH = 3, 5, 40, 8, 2.0


def make_tokens():
    generator = torch.Generator().manual_seed(0)
    names = torch.randn(N_MEASURES, WIDTH, generator=generator) + 3
    return MeasureTokens(
        MeasureWords(names, torch.randn(WIDTH, generator=generator)), N_FEATURES, LENGTH
    )


def planted(noise):
    """Features, and z-scores that depend linearly on them but for the noise."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((N_SCANS, N_FEATURES))
    z = x @ rng.standard_normal((N_FEATURES, N_MEASURES)) / N_FEATURES**0.5
    return torch.tensor(x), torch.tensor(z + noise * rng.standard_normal(z.shape))


def test_before_a_fit_a_token_is_its_name_without_what_all_names_share():
    tokens = make_tokens()
    found = tokens(torch.randn(2, N_FEATURES))
    assert torch.equal(found[0], found[1])
    torch.testing.assert_close(found[0].norm(dim=1), torch.full((N_MEASURES,), LENGTH))
    assert torch.nn.functional.cosine_similarity(found[0, 0], found[0, 1], dim=0) < 0.5


def test_a_token_moves_along_its_direction_by_the_value_that_is_read_out():
    tokens, (x, z) = make_tokens(), planted(noise=0.0)
    tokens.fit(x, z)
    moved = (tokens(x.float()) - tokens.name).detach()
    along = moved @ tokens.direction[0] / LENGTH**2
    torch.testing.assert_close(along.double(), z, atol=0.02, rtol=0)
    torch.testing.assert_close(moved.norm(dim=2), along.abs() * LENGTH)


def test_the_penalty_is_that_with_the_least_error_on_scans_left_out():
    tokens, (x, z) = make_tokens(), planted(noise=3.0)
    tokens.fit(x, z)
    wanted = z.clamp(-3, 3).numpy()
    for measure in range(N_MEASURES):
        errors = []
        for penalty in PENALTIES:
            left_out = [
                Ridge(alpha=penalty * N_SCANS)
                .fit(np.delete(x.numpy(), k, 0), np.delete(wanted[:, measure], k))
                .predict(x[k : k + 1].numpy())[0]
                for k in range(N_SCANS)
            ]
            errors.append(np.square(left_out - wanted[:, measure]).mean())
        best = Ridge(alpha=PENALTIES[int(np.argmin(errors))] * N_SCANS)
        best.fit(x.numpy(), wanted[:, measure])
        found = tokens.readout.weight[measure].detach().numpy()
        np.testing.assert_allclose(found, best.coef_, atol=1e-5)


def test_an_unknown_z_score_counts_as_the_mean():
    x, z = planted(noise=0.1)
    gaps, filled = z.clone(), z.clone()
    gaps[3, 1], filled[3, 1] = torch.nan, 0.0
    first, second = make_tokens(), make_tokens()
    first.fit(x, gaps)
    second.fit(x, filled)
    assert torch.equal(first.readout.weight, second.readout.weight)


def test_a_single_scan_leaves_every_read_out_at_zero():
    tokens, (x, z) = make_tokens(), planted(noise=0.0)
    tokens.fit(x[:1], z[:1])
    assert not tokens.readout.weight.any()
