import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from fmri_instruct.baselines.boosting import FIXED, GRID, BoostedClassifier, BoostedRegressor


def tabular(n_subjects, scans_each, rng):
    """Ten columns; the class is in the sign of a product of two, which no line can part."""
    subjects = np.repeat(np.arange(n_subjects), scans_each)
    X = rng.normal(size=(n_subjects, 10))[subjects]
    y = np.where(X[:, 0] * X[:, 1] > 0, "same", "other")
    return X, y, subjects.tolist()


def test_trees_find_what_no_line_can_part_in_people_they_have_not_seen():
    rng = np.random.default_rng(0)
    X, y, subjects = tabular(200, 1, rng)
    unseen, truth, _ = tabular(100, 1, rng)
    model = BoostedClassifier().fit(X, y, subjects)
    assert np.mean(model.predict(unseen) == truth) > 0.8


def test_the_trees_are_scikit_learns_with_the_settings_that_were_chosen():
    X, y, subjects = tabular(60, 1, np.random.default_rng(1))
    model = BoostedClassifier(seed=2).fit(X, y, subjects)
    same = HistGradientBoostingClassifier(**FIXED, **model.settings_, random_state=2).fit(X, y)
    assert model.chosen_
    assert model.predict_proba(X) == pytest.approx(same.predict_proba(X))


def test_settings_are_chosen_by_people_and_not_by_scans_of_the_same_person():
    # Labels without relation to the features, which name the person: folds that part a person's
    # scans choose the trees that learn everybody by heart.
    rng = np.random.default_rng(3)
    people = np.repeat(np.arange(24), 6)
    X = rng.normal(size=(24, 4))[people]
    y = np.array(["no", "yes"])[rng.permutation(np.arange(24) % 2)[people]]
    fast = {"learning_rate": max(GRID["learning_rate"])}
    by_person = BoostedClassifier().fit(X, y, people.tolist())
    by_scan = BoostedClassifier().fit(X, y, np.arange(144).tolist())
    assert by_scan.settings_.items() >= fast.items()
    assert by_person.settings_["learning_rate"] == min(GRID["learning_rate"])


def test_missing_values_are_a_branch_of_their_own_and_a_column_may_be_empty():
    rng = np.random.default_rng(4)
    y = np.array(["no", "yes"])[np.arange(80) % 2]
    X = rng.normal(size=(80, 3))
    X[y == "yes", 0] = np.nan  # that a value is missing is all that tells the classes apart
    X[:, 2] = np.nan
    model = BoostedClassifier().fit(X, y, np.arange(80).tolist())
    assert (model.predict(X) == y).all()


def test_a_number_is_predicted_in_people_who_were_not_seen():
    rng = np.random.default_rng(5)
    X, unseen = rng.normal(size=(200, 5)), rng.normal(size=(100, 5))
    model = BoostedRegressor().fit(X, np.abs(X[:, 0]), np.arange(200).tolist())
    assert np.corrcoef(model.predict(unseen), np.abs(unseen[:, 0]))[0, 1] > 0.8
    assert "chosen by cross-validation" in model.how


def test_with_two_people_of_an_answer_nothing_is_chosen():
    X, y, _ = tabular(12, 1, np.random.default_rng(6))
    model = BoostedClassifier().fit(X, y, (np.arange(12) % 2).tolist())
    assert model.settings_ == {name: values[0] for name, values in GRID.items()}
    assert model.how.endswith("fixed: an answer has fewer than 3 training subjects")


def test_one_answer_in_training_is_always_answered():
    model = BoostedClassifier().fit(np.zeros((3, 2)), ["only"] * 3, [1, 2, 3])
    assert model.predict(np.zeros((2, 2))).tolist() == ["only", "only"]
