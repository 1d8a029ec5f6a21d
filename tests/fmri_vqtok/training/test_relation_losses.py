import numpy as np
import pytest
import torch

from fmri_vqtok.data.window_dataset import NormalisedScan
from fmri_vqtok.model.relations import SpatialFilters, network_filters, region_covariance
from fmri_vqtok.processor import TimeSeriesProcessor
from fmri_vqtok.training.relation_losses import (
    MAX_Z,
    N_EIGENVECTORS,
    ReadOut,
    RelationFeatures,
    initial_filters,
    start_relations,
    training_windows,
)

NAN = float("nan")


def test_the_read_out_is_the_mean_squared_error_over_known_clipped_z_scores():
    targets = torch.tensor([[1.0, NAN, 9.0], [NAN, NAN, NAN], [-7.0, 0.5, 0.0]])
    readout = ReadOut(targets, n_features=2, weight=1.0)
    weights = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    readout.linear.weight.data.copy_(weights)
    readout.linear.bias.data.fill_(0.25)
    features, scans = torch.tensor([[0.5, 1.0], [3.0, 3.0], [-1.0, 2.0]]), torch.tensor([2, 1, 0])
    total, n_known = 0.0, 0
    for row, scan in zip(features.numpy(), scans.tolist(), strict=True):
        for predicted, z in zip(weights.numpy() @ row + 0.25, targets[scan].tolist(), strict=True):
            if not np.isnan(z):
                total, n_known = total + (predicted - np.clip(z, -MAX_Z, MAX_Z)) ** 2, n_known + 1
    assert readout.n_known(scans) == n_known == 5
    assert readout(features, scans).item() == pytest.approx(total / n_known, rel=1e-6)


def test_scans_without_a_known_z_score_give_zero_and_finite_gradients():
    readout = ReadOut(torch.full((2, 3), NAN), n_features=2, weight=1.0)
    features = torch.ones(2, 2, requires_grad=True)
    loss = readout(features, torch.tensor([0, 1]))
    loss.backward()
    assert loss.item() == 0
    assert not features.grad.any()


def test_filters_start_from_networks_or_else_from_the_leading_eigenvectors_of_training():
    windows = torch.randn(4, 30, 12, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(4, 12, dtype=torch.bool)
    networks = ["a", "b", "c"] * 4
    assert torch.equal(initial_filters(windows, mask, networks), network_filters(networks))
    covariance = np.mean([w.T.numpy() @ w.numpy() / 30 for w in windows], axis=0)
    leading = np.linalg.eigh(covariance)[1][:, -N_EIGENVECTORS:]
    for unhelpful in (None, ["a"] * 12):
        found = initial_filters(windows, mask, unhelpful)
        np.testing.assert_allclose(found.T @ found, leading @ leading.T, atol=1e-4)


def test_training_windows_are_spread_over_the_scans_with_the_mask_of_each():
    masks = [torch.arange(2) != k for k in range(2)]
    series = torch.arange(80.0)[:, None].expand(-1, 2)
    scans = [NormalisedScan(f"s{k}", series + 100 * k, masks[k], k) for k in range(2)]
    windows, found = training_windows(scans, TimeSeriesProcessor(20), 4)
    assert windows[:, 0, 0].tolist() == [0, 40, 100, 140]
    assert torch.equal(found, torch.stack([masks[0], masks[0], masks[1], masks[1]]))


def test_features_of_training_windows_start_with_mean_0_and_spread_1_and_follow_the_codes(
    make_tokenizer,
):
    generator = torch.Generator().manual_seed(0)
    windows = torch.randn(20, 24, 5, generator=generator).cumsum(dim=1)
    mask = torch.ones(20, 5, dtype=torch.bool)
    mask[3, 1] = False
    tokenizer = make_tokenizer()
    tokenizer.initialise(windows, generator)
    filters = network_filters(["a", "a", "b", "b", "c"])
    relations = start_relations(tokenizer, windows, mask, filters)
    coefficients = tokenizer.coefficients(tokenizer.encode(windows, mask).codes)
    found = relations(coefficients, mask)
    assert found.mean(dim=0).abs().max() < 1e-4
    assert (found.std(dim=0, correction=0) - 1).abs().max() < 1e-3
    plain = SpatialFilters(filters)(region_covariance(coefficients, mask), mask).values
    expected = (plain - plain.mean(dim=0)) / plain.std(dim=0, correction=0)
    assert torch.allclose(found, expected, atol=1e-3)


def test_the_gradient_of_the_features_passes_straight_through_the_codes_to_the_encoder(
    make_tokenizer,
):
    tokenizer, relations = make_tokenizer(), RelationFeatures(torch.eye(5)[:2])
    windows = torch.randn(2, 24, 5, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, 5, dtype=torch.bool)
    encoded = tokenizer.encode(windows)
    assert torch.allclose(encoded.coefficients, tokenizer.coefficients(encoded.codes), atol=1e-6)
    relations(encoded.coefficients, mask).square().sum().backward()
    assert tokenizer.encoder.patch_embedding.weight.grad.abs().max() > 0
    assert relations.filters.filters.grad.abs().max() > 0
