"""What a model starts from: filters, scalers and code head from the training scans."""

import datasets
import numpy as np
import pytest
import torch

from fmri_llm.brain_input.scans import scan_covariance
from fmri_llm.data.examples import TokenWindows, scans_of
from fmri_llm.model.fmri_lm import FMRILM
from fmri_llm.model.losses import next_step_loss
from fmri_llm.settings import BrainInputSettings
from fmri_llm.training.initialise import initial_filters, initialise

from ..tiny import N_CODES, N_REGIONS, N_STEPS, random_filters, tiny_tokenizer

NETWORKS = ("Visual", "Motor", "Visual", "Limbic", "Motor")
N_SCANS = 40  # more than are read at a time


def with_networks():
    plain = tiny_tokenizer("llama")
    plain.networks = NETWORKS
    return plain


@pytest.fixture(scope="module")
def windows():
    """One scan for each number, of one or two windows, with codes of unequal frequency."""
    rng = np.random.default_rng(0)
    frequencies = np.arange(1, N_CODES + 1) / np.arange(1, N_CODES + 1).sum()
    rows = [(f"s{k}", w) for k in range(N_SCANS) for w in range(1 + k % 2)]
    shape = (len(rows), N_STEPS, N_REGIONS)
    return TokenWindows(
        datasets.Dataset.from_dict(
            {
                "scan_id": [name for name, _ in rows],
                "window": [window for _, window in rows],
                "codes": rng.choice(N_CODES, size=shape, p=frequencies).tolist(),
                "mask": [[True] * (N_REGIONS - 1) + [name != "s3"] for name, _ in rows],
            }
        )
    )


def present_codes(windows):
    """All training codes of present regions."""
    scans = [windows.scan(name) for name in windows.scan_ids]
    return np.concatenate([scan.codes[:, scan.region_mask].ravel() for scan in scans])


def test_filters_start_as_means_of_networks_where_the_tokenizer_knows_them(windows):
    found = initial_filters(with_networks(), windows, BrainInputSettings())
    half = 0.5**0.5
    expected = [[half, 0, half, 0, 0], [0, half, 0, 0, half], [0, 0, 0, 1, 0]]
    torch.testing.assert_close(found, torch.tensor(expected))


@pytest.mark.parametrize("tokenizer", [tiny_tokenizer("llama"), with_networks()])
def test_filters_start_as_leading_eigenvectors_of_the_mean_covariance(windows, tokenizer):
    settings = BrainInputSettings(filters="eigenvectors", n_filters=2)
    found = initial_filters(tokenizer, windows, settings).double().numpy()
    total = np.zeros((N_REGIONS, N_REGIONS))
    for name in windows.scan_ids:
        scan = windows.scan(name)
        with torch.no_grad():
            coefficients = tokenizer.coefficients(torch.tensor(scan.codes)[None])[0].double()
        series = coefficients.numpy().transpose(1, 0, 2).reshape(N_REGIONS, -1)
        series = series * scan.region_mask[:, None]
        total += series @ series.T / series.shape[1]
    mean = total / len(windows.scan_ids)
    strengths = np.linalg.eigvalsh(mean)[::-1][:2]
    np.testing.assert_allclose(found @ found.T, np.eye(2), atol=1e-5)
    np.testing.assert_allclose(found @ mean, strengths[:, None] * found, atol=1e-5 * strengths[0])


def test_there_are_no_more_eigenvectors_than_regions(windows):
    settings = BrainInputSettings(filters="eigenvectors", n_filters=99)
    assert len(initial_filters(tiny_tokenizer("llama"), windows, settings)) == N_REGIONS


def test_a_tokenizer_without_networks_gets_eigenvectors(windows):
    found = initial_filters(tiny_tokenizer("llama"), windows, BrainInputSettings(n_filters=3))
    assert found.shape == (3, N_REGIONS)


@pytest.fixture(scope="module")
def fresh(tiny_folder):
    def make():
        # With a basis of regions, codes of a missing region say nothing and are not counted.
        tokenizer = tiny_tokenizer("llama", token_basis="regions")
        filters = random_filters()
        return FMRILM.from_base(tiny_folder("llama"), tokenizer, name="llama", filters=filters)

    return make


@torch.no_grad()
def test_without_training_scans_all_codes_have_equal_odds(fresh, codes):
    assert not fresh().forecast(codes).any()


@torch.no_grad()
def test_the_first_forecast_loss_is_the_entropy_of_the_training_codes(fresh, windows):
    model = fresh()
    initialise(model, windows)
    counts = np.bincount(present_codes(windows), minlength=N_CODES) + 0.5
    p = counts / counts.sum()
    np.testing.assert_allclose(model.head.bias.softmax(0), p, rtol=1e-5)
    # Over all codes alike often as in training, whatever a step's forecast is made of.
    scans = scans_of([windows.scan(name) for name in windows.scan_ids])
    logits = model.forecast(scans.codes, scans.region_mask)
    expected = -(logits.log_softmax(-1).flatten(0, 2).mean(0) * torch.tensor(p)).sum()
    entropy = -(p * np.log(p)).sum()
    assert expected.item() == pytest.approx(entropy, abs=1e-3)
    loss = next_step_loss(logits, scans.codes, scans.region_mask, scans.step_mask)
    later = np.concatenate([
        windows.scan(name).codes[1:, windows.scan(name).region_mask].ravel()
        for name in windows.scan_ids
    ])  # fmt: skip
    assert loss.item() == pytest.approx(-np.log(p[later]).mean(), abs=5e-3)


@torch.no_grad()
def test_codes_that_look_alike_as_text_start_with_alike_weights(fresh, windows):
    model = fresh()
    initialise(model, windows)
    tokenizer = model.brain_tokenizer
    steps = torch.arange(N_CODES)[:, None, None].expand(-1, 1, N_REGIONS)
    text = tokenizer.text_embeddings(steps).mean((1, 2))
    wanted = (text - text.mean(0)) @ (text - text.mean(0)).T
    found = model.head.weight @ model.head.weight.T
    torch.testing.assert_close(found / found.trace(), wanted / wanted.trace())


@torch.no_grad()
def test_features_of_the_training_scans_are_standardised(fresh, windows):
    model = fresh()
    initialise(model, windows)
    scans = scans_of([windows.scan(name) for name in windows.scan_ids])
    features = model.brain.filters(scan_covariance(model.brain_tokenizer, scans), scans.region_mask)
    standard = model.brain.relation_scaler(features)
    assert standard.mean(0).abs().max() < 1e-4
    torch.testing.assert_close(standard.std(0, correction=0), torch.ones(standard.shape[1]))
