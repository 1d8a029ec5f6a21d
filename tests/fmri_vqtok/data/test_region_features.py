import json

import numpy as np
import pytest
import torch

from fmri_vqtok.config.stages import FitTokenizerSettings, LoopSettings
from fmri_vqtok.data.region_features import diffusion_gradients, mean_connectivity, region_features
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.cohort import Cohort
from fmri_vqtok.model.position_embedding import SpaceTimePositions, standardised
from fmri_vqtok.tokenizer import FMRITokenizer
from fmri_vqtok.training.fit import fit_tokenizer

N = 40
PLACES = np.linspace(0, 1, N)
ALL = torch.ones(N, dtype=torch.bool)


def chain(seed, n_frames=600):
    """Series of regions along a line: the nearer two are, the more alike."""
    rng = np.random.default_rng(seed)
    centres = np.linspace(-0.2, 1.2, 60)
    kernel = np.exp(-(((PLACES[:, None] - centres) / 0.1) ** 2))
    return torch.from_numpy(rng.normal(size=(n_frames, 60)) @ kernel.T)


def test_the_first_gradient_is_the_order_of_regions_along_a_planted_line():
    connectivity, _ = mean_connectivity([chain(0), chain(1)], [ALL, ALL])
    first = diffusion_gradients(connectivity, 3)[:, 0]
    ranks = first.argsort().argsort()
    assert abs(np.corrcoef(ranks, np.arange(N))[0, 1]) > 0.99


def test_gradients_are_those_of_brainspace():
    from brainspace.gradient.kernels import compute_affinity

    connectivity, _ = mean_connectivity([chain(0)], [ALL])
    # Not 0.9: in floating point 1 - 0.9 of 40 is less than 4, of which brainspace keeps 3.
    affinity = compute_affinity(connectivity.copy(), kernel="normalized_angle", sparsity=0.899)
    degree = affinity.sum(axis=1)
    # The diffusion operator of the definition: a Markov chain over alike profiles.
    weights = affinity / np.sqrt(np.outer(degree, degree))
    operator = weights / weights.sum(axis=1, keepdims=True)
    values, vectors = np.linalg.eig(operator)
    order = values.real.argsort()[::-1][1:4]
    ours = diffusion_gradients(connectivity, 3)
    for k, column in enumerate(order):
        assert abs(np.corrcoef(ours[:, k], vectors[:, column].real)[0, 1]) > 0.999
    strengths = values.real[order] / (1 - values.real[order])
    spread = np.sqrt((ours**2).sum(axis=0))
    assert np.allclose(spread / spread[0], strengths / strengths[0], rtol=0.05)


def test_connectivity_is_averaged_over_the_scans_that_have_both_regions():
    a, b = chain(0), chain(1)
    without_first = ALL.clone()
    without_first[0] = False
    b[:, 0] = 0.0
    connectivity, seen = mean_connectivity([a, b], [ALL, without_first])
    r_a, r_b = (np.corrcoef(x[:, 1:].numpy().T) for x in (a, b))
    assert seen.all()
    assert connectivity[0, 1] == pytest.approx(np.corrcoef(a.numpy().T)[0, 1])
    expected = np.tanh((np.arctanh(r_a[0, 1]) + np.arctanh(r_b[0, 1])) / 2)
    assert connectivity[1, 2] == pytest.approx(expected)


def test_a_region_that_no_scan_has_gets_the_mean_of_the_others():
    mask = ALL.clone()
    mask[3] = False
    features = region_features([chain(0)], [mask], 2, np.zeros((N, 3)))
    assert features.shape == (N, 5)
    others = features[mask, :2].mean(dim=0)
    torch.testing.assert_close(features[3, :2], others, atol=1e-5, rtol=1e-4)


def test_a_scan_without_any_region_adds_nothing():
    nothing = torch.zeros(N, dtype=torch.bool)
    with_it = region_features([chain(0), torch.zeros(9, N)], [ALL, nothing], 2, None)
    assert torch.equal(with_it, region_features([chain(0)], [ALL], 2, None))


def test_too_few_regions_for_the_gradients_are_refused():
    with pytest.raises(InputError, match=r"n_gradients: 39, but only 40 regions .* at most 38"):
        region_features([chain(0)], [ALL], 39, None)


