import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from fmri_instruct.metrics import (
    accuracy,
    auc,
    balanced_accuracy,
    bootstrap_interval,
    why_no_auc,
)


def random_answers(seed, n=40, k=3):
    chance = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(k), chance.integers(k, size=n - k)])
    probabilities = chance.dirichlet(np.ones(k), size=n).round(1)  # rounding makes ties
    return truth, probabilities / probabilities.sum(axis=1, keepdims=True)


def test_an_unparsed_answer_is_a_wrong_answer():
    assert accuracy([0, 1, 1, 0], [0, 1, -1, 1]) == 0.5
    assert balanced_accuracy([0, 1, 1, 1], [0, 1, -1, -1]) == pytest.approx((1 + 1 / 3) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_balanced_accuracy_is_that_of_scikit_learn(seed):
    truth, probabilities = random_answers(seed)
    given_answers = probabilities.argmax(axis=1)

    expected = balanced_accuracy_score(truth, given_answers)

    assert balanced_accuracy(truth, given_answers) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_binary_auc_is_that_of_scikit_learn(seed):
    truth, probabilities = random_answers(seed, k=2)

    assert auc(truth, probabilities) == pytest.approx(roc_auc_score(truth, probabilities[:, 1]))


@pytest.mark.parametrize("seed", range(5))
def test_auc_of_several_classes_is_scikit_learns_macro_one_against_the_rest(seed):
    truth, probabilities = random_answers(seed)

    expected = roc_auc_score(truth, probabilities, multi_class="ovr", average="macro")

    assert auc(truth, probabilities) == pytest.approx(expected)


def test_auc_of_three_answers_with_one_absent_is_the_mean_over_the_two_present():
    truth = np.array([0, 0, 2, 2])
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.3, 0.2, 0.5], [0.2, 0.6, 0.2]])

    # Against the rest, by counting pairs: 0.5 beats both and 0.1 neither (2 of 4); 0.5 beats both,
    # 0.2 ties with one and beats one (3.5 of 4).
    assert auc(truth, probabilities) == pytest.approx((2 / 4 + 3.5 / 4) / 2)


def test_auc_uses_the_probabilities_and_not_the_answers_they_lead_to():
    truth = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])

    assert accuracy(truth, probabilities.argmax(axis=1)) == 0.5
    assert auc(truth, probabilities) == 1.0


def test_auc_of_a_single_class_is_undefined_and_says_why():
    assert auc([1, 1], [[0.5, 0.5], [0.1, 0.9]]) is None
    assert why_no_auc([1, 1], ["younger", "older"]) == "every held-out scan is 'older'"
    assert why_no_auc([0, 1], ["younger", "older"]) is None


@given(
    scans=st.lists(st.sampled_from("abcdef"), min_size=2, max_size=20), seed=st.integers(0, 2**32)
)
def test_a_resample_holds_all_scans_of_a_subject_equally_often(scans, seed):
    resamples = []

    def record(rows):
        resamples.append(rows)
        return 0.0

    bootstrap_interval(record, scans, resamples=5, level=0.9, seed=seed)

    for rows in resamples:
        times = np.bincount(rows, minlength=len(scans))
        for subject in set(scans):
            assert len({times[i] for i, owner in enumerate(scans) if owner == subject}) == 1


def test_resamples_without_a_class_are_dropped_and_counted():
    truth = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [0.2, 0.8]])

    interval = bootstrap_interval(
        lambda rows: auc(truth[rows], probabilities[rows]),
        ["a", "b", "c", "d"],
        resamples=4000,
        level=0.95,
        seed=1,
    )

    # Four draws from two and two: all of one class with probability 2 * (1/2)^4 = 1/8.
    assert interval.dropped / 4000 == pytest.approx(1 / 8, abs=0.02)
    assert interval.value == pytest.approx(3 / 4)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_an_undefined_score_has_no_interval():
    assert bootstrap_interval(lambda _: None, ["a"], resamples=3, level=0.9, seed=0) is None


def test_the_interval_covers_the_true_accuracy_about_as_often_as_its_level_says():
    # Two scans per subject that are right or wrong together: resampling scans as if they were
    # independent would give intervals that are too narrow by the square root of 2.
    chance = np.random.default_rng(7)
    subjects = np.repeat(np.arange(40), 2)
    covered = []
    for repeat in range(200):
        right = np.repeat(chance.random(40) < 0.7, 2).astype(float)
        interval = bootstrap_interval(
            lambda rows, right=right: float(right[rows].mean()),
            subjects.tolist(),
            resamples=200,
            level=0.9,
            seed=repeat,
        )
        covered.append(interval.low <= 0.7 <= interval.high)

    # Standard error of the coverage: sqrt(0.9 * 0.1 / 200) = 0.021.
    assert np.mean(covered) == pytest.approx(0.9, abs=0.065)


def test_the_same_seed_gives_the_same_interval_whatever_the_order_of_the_rows():
    score = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    subjects = ["a", "b", "c", "d", "e"]
    order = [3, 1, 4, 0, 2]

    def interval(values, owners):
        return bootstrap_interval(
            lambda rows: float(values[rows].mean()), owners, resamples=50, level=0.9, seed=3
        )

    assert interval(score, subjects) == interval(score[order], [subjects[i] for i in order])
