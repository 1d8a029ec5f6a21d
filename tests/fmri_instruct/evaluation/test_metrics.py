import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from fmri_instruct.evaluation.metrics import accuracy, auc, balanced_accuracy, why_no_auc


def random_answers(seed, n=40, k=3):
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(k), rng.integers(k, size=n - k)])
    probabilities = rng.dirichlet(np.ones(k), size=n).round(1)  # rounding makes ties
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


def test_a_score_over_fixed_classes_is_undefined_where_one_is_absent():
    truth = np.array([0, 0, 2])
    probabilities = np.eye(3)[truth]

    # Over the two classes that are left, a constant answer would get 0.5 of three.
    assert balanced_accuracy(truth, truth, classes=[0, 1, 2]) is None
    assert auc(truth, probabilities, classes=[0, 1, 2]) is None
    assert balanced_accuracy(truth, truth, classes=[0, 2]) == 1.0
    assert auc(truth, probabilities, classes=[0, 2]) == 1.0
