import numpy as np
import pytest
from scipy.linalg import hadamard
from scipy.stats import zscore
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.linear_model import LinearRegression

from fmri_descriptors import InputError, Scan
from fmri_descriptors.features.group_mean import CohortMean
from fmri_descriptors.features.ica.ica import group_ica, scan_maps, time_courses


@pytest.fixture(scope="module")
def training(recordings):
    return [recordings[name] for name in ("101309", "102311", "NAP_002", "NAP_007")]


@pytest.fixture(scope="module")
def covariance(training):
    return np.mean([np.corrcoef(scan.timeseries.T) for scan in training], axis=0)


@pytest.fixture(scope="module")
def group(covariance, aal2):
    return group_ica(covariance, aal2.membership, 20, seed=0)


def test_maps_span_the_principal_components_of_the_concatenated_scans(training, covariance, aal2):
    """Equal frames a scan make the mean correlation the covariance of all frames."""
    cut = [s.timeseries[:300] for s in training]
    cut = [(x - x.mean(axis=0)) / x.std(axis=0) for x in cut]
    frames = np.concatenate(cut)
    centred = frames - frames.mean(axis=1, keepdims=True)
    principal = PCA(20, svd_solver="full").fit(centred).components_
    mean = np.mean([np.corrcoef(x.T) for x in cut], axis=0)
    maps = group_ica(mean, aal2.membership, 20, seed=0).maps
    np.testing.assert_allclose(principal.T @ (principal @ maps.T), maps.T, atol=1e-8)


def test_maps_have_unit_variance_and_are_uncorrelated(group):
    np.testing.assert_allclose(np.cov(group.maps, ddof=0), np.eye(20), atol=1e-8)


@pytest.mark.parametrize("chosen", [(1, 4, 6, 5, 2, 7), (8, 4, 6, 11, 9)])
def test_no_component_is_lost_where_principal_components_are_binary_patterns(chosen):
    """Whitened once more, such patterns have a basis with zeros, which FastICA takes for signs."""
    patterns = hadamard(16)[:, chosen]
    covariance = (patterns * 2.0 ** -np.arange(len(chosen))) @ patterns.T
    maps = group_ica(covariance, patterns.T[:2] > 0, len(chosen), seed=0).maps
    np.testing.assert_allclose(np.cov(maps, ddof=0), np.eye(len(chosen)), atol=1e-8)


def test_each_network_has_a_component_of_its_own_that_resembles_it(group, aal2):
    resemblance = np.corrcoef(group.maps[:9], aal2.membership)[:9, 9:].diagonal()
    np.testing.assert_allclose(resemblance, group.overlap, atol=1e-12)
    assert resemblance.min() > 0.15


def test_the_same_seed_gives_the_same_maps(covariance, aal2, group):
    again = group_ica(covariance, aal2.membership, 20, seed=0)
    np.testing.assert_array_equal(again.maps, group.maps)


def test_planted_sources_are_found():
    """Five small networks with courses of their own, among silent regions."""
    rng = np.random.default_rng(0)
    outlines = np.hstack(
        [np.repeat(np.eye(5, dtype=bool), 8, axis=1), np.zeros((5, 54), dtype=bool)]
    )
    series = rng.standard_normal((2000, 5)) @ outlines + 0.3 * rng.standard_normal((2000, 94))
    found = group_ica(np.corrcoef(series.T), outlines, 5, seed=0)
    assert found.converged
    assert found.overlap.min() > 0.95


def test_time_courses_equal_a_regression_of_every_frame_on_the_maps(group, recordings):
    scan = recordings["102816"]
    expected = LinearRegression().fit(group.maps.T, zscore(scan.timeseries).T).coef_
    np.testing.assert_allclose(time_courses(scan, group.maps), expected, atol=1e-8)


def test_time_courses_leave_masked_regions_out(group, recordings, aal2):
    series = recordings["102816"].timeseries.copy()
    series[:, 11] = np.nan
    others = np.delete(np.arange(94), 11)
    expected = LinearRegression().fit(group.maps[:, others].T, zscore(series[:, others]).T).coef_
    found = time_courses(Scan(series, 0.72, aal2, "s", "s"), group.maps)
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_a_regions_amplitude_does_not_touch_the_time_courses(group, recordings, aal2):
    scan = recordings["102816"]
    louder = Scan(scan.timeseries * np.linspace(1, 9, 94), 0.72, aal2, "s", "s")
    np.testing.assert_allclose(
        time_courses(louder, group.maps), time_courses(scan, group.maps), atol=1e-8
    )


def test_the_second_stage_returns_planted_maps_with_their_amplitude(group, aal2):
    courses = np.random.default_rng(0).standard_normal((400, 20))
    scan = Scan(3.0 * courses @ group.maps + 500, 2.0, aal2, "s", "s")
    expected = 3.0 * group.maps * courses.std(axis=0)[:, None]
    np.testing.assert_allclose(scan_maps(scan, courses), expected, atol=1e-8)


@pytest.mark.parametrize(
    ("n_components", "message"),
    [(8, "there are 9 networks; give at least 9"), (94, "only 94 regions are usable; give fewer")],
)
def test_a_number_of_components_that_cannot_be_is_refused(covariance, aal2, n_components, message):
    with pytest.raises(InputError, match=message):
        group_ica(covariance, aal2.membership, n_components, seed=0)


def test_more_masked_regions_than_components_can_bear_are_refused(group, aal2):
    series = np.random.default_rng(0).standard_normal((50, 94))
    series[:, 15:] = np.nan
    with pytest.raises(InputError, match="15 usable regions cannot carry 20 components"):
        time_courses(Scan(series, 2.0, aal2, "s", "s"), group.maps)


def _streamed(scans):
    mean = CohortMean()
    for scan in scans:
        mean.add(scan)
    return mean.covariance()


def test_the_streamed_covariance_equals_a_concatenated_pca(training, aal2):
    """Scans of equal length, so that every frame counts the same in both."""
    cut = [Scan(s.timeseries[:300], s.tr, aal2, s.scan_id, s.scan_id) for s in training]
    pca = PCA(svd_solver="full").fit(np.concatenate([zscore(s.timeseries) for s in cut]))
    n_frames = 300 * len(cut)
    expected = pca.get_covariance() * (n_frames - 1) / n_frames
    np.testing.assert_allclose(_streamed(cut), expected, atol=1e-10)


def test_the_order_of_the_scans_does_not_matter_where_an_incremental_pca_drifts(training):
    forward, backward = _streamed(training), _streamed(training[::-1])
    np.testing.assert_allclose(forward, backward, atol=1e-13)
    there, back = (IncrementalPCA(20) for _ in range(2))
    for scan in training:
        there.partial_fit(zscore(scan.timeseries))
    for scan in training[::-1]:
        back.partial_fit(zscore(scan.timeseries))
    gap = np.abs(np.abs(there.components_ @ back.components_.T) - np.eye(20)).max()
    assert gap > 1e-3
