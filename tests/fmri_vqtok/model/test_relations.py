import math

import numpy as np
import pytest
import torch

from fmri_vqtok.model.relations import (
    Features,
    SpatialFilters,
    Standardiser,
    eigenvector_filters,
    network_filters,
    region_covariance,
)

B, W, N, J = 3, 4, 6, 5


def make_coefficients(seed=0):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.eye(N) + 0.4 * torch.randn(N, N, generator=generator)
    values = torch.randn(B, W, N, J, generator=generator)
    values = values - values.mean(dim=(1, 3), keepdim=True)
    return torch.einsum("nm,bwmj->bwnj", mixing, values)


def all_regions():
    return torch.ones(B, N, dtype=torch.bool)


def make_filters(n_filters=3, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return SpatialFilters(torch.randn(n_filters, N, generator=generator))


def test_the_covariance_is_numpys_of_the_signals_that_the_coefficients_are_coordinates_of():
    rng = np.random.default_rng(0)
    axes, _ = np.linalg.qr(rng.normal(size=(J, J)))
    # Patches of J frames: (B, W, J frames, N); a signal is centred when it is normalised.
    series = rng.normal(size=(B, W * J, N)) @ rng.normal(size=(N, N))
    series -= series.mean(axis=1, keepdims=True)
    patches = series.reshape(B, W, J, N)
    coefficients = torch.from_numpy(np.einsum("bwtn,tj->bwnj", patches, axes))
    found = region_covariance(coefficients, all_regions()).numpy()
    for scan, covariance in zip(series, found, strict=True):
        np.testing.assert_allclose(covariance, np.cov(scan.T, bias=True), rtol=1e-10, atol=1e-10)


def test_the_order_of_the_steps_does_not_matter():
    coefficients = make_coefficients()
    found = [region_covariance(c, all_regions()) for c in (coefficients, coefficients.flip(1))]
    assert torch.allclose(*found, atol=1e-5)
    assert not torch.allclose(found[0], region_covariance(make_coefficients(1), all_regions()))


def test_padding_steps_and_missing_regions_change_nothing():
    coefficients, mask = make_coefficients(), all_regions()
    mask[:, 2] = False
    alone = region_covariance(coefficients, mask)
    other = torch.cat([coefficients, torch.full((B, 2, N, J), 50.0)], dim=1)
    other[:, :, 2] = 99.0
    step_mask = torch.arange(W + 2).expand(B, -1) < W
    padded = region_covariance(other, mask, step_mask)
    assert torch.allclose(padded, alone, atol=1e-6)
    assert not padded[:, 2].any()
    assert not padded[:, :, 2].any()
    found = [make_filters()(covariance, mask) for covariance in (alone, padded)]
    assert torch.allclose(found[0].values, found[1].values, atol=1e-5)


def test_log_powers_and_couplings_are_those_of_the_weighted_sums_of_signals():
    coefficients, mask, filters = make_coefficients(), all_regions(), make_filters()
    mask[0, 1] = False
    found = filters(region_covariance(coefficients, mask), mask)
    assert found.known.all()
    for k in range(B):
        series = coefficients[k].transpose(0, 1).flatten(1).double().numpy()
        sums = []
        for weights in filters.filters.detach().double().numpy():
            present = weights * mask[k].numpy()
            sums.append(present @ series / np.linalg.norm(present))
        powers = [math.log(np.mean(s**2)) for s in sums]
        couplings = [
            math.atanh(np.corrcoef(sums[a], sums[b])[0, 1])
            for a in range(3)
            for b in range(a + 1, 3)
        ]
        np.testing.assert_allclose(found.values[k].detach(), powers + couplings, atol=1e-4)


def test_a_profile_is_the_correlation_of_a_region_with_a_filter():
    coefficients, mask, filters = make_coefficients(), all_regions(), make_filters()
    mask[:, 5] = False
    found = filters.region_profiles(region_covariance(coefficients, mask), mask).detach()
    series = (coefficients * mask[:, None, :, None])[1].transpose(0, 1).flatten(1).numpy()
    summed = filters.filters.detach().numpy()[2] @ series
    r = summed @ series[4] / np.linalg.norm(summed) / np.linalg.norm(series[4])
    assert found[1, 4, 2].item() == pytest.approx(np.arctanh(r), abs=1e-4)
    assert not found[:, 5].any()


def test_an_average_weighs_present_regions_by_the_squares_of_the_filter():
    filters = SpatialFilters(torch.tensor([[1.0, 2.0, 3.0, 0.0, 0.0, 0.0]]))
    mask = torch.tensor([[True, True, False, True, True, True]])
    values = torch.tensor([[10.0, 20.0, 1e6, 7.0, 7.0, 7.0]])
    found = filters.average(values, mask)
    assert found.values.item() == pytest.approx((1 * 10 + 4 * 20) / 5)
    assert found.known.item()


def test_the_length_of_a_filter_has_no_effect():
    filters = make_filters()
    longer = SpatialFilters(filters.filters.detach() * torch.tensor([[0.01], [7.0], [300.0]]))
    mask = all_regions()
    covariance = region_covariance(make_coefficients(), mask)
    found = [f(covariance, mask).values for f in (filters, longer)]
    assert torch.allclose(*found, atol=1e-4)


def test_what_is_about_a_filter_without_a_present_region_is_unknown_and_zero_when_standardised():
    filters = SpatialFilters(network_filters(["a", "a", "b", "b", "c", "c"]))
    mask = all_regions()
    mask[1, 2:4] = False
    features = filters(region_covariance(make_coefficients(), mask), mask)
    # Powers of a, b, c, then couplings of ab, ac, bc.
    assert features.known[1].tolist() == [True, False, True, False, True, False]
    assert features.known[[0, 2]].all()
    standardiser = Standardiser(filters.n_features)
    standardiser.fit(features)
    found = standardiser(features)
    assert not found[1, [1, 3, 5]].any()
    assert found[1, [0, 2, 4]].all()
    known = features.values[[0, 2], 1]
    assert standardiser.mean[1].item() == pytest.approx(known.mean().item(), abs=1e-6)
    assert standardiser.spread[1].item() == pytest.approx(known.std(correction=0).item(), rel=1e-4)


def test_a_feature_that_never_varies_is_not_divided_by_zero():
    standardiser = Standardiser(1)
    features = Features(torch.full((4, 1), 3.0), torch.ones(4, 1, dtype=torch.bool))
    standardiser.fit(features)
    assert not standardiser(features).any()


def test_network_filters_are_the_means_of_networks_in_their_order():
    found = network_filters(["Visual", "Default", "Visual", "Visual", "Default", "Limbic"])
    values = torch.arange(6.0) ** 2
    means = found @ values / found.sum(dim=1)
    assert means.tolist() == pytest.approx([(0 + 4 + 9) / 3, (1 + 16) / 2, 25])
    assert torch.allclose(found.norm(dim=1), torch.ones(3))


def test_eigenvector_filters_are_the_leading_eigenvectors_with_a_sign_of_their_own():
    covariance = region_covariance(make_coefficients(), all_regions())[0]
    found = eigenvector_filters(covariance, 2)
    values, vectors = np.linalg.eigh(covariance.double().numpy())
    leading = vectors[:, ::-1][:, :2]
    np.testing.assert_allclose(found.T @ found, leading @ leading.T, atol=1e-5)
    np.testing.assert_allclose((found @ covariance @ found.T).diagonal(), values[:-3:-1], rtol=1e-4)
    for row in found:
        assert row[row.abs().argmax()] > 0
    flips = torch.tensor([1.0, -1, 1, -1, -1, 1])
    flipped = eigenvector_filters(flips[:, None] * covariance * flips, 2)
    assert torch.allclose(flipped.abs(), found.abs(), atol=1e-5)


def test_gradients_reach_filters_and_coefficients_and_are_finite_for_identical_filters():
    same = torch.randn(1, N, generator=torch.Generator().manual_seed(1)).expand(2, -1)
    filters = SpatialFilters(torch.cat([same, torch.eye(N)[:1]]))
    coefficients = make_coefficients().requires_grad_()
    values = filters(region_covariance(coefficients, all_regions()), all_regions()).values
    values.square().sum().backward()
    for gradient in (filters.filters.grad, coefficients.grad):
        assert torch.isfinite(gradient).all()
        assert gradient.abs().amax(dim=-1).min() > 0


def test_silent_scans_have_finite_features_and_gradients():
    filters, coefficients = make_filters(), torch.zeros(B, W, N, J, requires_grad=True)
    values = filters(region_covariance(coefficients, all_regions()), all_regions()).values
    values.sum().backward()
    assert torch.isfinite(values).all()
    assert torch.isfinite(filters.filters.grad).all()


def test_regions_in_another_order_give_the_same_features_with_filters_in_that_order():
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    coefficients, mask, filters = make_coefficients(), all_regions(), make_filters()
    mask[0, 3] = False
    permuted = SpatialFilters(filters.filters.detach()[:, order])
    one = filters(region_covariance(coefficients, mask), mask)
    other = permuted(region_covariance(coefficients[:, :, order], mask[:, order]), mask[:, order])
    assert torch.allclose(one.values, other.values, atol=1e-5)
    wrong = filters(region_covariance(coefficients[:, :, order], mask[:, order]), mask[:, order])
    assert not torch.allclose(one.values, wrong.values, atol=1e-2)
