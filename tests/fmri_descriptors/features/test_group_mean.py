"""The gradient template is that of the mean Fisher z."""

import numpy as np
import pytest

from fmri_descriptors import FeatureExtractor, FeatureSettings, Parcellation, Scan
from fmri_descriptors.features.gradients.template import gradient_template
from fmri_descriptors.features.group_mean import CohortMean

PAIR = Parcellation("pair", ["a", "b"], ["net", "net"], ["L", "R"])


def correlated(r, name):
    """Two regions that correlate by exactly r."""
    x, y = np.linalg.qr(np.random.default_rng(0).normal(size=(40, 3)))[0][:, :2].T
    x, y = x - x.mean(), y - y.mean()
    x /= np.linalg.norm(x)
    y -= (y @ x) * x
    y /= np.linalg.norm(y)
    return Scan(np.stack([x, r * x + np.sqrt(1 - r**2) * y], axis=1), 2.0, PAIR, name, name)


def test_correlations_are_averaged_as_fisher_z():
    """Of 0.9 and 0.1 that is 0.656, where their plain mean is 0.5."""
    mean = CohortMean()
    for r in (0.9, 0.1):
        mean.add(correlated(r, str(r)))
    expected = np.tanh((np.arctanh(0.9) + np.arctanh(0.1)) / 2)
    assert mean.connectivity()[0, 1] == pytest.approx(expected)
    assert mean.covariance()[0, 1] == pytest.approx(0.5)


def test_the_template_of_a_cohort_is_made_from_the_mean_fisher_z(simulate):
    scans = [simulate(1, n_frames=120, network=0.2), simulate(2, n_frames=120, network=3.0)]
    settings = FeatureSettings(louvain_runs=1)
    fitted = FeatureExtractor(settings).fit(scans)
    mean = CohortMean()
    for scan in scans:
        mean.add(scan)
    parcellation = scans[0].parcellation
    of_z, of_r = (
        gradient_template(matrix, parcellation, settings)
        for matrix in (mean.connectivity(), mean.covariance())
    )
    np.testing.assert_allclose(fitted.template_, of_z)
    assert np.abs(of_z - of_r).max() > 1e-3
