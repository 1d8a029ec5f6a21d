import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, permutation_test

from fmri_instruct.scoring.intervals import (
    SubjectBootstrap,
    clopper_pearson,
    exchange_test,
    newcombe_auc,
)
from fmri_instruct.scoring.metrics import auc
from fmri_llm.evaluation.roc import roc_auc


def bootstrap(subjects, resamples=200, level=0.95, seed=0):
    return SubjectBootstrap(subjects, resamples=resamples, level=level, seed=seed)


@given(
    scans=st.lists(st.sampled_from("abcdef"), min_size=2, max_size=20), seed=st.integers(0, 2**32)
)
def test_a_resample_holds_all_scans_of_a_subject_equally_often(scans, seed):
    resamples = []

    def record(rows):
        resamples.append(rows)
        return 0.0

    bootstrap(scans, resamples=5, seed=seed).interval(record, scans)

    for rows in resamples:
        times = np.bincount(rows, minlength=len(scans))
        for subject in set(scans):
            assert len({times[i] for i, owner in enumerate(scans) if owner == subject}) == 1


def test_resamples_without_a_class_are_dropped_and_counted():
    truth = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [0.2, 0.8]])
    subjects = ["a", "b", "c", "d"]

    interval = bootstrap(subjects, resamples=4000, seed=1).interval(
        lambda rows: auc(truth[rows], probabilities[rows], [0, 1]), subjects
    )

    # Four draws from two and two: all of one class with probability 2 * (1/2)^4 = 1/8.
    assert interval.dropped / 4000 == pytest.approx(1 / 8, abs=0.02)
    assert interval.value == pytest.approx(3 / 4)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_an_undefined_score_has_no_interval():
    assert bootstrap(["a"]).interval(lambda _: None, ["a"]) is None


def test_a_score_that_is_undefined_in_every_resample_has_the_widest_interval():
    interval = bootstrap(["a", "b"]).interval(
        lambda rows: 0.5 if rows.tolist() == [1, 0] else None, ["b", "a"]
    )

    assert interval is None
    interval = bootstrap(["a"]).interval(
        lambda rows, calls=[]: calls.append(1) or (0.5 if len(calls) == 1 else None), ["a"]
    )
    assert (interval.low, interval.high) == (0.0, 1.0)


def test_the_interval_covers_the_true_accuracy_about_as_often_as_its_level_says():
    # Two scans per subject that are right or wrong together: resampling scans as if they were
    # independent would give intervals that are too narrow by the square root of 2.
    rng = np.random.default_rng(7)
    subjects = np.repeat(np.arange(40), 2).tolist()
    covered = []
    for repeat in range(200):
        right = np.repeat(rng.random(40) < 0.7, 2).astype(float)
        interval = bootstrap(subjects, level=0.9, seed=repeat).interval(
            lambda rows, right=right: float(right[rows].mean()), subjects
        )
        covered.append(interval.low <= 0.7 <= interval.high)

    # Standard error of the coverage: sqrt(0.9 * 0.1 / 200) = 0.021.
    assert np.mean(covered) == pytest.approx(0.9, abs=0.065)


def test_the_same_seed_gives_the_same_interval_whatever_the_order_of_the_rows():
    score = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    subjects = ["a", "b", "c", "d", "e"]
    order = [3, 1, 4, 0, 2]

    def interval(values, owners):
        return bootstrap(owners, seed=3).interval(lambda r: float(values[r].mean()), owners)

    assert interval(score, subjects) == interval(score[order], [subjects[i] for i in order])


@pytest.mark.parametrize(("hits", "total"), [(0, 4), (4, 4), (1, 7), (9, 19)])
def test_the_exact_interval_is_that_of_scipys_binomial_test(hits, total):
    expected = binomtest(hits, total).proportion_ci(0.9, method="exact")

    assert clopper_pearson(hits, total, 0.9) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("value", "n", "m"), [(1.0, 2, 2), (0.0, 3, 5), (0.8, 6, 4), (0.5, 9, 9)])
def test_the_area_leaves_its_score_interval_just_at_the_bounds(value, n, m):
    def distance(theta):  # in standard errors of Hanley and McNeil at the bound itself
        size = (n + m) / 2 - 1
        spread = 1 + size * (1 - theta) / (2 - theta) + size * theta / (1 + theta)
        return abs(value - theta) / np.sqrt(theta * (1 - theta) * spread / (n * m))

    low, high = newcombe_auc(value, n, m, 0.95)

    assert low <= value <= high
    for bound in {low, high} - {0.0, 1.0}:
        assert distance(bound) == pytest.approx(1.96, abs=1e-3)
    assert high - low > 0.25


def test_the_score_interval_of_an_area_covers_the_true_one_for_six_against_six():
    rng = np.random.default_rng(0)
    positive = np.arange(12) < 6
    covered = []
    for _ in range(400):
        values = rng.normal(size=12) + 1.0 * positive
        low, high = newcombe_auc(roc_auc(positive, values), 6, 6, 0.9)
        covered.append(low <= 0.7602 <= high)  # Phi(1 / sqrt 2)

    # Conservative is allowed; standard error 0.015.
    assert np.mean(covered) > 0.87


def test_the_exchange_test_is_scipys_paired_permutation_test():
    rng = np.random.default_rng(1)
    ours, theirs = rng.random(8) < 0.9, rng.random(8) < 0.4

    def difference(mask):
        return float(np.mean(np.where(mask, theirs, ours)) - np.mean(np.where(mask, ours, theirs)))

    expected = permutation_test(
        (ours.astype(float), theirs.astype(float)),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
    )

    assert exchange_test(difference, 8, draws=1000, seed=0) == pytest.approx(expected.pvalue)
    assert exchange_test(difference, 8, draws=200, seed=0) == pytest.approx(
        expected.pvalue, abs=0.1
    )
