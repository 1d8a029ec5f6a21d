"""What makes methods comparable: grouped choices, one scale, one set of resamples and folds."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from fmri_descriptors.probing import EvaluateDescriptorsSettings, Tables, evaluate_tables
from fmri_descriptors.probing import evaluation as evaluation_module
from fmri_descriptors.probing.intervals import exact_where_few
from fmri_descriptors.probing.report import markdown
from fmri_descriptors.probing.scores import (
    Interval,
    class_statistics,
    clopper_pearson,
    mean_of,
    newcombe_auc,
    number_statistics,
)
from fmri_descriptors.probing.search import grid_search

QUICK = EvaluateDescriptorsSettings(
    folds=3,
    repeats=1,
    bootstrap_resamples=40,
    text_strengths=(1.0,),
    table_strengths=(0.01,),
    keep_best=(0,),
)
WEAK = dataclasses.replace(QUICK, table_strengths=(10.0,))


def tables(n=45, seed=0, effect=1.0):
    """Two classes of people whose first three features differ."""
    rng = np.random.default_rng(seed)
    target = np.array(["a", "b"])[np.arange(n) % 2]
    features = rng.normal(size=(n, 6))
    features[:, :3] += effect * (target == "b")[:, None]
    scans = pd.DataFrame(
        {"subject": [f"s{i:02d}" for i in range(n)], "site": "", "target": target},
        index=[f"scan{i:02d}" for i in range(n)],
    )
    words = tuple(f"scan of kind {'high' if row[0] > 0 else 'low'} today" for row in features)
    connectomes = np.hstack([features, rng.normal(size=(n, 9))]).astype(np.float32)
    return Tables(scans, "category", words, features, connectomes, 0)


def test_the_penalty_is_chosen_on_subjects_that_the_model_has_not_seen():
    """Two equal scans a subject, labels by lot: only by memory can the weak penalty look good."""
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(60, 200)), 2, axis=0)
    labels = np.repeat(rng.permutation(np.repeat(["a", "b"], 30)), 2)
    subjects = np.repeat([f"s{i}" for i in range(60)], 2)
    pipeline = make_pipeline(LogisticRegression(max_iter=2000))
    grid = {"logisticregression__C": [1e-6, 1e3]}
    search = grid_search(pipeline, grid, labels, subjects, n_folds=3, seed=0)
    assert search.fit(features, labels).best_index_ == 0


@pytest.mark.parametrize("method", ["features", "connectome"])
def test_the_unit_of_a_column_changes_no_prediction(method):
    """A penalty treats columns alike only where they are on one scale."""
    before = tables()
    scale = np.array([1e4, 1e-3, 1.0, 1.0, 50.0, 1.0])
    other = np.concatenate([scale, np.ones(9)])
    after = dataclasses.replace(
        before,
        features=before.features * scale + 7,
        connectomes=(before.connectomes * other + 7).astype(np.float32),
    )
    first, second = (evaluate_tables(t, "x", QUICK).predictions[method] for t in (before, after))
    np.testing.assert_allclose(first, second, atol=1e-3)


def test_every_method_is_scored_on_the_same_resamples_and_folds(monkeypatch):
    """A copy of a method under another name gets the very same intervals."""
    ways = evaluation_module.methods

    def twice(*given):
        features = next(way for way in ways(*given) if way.name == "features")
        return [features, dataclasses.replace(features, name="copy")]

    monkeypatch.setattr(evaluation_module, "methods", twice)
    settings = dataclasses.replace(QUICK, repeats=2)
    original, copy = evaluate_tables(tables(), "x", settings).rows
    assert original.scores == copy.scores
    assert original.by_repeat == copy.by_repeat


@pytest.fixture(scope="module")
def repeated():
    return evaluate_tables(tables(), "x", dataclasses.replace(QUICK, repeats=4), seed=5)


def test_scores_are_means_over_the_draws_of_the_folds(repeated):
    row = next(row for row in repeated.rows if row.method == "features")
    assert len(set(row.by_repeat["auc"])) > 1
    assert row.scores["auc"].value == pytest.approx(np.mean(row.by_repeat["auc"]))
    assert row.scores["auc"].low < row.scores["auc"].value < row.scores["auc"].high
    numbers = [repeat.folds.number.tolist() for repeat in repeated.repeats]
    assert len({tuple(number) for number in numbers}) == 4


def test_the_first_draw_is_that_of_a_single_one(repeated):
    single = evaluate_tables(tables(), "x", QUICK, seed=5)
    for row, one in zip(repeated.rows, single.rows, strict=True):
        assert row.by_repeat["auc"][0] == one.scores["auc"].value


def test_the_page_the_summary_and_the_files_tell_the_spread(repeated, tmp_path):
    row = next(row for row in repeated.rows if row.method == "features")
    lowest, highest = min(row.by_repeat["auc"]), max(row.by_repeat["auc"])
    assert f", {lowest:.3f} to {highest:.3f} |" in markdown(repeated.to_dict())
    assert "drawn 4 times (which moves it by up to 0." in repeated.summary()
    repeated.write(tmp_path)
    written = pd.read_csv(tmp_path / "predictions.tsv", sep="\t")
    assert written["repeat"].value_counts().to_dict() == dict.fromkeys(range(1, 5), 45 * 4)


def test_a_resample_without_a_class_leaves_the_auc_of_three_undefined():
    """One class fewer is another question, and the mean over two AUCs another score."""
    chance = np.random.default_rng(0)
    truth, probabilities = np.arange(30) % 3, chance.dirichlet(np.ones(3), size=30)
    auc = class_statistics(truth, probabilities, np.zeros(30, dtype=int))["auc"]
    assert np.isfinite(auc(np.arange(30)))
    assert np.isnan(auc(np.flatnonzero(truth < 2)))


def test_a_resample_of_one_scan_at_the_mean_has_no_r2():
    truth, means = np.array([2.0, 3.0]), np.array([2.0, 2.0])
    r2 = number_statistics(truth, means, means)["r2"]
    assert np.isnan(r2(np.array([0, 0])))


def test_a_mean_of_statistics_is_undefined_where_one_of_them_is():
    undefined = mean_of([lambda _: 0.5, lambda _: float("nan")])
    assert np.isnan(undefined(np.arange(3)))


@pytest.mark.parametrize(("hits", "total"), [(0, 4), (3, 4), (4, 4), (9, 17)])
def test_the_exact_interval_of_a_proportion_is_scipys(hits, total):
    expected = binomtest(hits, total).proportion_ci(0.9, method="exact")
    assert clopper_pearson(hits, total, 0.9) == pytest.approx((expected.low, expected.high))


def test_a_perfect_auc_of_few_subjects_is_no_certainty():
    """Four subjects, two a class: one in six orders is perfect by chance."""
    low, high = newcombe_auc(1.0, 2, 2, 0.95)
    assert high == 1.0
    assert low < 0.5


def test_few_subjects_get_exact_intervals_by_subject_and_many_get_percentiles():
    few = evaluate_tables(tables(n=15, effect=9.0), "x", WEAK)
    found = few.score("features", "accuracy")
    assert (found.value, found.kind) == (1.0, "clopper-pearson")
    assert (found.low, found.high) == pytest.approx(clopper_pearson(15, 15, 0.95))
    assert few.score("features", "auc").kind == "newcombe"
    assert "exact for the few subjects there are" in markdown(few.to_dict())
    many = evaluate_tables(tables(n=45), "x", QUICK)
    assert many.score("features", "accuracy").kind == "bootstrap"


def test_runs_of_one_subject_are_one_trial():
    """Fifteen scans of six subjects, all right: six hits of six, not fifteen of fifteen."""
    before = tables(n=15, effect=9.0)
    subjects = [f"s{i % 6}" for i in range(15)]
    runs = dataclasses.replace(before, scans=before.scans.assign(subject=subjects))
    found = evaluate_tables(runs, "x", WEAK).score("features", "accuracy")
    assert (found.low, found.high) == pytest.approx(clopper_pearson(6, 6, 0.95))


def test_exact_bounds_hold_their_score():
    found = {"auc": Interval(0.4, 0.1, 0.2)}
    exact = {"auc": ("newcombe", lambda _: (0.5, 0.9))}
    assert exact_where_few(found, exact, 5, 0.95)["auc"] == Interval(0.4, 0.4, 0.9, "newcombe")
    assert exact_where_few(found, exact, 20, 0.95) == found
