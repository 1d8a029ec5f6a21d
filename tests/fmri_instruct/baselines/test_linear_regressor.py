import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fmri_instruct.baselines.blind import TrainingMean
from fmri_instruct.baselines.linear import ALPHAS, LinearRegressor


def planted(n_subjects, scans_each, rng, noise=1.0):
    """Connectomes in which the first edges hold the subject's number."""
    subjects = np.repeat(np.arange(n_subjects), scans_each)
    y = rng.normal(50, 10, size=n_subjects)[subjects]
    X = rng.normal(scale=noise, size=(len(y), 40))
    X[:, :8] += ((y - 50) / 10)[:, None]
    return X, y, subjects.tolist()


def test_the_training_mean_is_of_subjects_and_not_of_scans():
    mean = TrainingMean().fit(None, [10, 40, 40, 40], ["a", "b", "b", "b"])
    assert mean.predict(np.zeros((2, 3))) == pytest.approx([25, 25])


def test_ridge_is_scikit_learns_at_the_penalty_that_was_chosen():
    X, y, subjects = planted(30, 2, np.random.default_rng(0))
    fitted = LinearRegressor(seed=3).fit(X, y, subjects)
    same = make_pipeline(StandardScaler(), Ridge(alpha=fitted.alpha_)).fit(X, y)
    assert fitted.chosen_
    assert fitted.alpha_ in ALPHAS
    assert fitted.predict(X) == pytest.approx(same.predict(X))


def test_ridge_finds_a_planted_number_in_people_it_has_not_seen():
    rng = np.random.default_rng(1)
    X, y, subjects = planted(60, 1, rng)
    unseen, truth, _ = planted(60, 1, rng)
    predicted = LinearRegressor().fit(X, y, subjects).predict(unseen)
    assert np.corrcoef(predicted, truth)[0, 1] > 0.8


def test_the_penalty_is_chosen_by_people_and_not_by_scans_of_the_same_person():
    # Every person has a number without relation to the connectome, but scans that are nearly equal:
    # folds that part a person's scans would choose the weakest penalty, and know everybody.
    rng = np.random.default_rng(2)
    subjects = np.repeat(np.arange(20), 4)
    X = rng.normal(size=(20, 200))[subjects] + 0.01 * rng.normal(size=(80, 200))
    y = rng.normal(size=20)[subjects]
    assert LinearRegressor().fit(X, y, subjects.tolist()).alpha_ >= 1e3
    alone = np.arange(80).tolist()  # as if each scan were a person
    assert LinearRegressor().fit(X, y, alone).alpha_ == min(ALPHAS)


def test_with_two_training_subjects_the_penalty_is_the_one_of_the_settings():
    X, y, subjects = planted(2, 3, np.random.default_rng(3))
    fitted = LinearRegressor(regularisation=0.25).fit(X, y, subjects)
    assert (fitted.alpha_, fitted.chosen_) == (4.0, False)


def test_a_region_without_signal_in_some_scans_is_filled_with_the_training_mean():
    X, y, subjects = planted(12, 1, np.random.default_rng(4))
    X[3, :5] = np.nan
    unseen = np.full((1, X.shape[1]), np.nan)
    fitted = LinearRegressor().fit(X, y, subjects)
    assert fitted.predict(unseen) == pytest.approx(y.mean())
