"""Predicting a phenotype: simulated cohorts, whose best score is known, are the oracle."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from fmri_descriptors import (
    CohortNorms,
    FeatureExtractor,
    FeatureSettings,
    InputError,
    Parcellation,
    caption,
    describe,
)
from fmri_descriptors.features.connectivity import correlation, fisher_z
from fmri_descriptors.probing import EvaluateDescriptorsSettings, Tables, evaluate_tables
from fmri_descriptors.simulate import Effect, Site, best_possible, simulate_cohort

QUICK = EvaluateDescriptorsSettings(
    repeats=1,
    bootstrap_resamples=200,
    text_strengths=(10.0,),
    table_strengths=(0.01,),
    keep_best=(5,),
)
LARGE = (
    Effect(kind="amplitude", networks=("Gamma",), phenotype="diagnosis", size=3.0),
    Effect(kind="slowness", phenotype="sex", size=3.0),
    Effect(kind="integration", phenotype="age", size=0.9),
)
SITES = (
    Site(name="north", tr=2.0, n_frames=1200, noise=0.0),
    Site(name="south", tr=1.5, n_frames=1600, noise=0.0),
)


def small_regions():
    networks = [name for name in ("Alpha", "Beta", "Gamma", "Delta") for _ in range(6)]
    return Parcellation("small", [f"r{i}" for i in range(24)], networks, ["B"] * 24)


def upper(scan):
    return fisher_z(correlation(scan)[np.triu_indices(24, k=1)])


@pytest.fixture(scope="module")
def measured():
    """Features, captions and connectomes of 160 scans with large effects on diagnosis and age."""
    cohort = simulate_cohort(160, small_regions(), seed=3, effects=LARGE, sites=SITES)
    settings = FeatureSettings(louvain_runs=1, ica_components=5, gradient_components=4)
    extractor = FeatureExtractor(settings).fit(cohort[:60])
    features = extractor.transform(cohort)
    norms = CohortNorms().fit(features[:60])
    captions = tuple(
        caption([d for d in describe(scan, extractor, norms) if d.domain == "ICA"])
        for scan in cohort
    )
    return cohort.phenotypes(), features.to_numpy(), captions, np.stack([upper(s) for s in cohort])


@pytest.fixture(scope="module")
def tables(measured):
    phenotypes, features, captions, connectomes = measured

    def make(target, kind="category", values=None):
        scans = phenotypes[["subject", "site"]].assign(
            target=phenotypes[target] if values is None else values
        )
        return Tables(scans, kind, captions, features, connectomes.astype(np.float32), 0)

    return make


@pytest.fixture(scope="module")
def diagnosis(tables):
    settings = EvaluateDescriptorsSettings(repeats=1, bootstrap_resamples=200)
    return evaluate_tables(tables("diagnosis"), "diagnosis", settings, seed=1)


def contains(interval, value):
    return interval.low <= value <= interval.high


def test_a_large_effect_is_predicted_from_the_features_nearly_as_well_as_possible(diagnosis):
    best = best_possible(LARGE, "diagnosis").scores["auc"]
    found = diagnosis.score("features", "auc")
    assert best - 0.05 < found.value < best + 0.02


def test_a_large_effect_is_in_the_texts(tables):
    evaluation = evaluate_tables(tables("sex"), "sex", QUICK, seed=1)
    assert evaluation.score("captions", "auc").low > 0.7


def test_an_effect_on_amplitude_is_not_in_the_connectome(diagnosis):
    assert contains(diagnosis.score("connectome", "auc"), 0.5)


def test_the_majority_has_an_auc_of_one_half_exactly(diagnosis):
    found = diagnosis.score("majority", "auc")
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_without_an_effect_the_auc_is_one_half(tables):
    """Six phenotypes that have nothing to do with the scans.

    One AUC of 160 scans in five folds has a standard deviation of 0.065 (measured on 25 shuffles),
    so the mean of six has 0.027; the bound is three of them.
    """
    found = {name: [] for name in ("captions", "features", "connectome")}
    for seed in range(6):
        other = simulate_cohort(160, small_regions(), seed=100 + seed).phenotypes()
        evaluation = evaluate_tables(tables("sex", values=other["sex"].to_numpy()), "sex", QUICK)
        for method, values in found.items():
            values.append(evaluation.score(method, "auc").value)
    for values in found.values():
        assert abs(np.mean(values) - 0.5) < 0.08


def test_with_shuffled_labels_the_auc_is_one_half(tables, measured):
    """The bound is as above: three standard deviations of the mean of six."""
    labels = measured[0]["diagnosis"].to_numpy()
    found = {name: [] for name in ("captions", "features", "connectome")}
    for seed in range(6):
        table = tables("diagnosis", values=np.random.default_rng(seed).permutation(labels))
        evaluation = evaluate_tables(table, "diagnosis", QUICK, seed=seed)
        for method, values in found.items():
            values.append(evaluation.score(method, "auc").value)
    for values in found.values():
        assert abs(np.mean(values) - 0.5) < 0.08


def test_age_is_predicted_no_better_than_possible_and_better_than_the_mean(tables):
    evaluation = evaluate_tables(tables("age", "number"), "age", QUICK, seed=1)
    best = best_possible(LARGE, "age").scores["r2"]
    found = evaluation.score("features", "r2")
    assert 0.3 < found.value < best
    assert evaluation.score("features", "mae").value < evaluation.score("mean", "mae").value
    assert evaluation.score("mean", "r2").value == 0


def test_a_number_that_is_a_feature_is_predicted_almost_exactly(tables, measured):
    column = measured[1][:, 3]
    weak = dataclasses.replace(QUICK, table_strengths=(100.0,))
    evaluation = evaluate_tables(tables("age", "number", column), "column", weak, seed=1)
    assert evaluation.score("features", "r2").value > 0.9


def with_features(tables, features):
    return dataclasses.replace(tables, features=features)


def fold_mates(evaluation, row):
    mates = evaluation.folds.number == evaluation.folds.number[row]
    mates[row] = False
    return mates


def test_what_a_held_out_subject_looks_like_changes_no_prediction_of_the_others(tables):
    """Were anything fitted outside the folds, one wild scan would reach its fold's other scans."""
    before = tables("diagnosis")
    wild = before.features.copy()
    wild[7] *= 1e6
    after = with_features(before, wild)
    first, second = (evaluate_tables(t, "diagnosis", QUICK, seed=1) for t in (before, after))
    mates = fold_mates(first, 7)
    assert (first.predictions["features"][mates] == second.predictions["features"][mates]).all()


