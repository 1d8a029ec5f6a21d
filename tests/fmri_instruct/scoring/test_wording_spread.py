"""Scores of each wording alone."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from fmri_instruct.evaluation.evaluate import evaluate_reader
from fmri_instruct.prompts.paraphrases import PromptBank
from fmri_instruct.scoring.answer_table import AnswerTable, ScanAnswer
from fmri_instruct.scoring.wording_spread import wording_spread
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks.definitions import read_task

TASK = read_task(
    {
        "name": "age", "title": "age", "kind": "continuous", "answers": ["young", "old"],
        "questions": ["Which age?"], "statements": ["It is {answer}."],
        "label": {
            "phenotype": "age", "bins": {"edges": [50]},
            "fitted": {"edges": [50], "bin_means": [30, 80], "mean": 50, "n_subjects": 9},
        },
    },
    "here",
)  # fmt: skip


def answer(k, truth, *older):
    """An answer whose probability of `old` in each wording is given."""
    return ScanAnswer(
        scan_id=f"s{k}", subject=f"p{k}", task="age", paradigm="single", truth=truth,
        answer="old", probabilities={"young": 0.5, "old": 0.5}, number=55.0,
        true_number={"young": 30.0, "old": 80.0}[truth],
        by_wording=[{"young": 1 - p, "old": p} for p in older],
    )  # fmt: skip


def test_each_wording_is_scored_as_if_it_had_been_asked_alone():
    found = wording_spread(TASK, [answer(0, "young", 0.0, 0.9), answer(1, "old", 1.0, 0.6)])

    assert found["n"] == 2
    assert found["same_answer"] == 0.5
    assert found["scores"]["accuracy"] == [1.0, 0.5]
    # By the second wording 75 years for 30, and 60 for 80.
    assert found["scores"]["mae"] == pytest.approx([0.0, (45 + 20) / 2])


def test_one_wording_has_no_spread():
    assert wording_spread(TASK, [answer(0, "young", 0.4), answer(1, "old", 0.6)]) is None


class FollowsTheWording:
    """A reader that knows nothing of scans, and answers `older` in the second wording only."""

    second = PromptBank.load().held_out()[1].ask("QUESTION", ["no", "yes"]).split("QUESTION")[0]

    def read(self, scan):
        return None

    def log_likelihoods(self, scan, prompt, replies, *, whole):
        lean = 1.0 if prompt[0]["content"].startswith(self.second) else -0.1
        return np.array([lean * (reply == "older") for reply in replies])

    def describe(self, scan, prompt, max_new_tokens):
        return ""


def test_a_model_that_follows_the_wording_is_found_out(tokens_dir, instructions_dir, cohort_dir):
    settings = EvaluateSettings(resamples=2, wordings=2, prior="none", calibrate=False)

    results = evaluate_reader(
        FollowsTheWording(), tokens_dir, instructions_dir, cohort_dir, settings
    )

    row = results.scores["tasks"]["age_group"]["rows"][0]
    assert (row["wordings"]["n"], row["wordings"]["same_answer"]) == (2, 0.0)
    assert results.scores["answers"] == {"wordings": 2, "prior": "none", "calibrate": False}


def test_the_confusion_matrix_is_that_of_scikit_learn_with_a_column_for_unparsed_answers():
    rng = np.random.default_rng(0)
    truth, given = rng.integers(3, size=60), rng.integers(-1, 3, size=60)
    whose = tuple(f"s{k:02d}" for k in range(60))
    table = AnswerTable(whose, whose, truth, given, None)

    expected = confusion_matrix(truth, np.where(given == -1, 3, given), labels=range(4))[:3]

    np.testing.assert_array_equal(table.confusion(3), expected)
