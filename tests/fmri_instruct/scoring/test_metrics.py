import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from fmri_instruct.scoring.answer_table import AnswerTable, ScanAnswer
from fmri_instruct.scoring.intervals import SubjectBootstrap
from fmri_instruct.scoring.metrics import (
    accuracy,
    auc,
    balanced_accuracy,
    expected_calibration_error,
    macro_f1,
    reliability,
    why_no_auc,
)


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
def test_macro_f1_is_that_of_scikit_learn_with_unparsed_answers_too(seed):
    truth, probabilities = random_answers(seed)
    given_answers = np.where(np.arange(40) % 7 == 0, -1, probabilities.argmax(axis=1))

    expected = f1_score(truth, given_answers, labels=[0, 1, 2], average="macro")

    assert macro_f1(truth, given_answers) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_the_calibration_error_is_the_distance_between_scikit_learns_calibration_curve_and_the_line(
    seed,
):
    truth, probabilities = random_answers(seed, n=200)  # many lie on the edge of a bin
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth

    accuracies, confidences = calibration_curve(right, confidence, n_bins=10)
    bins = reliability(confidence, right)

    assert [row.accuracy for row in bins] == pytest.approx(accuracies)
    assert [row.confidence for row in bins] == pytest.approx(confidences)
    shares = np.array([row.n for row in bins]) / 200
    assert shares.sum() == pytest.approx(1)
    expected = shares @ np.abs(accuracies - confidences)
    assert expected_calibration_error(confidence, right) == pytest.approx(expected)


def table(n_subjects, given=None, probability=0.8):
    """Answers about people of two classes by turns; all right, each with one probability."""
    names = ["no", "yes"]
    answers = []
    for k in range(n_subjects):
        answer = names[k % 2] if given is None else given[k]
        odds = {name: probability if name == answer else 1 - probability for name in names}
        answers.append(
            ScanAnswer(
                scan_id=f"s{k:02d}", subject=f"p{k}", task="t", paradigm=None,
                truth=names[k % 2], answer=answer, probabilities=odds,
            )
        )  # fmt: skip
    return AnswerTable.of(answers, names)


def interval(found, metric):
    bootstrap = SubjectBootstrap(found.subjects, resamples=200, level=0.95, seed=0)
    return found.interval(metric, bootstrap)


def test_right_answers_at_probability_08_are_02_from_calibrated():
    found = interval(table(30), "ece")

    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.2, 0.2))


def test_the_exact_interval_of_a_macro_f1_of_few_people_is_that_of_each_classs_overlap():
    # Of class "no" two of three are called so; of "yes" one of three is called "no" too.
    few = table(6, given=["no", "yes", "no", "yes", "yes", "no"])

    found = interval(few, "macro_f1")

    # Each class is true of three and named three times, two of them both: 2 of 4, F1 = 2 * 2 / 6.
    assert found.value == pytest.approx(2 / 3)
    shares = binomtest(2, 4).proportion_ci(0.975, method="exact")  # two classes: Bonferroni
    expected = [2 * share / (1 + share) for share in (shares.low, shares.high)]
    assert [found.low, found.high] == pytest.approx(expected)
    assert found.kind == "clopper-pearson"


def test_a_perfect_macro_f1_of_few_people_has_an_interval_with_a_width():
    found = interval(table(4), "macro_f1")

    assert found.low < found.value == found.high == 1


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
    assert macro_f1(truth, truth, classes=[0, 1, 2]) is None
    assert auc(truth, probabilities, classes=[0, 1, 2]) is None
    assert balanced_accuracy(truth, truth, classes=[0, 2]) == 1.0
    assert auc(truth, probabilities, classes=[0, 2]) == 1.0
