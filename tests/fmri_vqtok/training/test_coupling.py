import numpy as np
import pytest
import torch

from fmri_vqtok.model.relations import network_filters
from fmri_vqtok.training.coupling import MAX_COUPLING, CouplingLoss, couplings

NETWORKS = ["a", "a", "b", "b", "c"]
B, T, N = 3, 40, len(NETWORKS)


def make_signals(seed=0, n_frames=T):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.eye(N) + 0.5 * torch.randn(N, N, generator=generator)
    signal = torch.randn(B, n_frames, N, generator=generator) @ mixing
    return signal, signal + 0.7 * torch.randn(B, n_frames, N, generator=generator)


def make_loss():
    return CouplingLoss(network_filters(NETWORKS), 0.1)


def all_regions():
    return torch.ones(B, N, dtype=torch.bool)


def plain(signal, decoded, mask):
    """The loss as a loop over windows, of numpy's correlations."""
    losses = []
    for x, y, present in zip(signal.double(), decoded.double(), mask, strict=True):
        kept = np.flatnonzero(present)
        means = [
            [s[:, [k for k in kept if NETWORKS[k] == name]].mean(dim=1) for name in "abc"
             if any(NETWORKS[k] == name for k in kept)]
            for s in (x, y)
        ]  # fmt: skip
        total = 0.0
        for one, other in ((x[:, kept].T, y[:, kept].T), map(torch.stack, means)):
            z = [
                np.arctanh(np.clip(np.corrcoef(s), -MAX_COUPLING, MAX_COUPLING))
                for s in (one, other)
            ]
            places = np.triu_indices(len(z[0]), 1)
            total += np.mean((z[0][places] - z[1][places]) ** 2)
        losses.append(total)
    return np.mean(losses)


@pytest.mark.parametrize("missing", [[], [1], [4], [0, 2]])
def test_the_loss_is_that_of_numpys_correlations_between_networks_and_between_regions(missing):
    signal, decoded = make_signals()
    mask = all_regions()
    mask[1, missing] = False
    found = make_loss()(decoded, signal, mask)
    assert found.item() == pytest.approx(plain(signal, decoded, mask), rel=1e-4)


def test_couplings_are_numpys_between_the_means_of_networks():
    signal, _ = make_signals()
    found = couplings(signal, all_regions(), network_filters(NETWORKS))
    means = torch.stack([signal[2, :, :2].mean(1), signal[2, :, 2:4].mean(1), signal[2, :, 4]])
    r = np.corrcoef(means)
    expected = np.arctanh(r[np.triu_indices(3, 1)])
    np.testing.assert_allclose(found[2], expected, atol=1e-5)


def test_the_loss_is_zero_for_the_same_signals_at_any_scale_and_level():
    signal, _ = make_signals()
    assert make_loss()(signal, signal, all_regions()).item() == 0
    other = 3 * signal + 5
    assert make_loss()(other, signal, all_regions()).item() == pytest.approx(0, abs=1e-7)


def test_a_missing_region_has_no_influence_and_gets_no_gradient():
    signal, decoded = make_signals()
    mask = all_regions()
    mask[:, 2] = False
    before = make_loss()(decoded, signal, mask)
    for changed in (signal, decoded):
        changed[:, :, 2] = torch.nan
    decoded.requires_grad_()
    after = make_loss()(decoded, signal, mask)
    after.backward()
    assert torch.equal(after, before)
    assert not decoded.grad[:, :, 2].any()
    assert decoded.grad[:, :, [0, 1, 3, 4]].abs().sum(dim=1).min() > 0


@pytest.mark.parametrize("n_frames", [1, 2, 3])
def test_few_frames_give_a_bounded_loss_and_finite_gradients(n_frames):
    signal, decoded = make_signals(n_frames=n_frames)
    decoded.requires_grad_()
    loss = make_loss()(decoded, signal, all_regions())
    loss.backward()
    assert loss.item() <= 2 * (2 * np.arctanh(MAX_COUPLING)) ** 2
    assert torch.isfinite(decoded.grad).all()


def test_flat_signals_and_flat_reconstructions_give_finite_gradients():
    signal, decoded = make_signals()
    signal[0] = 1.0
    decoded[1:] = 0.0
    decoded.requires_grad_()
    loss = make_loss()(decoded, signal, all_regions())
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(decoded.grad).all()
    assert not decoded.grad[0].any()


def test_under_autocast_the_loss_is_in_single_precision():
    signal, decoded = make_signals()
    half = decoded.bfloat16()
    exact = make_loss()(half.float(), signal, all_regions())
    with torch.autocast("cpu", torch.bfloat16):
        found = make_loss()(half, signal, all_regions())
    assert found.dtype == torch.float32
    assert torch.equal(found, exact)
