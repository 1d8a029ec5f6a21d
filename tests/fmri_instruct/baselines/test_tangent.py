import numpy as np
import pytest
from nilearn.connectome import ConnectivityMeasure
from sklearn.covariance import LedoitWolf

from fmri_instruct.baselines.tangent import TangentSpace, shrunk_covariance


def recordings(n, rng, n_regions=6, n_frames=80):
    """Scans that share a mixing of their regions, each with some of its own."""
    shared = np.eye(n_regions) + 0.4 * rng.normal(size=(n_regions, n_regions))
    own = 0.1 * rng.normal(size=(n, n_regions, n_regions))
    return [rng.normal(size=(n_frames, n_regions)) @ (shared + each) for each in own]


def without(covariance, region):
    found = covariance.copy()
    found[region] = found[:, region] = np.nan
    return found


def test_the_tangent_space_is_that_of_nilearn():
    rng = np.random.default_rng(0)
    train, unseen = recordings(12, rng), recordings(4, rng)
    theirs = ConnectivityMeasure(kind="tangent", cov_estimator=LedoitWolf(), standardize=False)
    theirs.fit(train)

    space = TangentSpace().fit([shrunk_covariance(each) for each in train])
    ours = space.transform([shrunk_covariance(each) for each in unseen])

    edges = np.triu_indices(6)
    expected = [each[edges] for each in theirs.transform(unseen)]
    assert space.reference_ == pytest.approx(theirs.mean_, abs=1e-4)
    assert ours == pytest.approx(np.array(expected), abs=1e-4)


def test_the_mean_of_the_training_scans_lies_at_the_origin():
    covariances = [shrunk_covariance(each) for each in recordings(8, np.random.default_rng(1))]
    space = TangentSpace().fit(covariances)
    assert space.transform([space.reference_]) == pytest.approx(np.zeros((1, 21)), abs=1e-8)
    assert space.transform(covariances).mean(axis=0) == pytest.approx(np.zeros(21), abs=1e-5)


def test_another_mixing_of_the_regions_of_all_scans_keeps_their_distances():
    # Affine invariance, the reason for this geometry: distances do not change with the gain of a
    # region or with any other invertible mixing of all.
    rng = np.random.default_rng(2)
    covariances = [shrunk_covariance(each) for each in recordings(8, rng)]
    mixing = np.eye(6) + 0.3 * rng.normal(size=(6, 6))
    mixed = [mixing @ each @ mixing.T for each in covariances]

    def sizes(given):
        rows = TangentSpace().fit(given).transform(given)
        diagonal = np.subtract(*np.triu_indices(6)) == 0
        return np.sqrt((rows**2 * np.where(diagonal, 1, 2)).sum(axis=1))

    assert sizes(mixed) == pytest.approx(sizes(covariances), rel=1e-4)


def test_a_constant_region_is_missing_from_the_covariance():
    bold = np.random.default_rng(3).normal(size=(50, 4))
    bold[:, 1] = 2.0
    found = shrunk_covariance(bold)
    assert np.isnan(found[1]).all()
    assert np.isnan(found[:, 1]).all()
    rest = np.delete(bold, 1, axis=1)
    assert np.delete(np.delete(found, 1, 0), 1, 1) == pytest.approx(
        LedoitWolf().fit(rest).covariance_
    )


def test_a_missing_region_adds_nothing_to_a_scan_that_is_the_mean_elsewhere():
    covariances = [shrunk_covariance(each) for each in recordings(8, np.random.default_rng(4))]
    space = TangentSpace().fit(covariances)
    found = space.transform([without(space.reference_, 2)])
    assert found == pytest.approx(np.zeros((1, 21)), abs=1e-8)


def test_a_training_scan_without_a_region_moves_the_mean_little():
    covariances = [shrunk_covariance(each) for each in recordings(20, np.random.default_rng(5))]
    whole = TangentSpace().fit(covariances).reference_
    gap = TangentSpace().fit([without(covariances[0], 3), *covariances[1:]]).reference_
    left_out = TangentSpace().fit(covariances[1:]).reference_
    # The scan's other regions still count.
    assert np.linalg.norm(gap - whole) < np.linalg.norm(left_out - whole)


def test_a_region_that_no_training_scan_has_changes_nothing():
    rng = np.random.default_rng(6)
    train = [without(shrunk_covariance(each), 0) for each in recordings(8, rng)]
    space = TangentSpace().fit(train)
    unseen = shrunk_covariance(recordings(1, rng)[0])
    assert space.transform([unseen]).shape == (1, 15)
    assert space.transform([unseen]).tolist() == space.transform([without(unseen, 0)]).tolist()
