import numpy as np
import pytest
from brainspace.gradient import GradientMaps
from brainspace.gradient.alignment import procrustes
from brainspace.gradient.kernels import compute_affinity

from fmri_descriptors import InputError
from fmri_descriptors.features.connectivity import correlation
from fmri_descriptors.features.gradients.gradients import align, diffusion_map, scan_gradients


@pytest.fixture(scope="module")
def connectivity(recordings):
    return {name: correlation(scan) for name, scan in recordings.items()}


@pytest.fixture(scope="module")
def template(connectivity):
    mean = np.mean(list(connectivity.values()), axis=0)
    return diffusion_map(mean, 10, 0.9)


def _operator(connectivity):
    """Diffusion operator as Coifman and Lafon (2006) write it, alpha = 0.5."""
    affinity = compute_affinity(connectivity, "normalized_angle", 0.9)
    degree = affinity.sum(axis=1) ** -0.5
    weights = degree[:, None] * affinity * degree
    return weights / weights.sum(axis=1, keepdims=True)


def test_maps_are_eigenvectors_of_the_diffusion_operator(connectivity):
    r = connectivity["102816"]
    maps, operator = diffusion_map(r, 3, 0.9), _operator(r)
    moved = operator @ maps
    eigenvalues = (moved * maps).sum(axis=0) / (maps**2).sum(axis=0)
    np.testing.assert_allclose(moved, maps * eigenvalues, atol=1e-12)
    assert (np.diff(eigenvalues) < 0).all()


def test_maps_agree_with_brainspace_to_its_own_spread_over_seeds(connectivity):
    """brainspace's solver moves by up to 2 % with its random start: r > 0.998, range within 2 %."""
    for r in connectivity.values():
        theirs = GradientMaps(3, approach="dm", kernel="normalized_angle", random_state=0)
        theirs = theirs.fit(r, sparsity=0.9).gradients_
        ours = diffusion_map(r, 3, 0.9)
        for k in range(3):
            assert abs(np.corrcoef(ours[:, k], theirs[:, k])[0, 1]) > 0.998
            assert np.ptp(ours[:, k]) == pytest.approx(np.ptp(theirs[:, k]), rel=0.02)


def test_alignment_equals_scipys_orthogonal_procrustes(connectivity, template):
    from scipy.linalg import orthogonal_procrustes

    maps = diffusion_map(connectivity["NAP_013"], 10, 0.9)
    rotation, _ = orthogonal_procrustes(maps, template)
    np.testing.assert_allclose(align(maps, template), maps @ rotation, atol=1e-12)


def test_alignment_equals_brainspaces_procrustes_to_1e_12(connectivity, template):
    maps = diffusion_map(connectivity["NAP_013"], 10, 0.9)
    np.testing.assert_allclose(align(maps, template), procrustes(maps, template), atol=1e-12)


def test_regions_that_the_template_lacks_are_rotated_with_the_others(template):
    partial = template.copy()
    partial[60:] = np.nan
    flipped = template * [-1, 1, -1, *[1] * 7]
    np.testing.assert_allclose(align(flipped, partial), template, atol=1e-10)


def test_a_scan_without_the_templates_regions_is_refused(template):
    partial = np.where(np.arange(94)[:, None] < 9, template, np.nan)
    with pytest.raises(InputError, match="the scan has 9 of its regions, but aligning 10"):
        align(template, partial)


def test_the_order_of_the_regions_leaves_their_gradients_unchanged(connectivity, template):
    order = np.random.default_rng(0).permutation(94)
    r = connectivity["NAP_001"]
    shuffled = scan_gradients(r[np.ix_(order, order)], template[order], 0.9)
    np.testing.assert_allclose(shuffled, scan_gradients(r, template, 0.9)[order], atol=1e-9)


def test_flipped_and_reordered_maps_come_back_in_the_templates_order_and_sign(template):
    shuffled = template[:, [2, 0, 1, *range(3, 10)]] * [-1, 1, -1, *[1] * 7]
    np.testing.assert_allclose(align(shuffled, template), template, atol=1e-12)


def test_every_scans_gradient_resembles_that_of_the_template(connectivity, template):
    for r in connectivity.values():
        gradients = scan_gradients(r, template, 0.9)
        for k in range(3):
            assert np.corrcoef(gradients[:, k], template[:, k])[0, 1] > 0.5


def test_masked_regions_have_no_gradient_and_hardly_move_the_others(connectivity, template):
    r = connectivity["102816"].copy()
    r[8] = r[:, 8] = np.nan
    gradients = scan_gradients(r, template, 0.9)
    assert np.isnan(gradients[8]).all()
    whole = scan_gradients(connectivity["102816"], template, 0.9)
    others = np.delete(np.arange(94), 8)
    assert np.corrcoef(gradients[others, 0], whole[others, 0])[0, 1] > 0.99


def test_too_few_regions_for_the_components_are_refused(connectivity):
    with pytest.raises(InputError, match="gradient_components: 10, but only 11 regions"):
        diffusion_map(connectivity["102816"][:11, :11], 10, 0.9)


@pytest.mark.parametrize(("n", "fix"), [(5, "give at most 3"), (4, "3 gradients need 5 regions")])
def test_too_few_regions_are_not_told_to_ask_for_fewer_gradients(connectivity, n, fix):
    with pytest.raises(InputError, match=fix):
        diffusion_map(connectivity["102816"][:n, :n], 10, 0.9)