def test_positions_are_a_linear_map_of_standardised_features():
    features = torch.randn(5, 3) * torch.tensor([1.0, 50.0, 0.01]) + 7
    positions = SpaceTimePositions(2, 5, 8, features)
    z = (features - features.mean(dim=0)) / features.std(dim=0, correction=0)
    weight, bias = positions.project.weight, positions.project.bias
    expected = positions.step[1] + z @ weight.T + bias
    torch.testing.assert_close(positions(2)[1], expected, atol=1e-4, rtol=1e-3)


def test_a_constant_feature_becomes_zero_and_not_infinite():
    assert not standardised(torch.full((5, 1), 0.1)).any()


def test_regions_with_the_same_features_have_the_same_position(make_tokenizer):
    features = torch.randn(5, 3)
    features[4] = features[1]
    placed = make_tokenizer(features).encoder.positions(3)
    assert torch.equal(placed[:, 4], placed[:, 1])
    assert not torch.allclose(placed[:, 4], placed[:, 2])


def test_features_are_saved_and_come_back_to_the_bit(make_tokenizer, tmp_path):
    tokenizer = make_tokenizer(torch.randn(5, 3))
    tokenizer.save_pretrained(tmp_path)
    read = FMRITokenizer.from_pretrained(tmp_path)
    x = torch.randn(1, 24, 5)
    assert torch.equal(read(x).signal, tokenizer(x).signal)
    assert read.fingerprint == tokenizer.fingerprint


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (None, "region_features: none, but the tokenizer's n_position_features is 3"),
        (torch.zeros(4, 3), r"region_features: shape \(4, 3\); give \(5, 3\)"),
        (torch.full((5, 3), float("nan")), "region_features: some are not finite"),
    ],
)
def test_features_that_do_not_fit_are_refused(make_tokenizer, features, message):
    config = make_tokenizer(torch.zeros(5, 3)).config
    with pytest.raises(InputError, match=message):
        FMRITokenizer(config, region_features=features)


def test_features_that_no_position_needs_are_refused(make_tokenizer):
    with pytest.raises(InputError, match=r"region_features: given, but .* is 0"):
        FMRITokenizer(make_tokenizer().config, region_features=torch.zeros(5, 3))


def settings(region_positions):
    return FitTokenizerSettings(
        n_frames=48, patch_frames=16, n_codes=32, region_positions=region_positions,
        n_gradients=2, attention="factorised", decoder="light", activation_checkpointing=True,
        training=LoopSettings(steps=1, batch_size=2),
    )  # fmt: skip


def test_a_cohort_without_centroids_cannot_place_regions_by_them(cohort_dir, tmp_path):
    with pytest.raises(InputError, match=r"'six' has no centroids, .* give 'gradients' or 'learn"):
        fit_tokenizer(cohort_dir, tmp_path, settings("geometry"), seed=0)


@pytest.mark.parametrize(("region_positions", "n_features"), [("gradients", 2), ("geometry", 5)])
def test_regions_are_placed_by_the_cohort_that_a_tokenizer_is_fitted_to(
    write_cohort, tmp_path, region_positions, n_features
):
    (tmp_path / "cohort").mkdir()
    (tmp_path / "tokenizer").mkdir()
    cohort = write_cohort(tmp_path / "cohort")
    centroids = [[float(n), n**2, -n] for n in range(6)]
    description = json.loads((cohort / "cohort.json").read_text()) | {"centroids": centroids}
    (cohort / "cohort.json").write_text(json.dumps(description))
    fit_tokenizer(cohort, tmp_path / "tokenizer", settings(region_positions), seed=0)
    tokenizer = FMRITokenizer.from_pretrained(tmp_path / "tokenizer", labels=Cohort(cohort).labels)
    features = tokenizer.encoder.positions.features
    assert features.shape == (6, n_features)
    if n_features == 5:
        torch.testing.assert_close(features[:, 2:], standardised(torch.tensor(centroids)))
    config = tokenizer.config
    assert (config.attention, config.encoder_depth, config.decoder_depth) == ("factorised", 2, 1)
