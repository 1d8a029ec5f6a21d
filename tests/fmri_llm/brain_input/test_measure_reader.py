"""What text reads of measures: by which words, how much, and what the read-out finds."""

import numpy as np
import torch
from sklearn.linear_model import Ridge

from fmri_llm.brain_input.measure_reader import PENALTIES, MeasureReader, MeasureWords

N_MEASURES, N_FEATURES, N_SCANS, WIDTH, LENGTH = 3, 5, 40, 8, 2.0


def make_reader():
    generator = torch.Generator().manual_seed(0)
    names = torch.randn(N_MEASURES, WIDTH, generator=generator) + 3
    words = MeasureWords(names, torch.randn(WIDTH, generator=generator))
    return words, MeasureReader(words, N_FEATURES, LENGTH)


def planted(noise):
    """Features, and z-scores that depend linearly on them but for the noise."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((N_SCANS, N_FEATURES))
    z = x @ rng.standard_normal((N_FEATURES, N_MEASURES)) / N_FEATURES**0.5
    return torch.tensor(x), torch.tensor(z + noise * rng.standard_normal(z.shape))


@torch.no_grad()
def read(reader, recent, values=((1.5, -0.5, 0.3),)):
    has_words = torch.ones(recent.shape[:2], dtype=torch.bool)
    return reader(recent, has_words, torch.tensor(values))


def test_the_name_of_a_measure_reads_its_value_and_the_sign_says_above_or_below():
    words, reader = make_reader()
    found = read(reader, words.names[None])[0]
    along = found @ words.direction / words.direction.norm() / LENGTH
    torch.testing.assert_close(along, torch.tensor([1.5, -0.5, 0.3]), atol=0.02, rtol=0)


def test_words_that_name_no_measure_read_nothing():
    words, reader = make_reader()
    shared = words.names.mean(0)
    other = torch.linalg.svd(words.names - shared).Vh[-1] + shared  # at right angles to all names
    assert read(reader, other[None, None]).abs().max() < 1e-5


def test_a_token_without_words_about_a_scan_reads_nothing():
    words, reader = make_reader()
    nothing = torch.zeros(1, N_MEASURES, dtype=torch.bool)
    with torch.no_grad():
        assert not reader(words.names[None], nothing, torch.ones(1, N_MEASURES)).any()


def test_each_text_reads_of_its_own_scan():
    words, reader = make_reader()
    values = ((1.0, 1.0, 1.0), (-2.0, -2.0, -2.0))
    found = read(reader, words.names.expand(2, -1, -1), values)
    torch.testing.assert_close(found[1], -2 * found[0])


def test_the_read_out_of_planted_measures_is_found():
    (_, reader), (x, z) = make_reader(), planted(noise=0.0)
    reader.fit(x, z)
    found = reader.readout(x.float()).detach().double()
    torch.testing.assert_close(found, z, atol=0.02, rtol=0)


def test_the_penalty_is_that_with_the_least_error_on_scans_left_out():
    (_, reader), (x, z) = make_reader(), planted(noise=3.0)
    reader.fit(x, z)
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
        found = reader.readout.weight[measure].detach().numpy()
        np.testing.assert_allclose(found, best.coef_, atol=1e-5)


def test_an_unknown_z_score_counts_as_the_mean():
    x, z = planted(noise=0.1)
    gaps, filled = z.clone(), z.clone()
    gaps[3, 1], filled[3, 1] = torch.nan, 0.0
    (_, first), (_, second) = make_reader(), make_reader()
    first.fit(x, gaps)
    second.fit(x, filled)
    assert torch.equal(first.readout.weight, second.readout.weight)


def test_a_single_scan_leaves_every_read_out_at_zero():
    (_, reader), (x, z) = make_reader(), planted(noise=0.0)
    reader.fit(x[:1], z[:1])
    assert not reader.readout.weight.any()
