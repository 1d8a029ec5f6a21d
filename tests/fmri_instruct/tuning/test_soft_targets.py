"""Soft targets: what a linear classifier reads of subjects that it has not seen."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fmri_instruct.tuning.soft_targets import N_FOLDS, cross_fitted, soft_targets

CANDIDATES = ["control", "patient"]


def people(n, effect, n_scans=2, seed=0):
    """Features of several scans a subject, of which the first tells the two groups apart."""
    rng = np.random.default_rng(seed)
    ill = np.repeat(np.arange(n) % 2, n_scans)
    features = rng.standard_normal((n * n_scans, 6))
    features[:, 0] += effect * ill
    subjects = [f"sub-{k}" for k in range(n) for _ in range(n_scans)]
    return features, [CANDIDATES[k] for k in ill], subjects


def test_what_can_be_read_is_read_and_the_rest_stays_unsure():
    features, answers, subjects = people(100, effect=2.0)
    found = cross_fitted(features, answers, subjects, CANDIDATES)
    np.testing.assert_allclose(found.sum(1), 1)
    ill = np.array(answers) == "patient"
    assert roc_auc_score(ill, found[:, 1]) > 0.85
    nothing = cross_fitted(*people(100, effect=0.0), CANDIDATES)
    assert np.abs(nothing - 0.5).mean() < 0.1


def test_no_scan_is_judged_by_a_classifier_that_has_seen_its_subject():
    """A feature that is the subject's number would give every label away."""
    rng = np.random.default_rng(0)
    labels = np.repeat(rng.permutation(np.arange(60) % 2), 2)
    features = np.repeat(np.eye(60), 2, axis=0)
    subjects = np.repeat(np.arange(60), 2).tolist()
    found = cross_fitted(features, [CANDIDATES[k] for k in labels], subjects, CANDIDATES)
    assert roc_auc_score(labels, found[:, 1]) < 0.65


@pytest.mark.parametrize("n_people", [1, 2 * (N_FOLDS - 1)])
def test_too_few_subjects_of_an_answer_give_none(n_people):
    assert cross_fitted(*people(n_people, effect=2.0), CANDIDATES) is None


def test_the_kind_of_features_is_that_which_tells_more():
    features, answers, subjects = people(60, effect=2.0)
    kinds = {"noise": np.random.default_rng(9).standard_normal(features.shape), "own": features}
    name, found = soft_targets(kinds, answers, subjects, CANDIDATES)
    assert name == "own"
    np.testing.assert_array_equal(found, cross_fitted(features, answers, subjects, CANDIDATES))


def test_no_kind_is_chosen_where_there_are_too_few_subjects():
    features, answers, subjects = people(4, effect=2.0)
    assert soft_targets({"own": features}, answers, subjects, CANDIDATES) is None
