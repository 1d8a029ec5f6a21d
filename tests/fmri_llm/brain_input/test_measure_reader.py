"""What text reads of measures: by which words, how much, and what the read-out finds."""

import numpy as np
import torch
from sklearn.linear_model import Ridge

from fmri_llm.brain_input.measure_reader import WORD_LENGTHS, MeasureReader
from fmri_llm.brain_input.measure_words import MeasureWords
from fmri_llm.brain_input.ridge import PENALTIES, fit_ridge

N_MEASURES, N_FEATURES, N_SCANS, N_WORDS, WIDTH, LENGTH = 3, 5, 40, 6, 8, 2.0


def make_names():
    """Embeddings of the words of three names, of one word and of two and three."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, WIDTH, generator=generator) + 3 for n in (1, 2, 3)]


def make_words(names):
    means = torch.stack([name.mean(0) for name in names])
    directions = torch.randn(len(names), WIDTH, generator=torch.Generator().manual_seed(1))
    return MeasureWords(means, tuple(map(len, names)), directions)


def make_reader():
    words = make_words(make_names())
    return words, MeasureReader(words, N_FEATURES, LENGTH)


def planted(noise):
    """Features, and z-scores that depend linearly on them but for the noise."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((N_SCANS, N_FEATURES))
    z = x @ rng.standard_normal((N_FEATURES, N_MEASURES)) / N_FEATURES**0.5
    return torch.tensor(x), torch.tensor(z + noise * rng.standard_normal(z.shape))


@torch.no_grad()
def read(reader, texts, values=((1.5, -0.5, 0.3),)):
    """What the last token of each text reads, (n_texts, WIDTH); words are (n_words, WIDTH)."""
    found = []
    for text, own in zip(texts, values * (len(texts) // len(values)), strict=True):
        padded = torch.cat([torch.zeros(N_WORDS, WIDTH), text])[-N_WORDS:].flip(0)
        n_known = torch.tensor([[min(len(text), N_WORDS)]])
        found.append(reader((word[None, None] for word in padded), n_known, torch.tensor([own])))
    return torch.cat(found)[:, 0]


def along(found, words):
    """Parts of what is read along the measures' directions, in the units of their values."""
    lengths = WORD_LENGTHS * LENGTH * words.directions.norm(dim=1)
    return (found * words.directions).sum(1) / lengths


def test_a_name_is_read_where_it_ends_whatever_comes_before_and_the_sign_is_that_of_the_value():
    words, reader = make_reader()
    before = torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(2)) + 3
    found = read(reader, [torch.cat([before, name]) for name in make_names()])
    torch.testing.assert_close(
        along(found, words), torch.tensor([1.5, -0.5, 0.3]), atol=0.02, rtol=0
    )


def test_the_order_of_the_words_of_a_name_does_not_matter():
    _, reader = make_reader()
    longest = make_names()[2]
    first, second = read(reader, [longest, longest.flip(0)])
    torch.testing.assert_close(first, second)


def test_words_that_name_no_measure_read_nothing():
    words, reader = make_reader()
    shared = words.names.mean(0)
    other = torch.linalg.svd(words.names - shared).Vh[-1] + shared  # at right angles to all names
    assert read(reader, [other.expand(3, -1)]).abs().max() < 1e-5


def test_a_token_without_words_about_a_scan_reads_nothing():
    _, reader = make_reader()
    assert not read(reader, [torch.zeros(0, WIDTH)]).any()


def test_each_text_reads_of_its_own_scan():
    _, reader = make_reader()
    name = make_names()[1]
    found = read(reader, [name, name], ((1.0, 1.0, 1.0), (-2.0, -2.0, -2.0)))
    torch.testing.assert_close(found[1], -2 * found[0])


def test_the_read_out_of_planted_measures_is_found():
    (_, reader), (x, z) = make_reader(), planted(noise=0.0)
    reader.fit(x, z, range(N_SCANS))
    found = reader.readout(x.float()).detach().double()
    torch.testing.assert_close(found, z, atol=0.02, rtol=0)


def test_the_penalty_is_that_with_the_least_error_on_subjects_left_out():
    x, z = (each.numpy() for each in planted(noise=3.0))
    subjects = np.arange(N_SCANS) // 8  # fewer than folds: each subject is a fold
    weights, _ = fit_ridge(x, z, subjects)
    for measure in range(N_MEASURES):
        errors = []
        for penalty in PENALTIES:
            error = 0.0
            for subject in range(5):
                kept = subjects != subject
                ridge = Ridge(alpha=penalty * kept.sum()).fit(x[kept], z[kept, measure])
                error += np.square(ridge.predict(x[~kept]) - z[~kept, measure]).sum()
            errors.append(error)
        best = Ridge(alpha=PENALTIES[int(np.argmin(errors))] * N_SCANS).fit(x, z[:, measure])
        np.testing.assert_allclose(weights[measure], best.coef_, atol=1e-5)


def test_a_measure_that_is_predicted_in_part_is_read_along_a_longer_direction():
    (_, reader), (x, z) = make_reader(), planted(noise=1.0)
    before = reader.direction.detach().norm(dim=1)
    reader.fit(x, z, range(N_SCANS))
    spread = reader.readout(x.float()).detach().std(0, correction=0)
    found = reader.direction.detach().norm(dim=1)
    torch.testing.assert_close(found, before / spread.clamp(min=0.25), rtol=1e-3, atol=0)


def test_further_measures_are_read_beside_the_first_which_stay_as_they_are():
    _, reader = make_reader()
    x, z = planted(noise=0.0)
    reader.fit(x, z, range(N_SCANS))
    before = reader.readout(x.float())
    more = [torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(3)) + 3]
    reader.add(make_words(more))
    reader.fit(x, z[:, :1], range(N_SCANS), measures=[N_MEASURES])
    after = reader.readout(x.float())
    torch.testing.assert_close(after[:, :N_MEASURES], before)
    torch.testing.assert_close(after[:, N_MEASURES], before[:, 0])
    found = read(reader, [*make_names(), *more], ((0.0, 0.0, 0.0, 1.0),))
    assert found[:3].norm(dim=1).max() < 0.02 * found[3].norm()


def test_an_unknown_z_score_counts_as_the_mean():
    x, z = planted(noise=0.1)
    gaps, filled = z.clone(), z.clone()
    gaps[3, 1], filled[3, 1] = torch.nan, 0.0
    (_, first), (_, second) = make_reader(), make_reader()
    first.fit(x, gaps, range(N_SCANS))
    second.fit(x, filled, range(N_SCANS))
    assert torch.equal(first.readout.weight, second.readout.weight)


def test_a_single_subject_leaves_every_read_out_at_zero():
    (_, reader), (x, z) = make_reader(), planted(noise=0.0)
    reader.fit(x[:2], z[:2], ["one", "one"])
    assert not reader.readout.weight.any()