def test_the_leak_test_would_see_a_scaler_that_is_fitted_on_all_scans(tables):
    def scaled(features):
        return (features - features.mean(axis=0)) / features.std(axis=0)

    before = tables("diagnosis")
    wild = before.features.copy()
    wild[7] *= 1e6
    first, second = (
        evaluate_tables(with_features(before, scaled(f)), "diagnosis", QUICK, seed=1)
        for f in (before.features, wild)
    )
    mates = fold_mates(first, 7)
    assert (first.predictions["features"][mates] != second.predictions["features"][mates]).any()


def test_what_a_held_out_text_says_changes_no_prediction_of_the_others(tables):
    before = tables("diagnosis")
    words = list(before.captions)
    words[7] = "entirely new words that no other text has " * 20
    after = dataclasses.replace(before, captions=tuple(words))
    first, second = (evaluate_tables(t, "diagnosis", QUICK, seed=1) for t in (before, after))
    mates = fold_mates(first, 7)
    assert (first.predictions["captions"][mates] == second.predictions["captions"][mates]).all()


class Memoriser:
    """A classifier of texts that knows the training texts by heart, and nothing else."""

    def fit(self, texts, y):
        self.classes_ = np.unique(y)
        self.known = dict(zip(texts, y, strict=True))
        return self

    def predict_proba(self, texts):
        given = [self.known.get(text) for text in texts]
        return np.array(
            [[0.5, 0.5] if k is None else (self.classes_ == k).astype(float) for k in given]
        )


def test_a_classifier_that_knows_the_training_subjects_by_heart_gains_nothing(tables):
    """Two scans of each subject have the same text: only folds by subject keep them together."""
    table = tables("diagnosis")
    subjects = np.repeat([f"s{i}" for i in range(80)], 2)
    twins = dataclasses.replace(
        table,
        scans=table.scans.assign(
            subject=subjects, target=np.repeat(table.scans["target"].to_numpy()[::2], 2)
        ),
        captions=tuple(f"I am {subject}" for subject in subjects),
    )
    evaluation = evaluate_tables(twins, "diagnosis", QUICK, encoder=("memory", Memoriser))
    assert evaluation.score("text encoder", "auc").value == 0.5


def test_a_text_encoder_gets_a_fresh_copy_for_each_fold(tables):
    made = []

    def make():
        made.append(Memoriser())
        return made[-1]

    evaluate_tables(tables("diagnosis"), "diagnosis", QUICK, encoder=("memory", make))
    assert len({id(classifier) for classifier in made}) == 5


def test_a_text_encoder_is_refused_for_a_number(tables):
    with pytest.raises(InputError, match="predicts classes, but the target is a number"):
        evaluate_tables(tables("age", "number"), "age", QUICK, encoder=("memory", Memoriser))


def test_three_classes_have_a_probability_each(tables):
    thirds = np.array(["a", "b", "c"])[np.arange(160) % 3]
    evaluation = evaluate_tables(tables("age", values=thirds), "thirds", QUICK)
    assert evaluation.classes == ("a", "b", "c")
    np.testing.assert_allclose(evaluation.predictions["features"].sum(axis=1), 1)


def test_a_missing_feature_is_filled_from_the_training_scans(tables):
    before = tables("diagnosis")
    holes = before.features.copy()
    holes[::7, 0] = np.nan
    holes[:, 1] = np.nan
    evaluation = evaluate_tables(with_features(before, holes), "diagnosis", QUICK)
    assert np.isfinite(evaluation.predictions["features"]).all()


def test_the_same_seed_gives_the_same_evaluation(tables):
    first, second = (
        evaluate_tables(tables("diagnosis"), "diagnosis", QUICK, seed=4) for _ in range(2)
    )
    assert first.to_dict() == second.to_dict()


def test_a_target_of_one_class_is_refused(tables):
    with pytest.raises(InputError, match="every scan is 'x'; two classes are needed"):
        evaluate_tables(tables("age", values=["x"] * 160), "age", QUICK)


def test_a_class_of_a_single_subject_is_refused(tables):
    values = ["rare"] + ["common"] * 159
    with pytest.raises(InputError, match="class 'rare' has 1 subject"):
        evaluate_tables(tables("age", values=values), "age", QUICK)


def test_the_summary_names_every_method_and_its_first_score(diagnosis):
    summary = diagnosis.summary()
    assert summary.startswith("diagnosis, AUC over 160 subjects in 5 folds: captions 0.")
    assert summary.endswith("majority 0.500")


def test_phenotypes_of_a_simulation_are_a_table_of_its_scans(measured):
    assert isinstance(measured[0], pd.DataFrame)
    assert measured[0].index[0] == "sub-00001_ses-1"
