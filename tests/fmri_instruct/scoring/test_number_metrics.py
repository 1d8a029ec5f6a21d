import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from fmri_instruct.scoring.number_metrics import (
    expected_value,
    mean_absolute_error,
    pearson,
    spearman,
)

PAIRS = st.lists(
    st.tuples(st.integers(-9, 9), st.floats(-1e3, 1e3, width=32)), min_size=3, max_size=40
)


@given(PAIRS)
def test_scores_of_numbers_are_those_of_scikit_learn_and_scipy_ties_included(pairs):
    truth, predicted = np.array(pairs, dtype=float).T
    assert mean_absolute_error(truth, predicted) == pytest.approx(
        metrics.mean_absolute_error(truth, predicted)
    )
    if np.ptp(truth) > 0 and np.ptp(predicted) > 1e-3:
        assert pearson(truth, predicted) == pytest.approx(
            stats.pearsonr(truth, predicted).statistic, abs=1e-6
        )
        assert spearman(truth, predicted) == pytest.approx(
            stats.spearmanr(truth, predicted).statistic, abs=1e-9
        )


def test_a_constant_prediction_has_an_error_and_no_correlation():
    assert mean_absolute_error([1, 3], [2, 2]) == 1
    assert pearson([1, 3], [2, 2]) is None
    assert spearman([1, 3], [2, 2]) is None


def test_the_expected_value_goes_by_answer_and_not_by_the_order_of_the_prompt():
    means = [30.0, 50.0, 80.0]
    answers = ["young", "middle", "old"]
    probabilities = {"old": 0.5, "young": 0.3, "middle": 0.2}
    assert expected_value(probabilities, answers, means) == pytest.approx(0.3 * 30 + 10 + 40)


def test_a_sure_answer_stands_for_the_mean_of_its_bin():
    assert expected_value({"a": 0.0, "b": 1.0}, ["a", "b"], [3.0, 7.0]) == 7.0
