import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fmri_instruct.baselines.blind import MajorityClass
from fmri_instruct.baselines.classes import align_classes
from fmri_instruct.baselines.connectome import connectome
from fmri_instruct.baselines.linear import PENALTIES, LinearClassifier


def planted(n, rng, n_edges=60, shift=1.2):
    """Connectomes of two classes that differ in the first ten edges."""
    y = np.array(["no", "yes"])[np.arange(n) % 2]
    X = rng.normal(size=(n, n_edges))
    X[y == "yes", :10] += shift
    return X, y


def test_majority_gives_the_training_frequencies_of_subjects_not_of_scans():
    y = ["a", "b", "b", "b", "a"]
    groups = ["s1", "s2", "s2", "s2", "s3"]

    majority = MajorityClass().fit(None, y, groups)

    assert majority.predict_proba(np.zeros((2, 1))) == pytest.approx(np.array([[2 / 3, 1 / 3]] * 2))
    assert majority.predict(np.zeros((2, 1))).tolist() == ["a", "a"]


def test_connectome_is_the_fisher_z_of_numpys_correlations():
    bold = np.random.default_rng(0).normal(size=(50, 6))
    r = np.corrcoef(bold, rowvar=False)

    assert connectome(bold) == pytest.approx(np.arctanh(r[np.triu_indices(6, k=1)]))


def test_connectome_does_not_change_with_the_scale_of_a_region():
    rng = np.random.default_rng(0)
    bold = rng.normal(size=(50, 6))

    scaled = bold * rng.uniform(1, 9, size=6) + rng.normal(size=6)

    assert connectome(scaled) == pytest.approx(connectome(bold))


def test_a_constant_region_keeps_its_columns():
    bold = np.random.default_rng(0).normal(size=(50, 4))
    whole = connectome(bold)
    constant = bold.copy()
    constant[:, 2] = 3.0
    with_region_2 = np.isin(np.triu_indices(4, k=1), 2).any(axis=0)

    found = connectome(constant)
    assert np.isnan(found).tolist() == with_region_2.tolist()
    assert found[~with_region_2] == pytest.approx(whole[~with_region_2])


def test_two_equal_series_give_a_finite_connectome():
    series = np.random.default_rng(0).normal(size=(30, 1))

    assert np.isfinite(connectome(np.hstack([series, series, -series]))).all()


def test_the_regression_learns_planted_differences():
    rng = np.random.default_rng(1)
    X, y = planted(60, rng)
    X_new, y_new = planted(200, rng)

    model = LinearClassifier().fit(X, y, np.arange(60))

    assert np.mean(model.predict(X_new) == y_new) > 0.85


def test_the_regression_is_at_chance_on_permuted_labels():
    rng = np.random.default_rng(2)
    hits = []
    for _ in range(20):
        X, y = planted(30, rng)
        X_new, y_new = planted(100, rng)
        model = LinearClassifier().fit(X, rng.permutation(y), np.arange(30) // 8)
        hits.append(np.mean(model.predict(X_new) == y_new))

    # Standard error over 20 draws of a training set is about 0.03.
    assert np.mean(hits) == pytest.approx(0.5, abs=0.1)


def test_a_masked_region_of_a_held_out_scan_is_filled_from_training_alone():
    rng = np.random.default_rng(3)
    X, y = planted(20, rng)
    model = LinearClassifier().fit(X, y, np.arange(20))
    new = X[:1].copy()
    filled = new.copy()
    new[0, 5], filled[0, 5] = np.nan, X[:, 5].mean()

    assert model.predict_proba(new) == pytest.approx(model.predict_proba(filled))


def test_an_edge_that_no_training_scan_has_changes_nothing():
    rng = np.random.default_rng(4)
    X, y = planted(20, rng)
    X[:, 7] = np.nan
    model = LinearClassifier().fit(X, y, np.arange(20))
    new = X[:2].copy()
    new[:, 7] = [5.0, -5.0]

    without = LinearClassifier().fit(np.delete(X, 7, axis=1), y, np.arange(20))

    assert np.isfinite(model.predict_proba(X)).all()
    expected = without.predict_proba(np.delete(X, 7, axis=1))
    assert model.predict_proba(X) == pytest.approx(expected, abs=1e-4)


def test_the_penalty_is_chosen_only_where_every_class_has_three_subjects():
    X, y = planted(12, np.random.default_rng(5))

    two_of_each_class = np.arange(12) % 4

    enough = LinearClassifier(regularisation=0.123).fit(X, y, np.arange(12))
    too_few = LinearClassifier(regularisation=0.123).fit(X, y, two_of_each_class)

    assert enough.regularisation_ != 0.123
    assert too_few.regularisation_ == 0.123


def test_a_training_set_of_one_class_always_answers_that_class():
    X = np.random.default_rng(6).normal(size=(3, 4))
    model = LinearClassifier().fit(X, ["only"] * 3, [1, 2, 3])

    assert model.predict(X).tolist() == ["only"] * 3


def test_an_answer_never_seen_in_training_gets_no_probability():
    found = align_classes(np.array([[0.3, 0.7]]), ["above", "below"], ["below", "within", "above"])

    assert found.tolist() == [[0.7, 0.0, 0.3]]


def test_the_unit_of_an_edge_changes_no_answer():
    X, y = planted(40, np.random.default_rng(7))
    units = np.where(np.arange(X.shape[1]) % 2, 1000.0, 0.01)

    plain = LinearClassifier().fit(X, y, np.arange(40))
    scaled = LinearClassifier().fit(X * units, y, np.arange(40))

    assert scaled.predict_proba(X * units) == pytest.approx(plain.predict_proba(X), abs=1e-4)


def test_the_penalty_is_chosen_on_subjects_that_the_fit_has_not_seen():
    # Four scans of a person are nearly one: with scans of the same people on both sides, the
    # penalty that remembers people best looks best.
    rng = np.random.default_rng(3)
    people = np.repeat(np.arange(20), 4)
    y = np.array(["no", "yes"])[np.arange(20) % 2][people]
    X = rng.normal(size=(20, 40))[people] + 0.3 * rng.normal(size=(80, 40))
    X[y == "yes", :3] += 0.5

    def best(folds, groups):
        scores = [
            cross_val_score(
                make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000)),
                X,
                y,
                cv=folds(n_splits=3, shuffle=True, random_state=0),
                groups=groups,
                scoring="neg_log_loss",
            ).mean()
            for C in PENALTIES
        ]
        return PENALTIES[int(np.argmax(scores))]

    chosen = LinearClassifier(seed=0).fit(X, y, people).regularisation_

    assert chosen == best(StratifiedGroupKFold, people)
    assert chosen != best(StratifiedKFold, None)
