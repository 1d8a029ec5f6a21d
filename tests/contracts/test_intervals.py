"""The descriptors' evaluation and that of answers cannot share code; their intervals are equal."""

import numpy as np
import pytest

from fmri_descriptors.probing import intervals as of_texts
from fmri_descriptors.probing.scores import bootstrap, class_bounds
from fmri_instruct.scoring import intervals as of_answers
from fmri_instruct.scoring.answer_table import METRICS, AnswerTable
from fmri_instruct.scoring.intervals import SubjectBootstrap


@pytest.mark.parametrize("seed", range(4))
def test_both_evaluations_have_the_same_bootstrap_intervals(seed):
    rng = np.random.default_rng(seed)
    subjects = np.array([f"p{i}" for i in rng.integers(25, size=60)], dtype=object)
    score = rng.random(60)
    score[:2] = 0.01  # the score is undefined in resamples without these two people
    settings = {"resamples": 100, "level": 0.9, "seed": seed}

    def median_where_defined(rows):
        return float(np.median(score[rows])) if score[rows].min() < 0.02 else np.nan

    theirs = bootstrap({"score": median_where_defined}, subjects, **settings)["score"]
    ours = SubjectBootstrap(subjects.tolist(), **settings).interval(
        lambda rows: None if np.isnan(value := median_where_defined(rows)) else value,
        subjects.tolist(),
    )

    assert (ours.value, ours.low, ours.high) == (theirs.value, theirs.low, theirs.high)


@pytest.mark.parametrize(("hits", "total"), [(0, 3), (2, 3), (2.5, 7), (19, 19)])
def test_both_have_the_same_exact_interval_of_a_proportion(hits, total):
    theirs, ours = (side.clopper_pearson(hits, total, 0.9) for side in (of_texts, of_answers))
    assert theirs == ours


@pytest.mark.parametrize("area", [0.0, 0.3, 0.5, 0.97, 1.0])
def test_both_have_the_same_interval_of_an_area(area):
    theirs, ours = (side.newcombe_auc(area, 4, 9, 0.95) for side in (of_texts, of_answers))
    assert theirs == ours


@pytest.mark.parametrize("n_classes", [2, 3])
def test_both_have_the_same_intervals_of_every_score_where_subjects_are_few(n_classes):
    rng = np.random.default_rng(n_classes)
    truth = np.concatenate([np.arange(n_classes), rng.integers(n_classes, size=24 - n_classes)])
    probabilities = rng.dirichlet(np.ones(n_classes), size=24)
    subjects = np.array([f"p{i % 12}" for i in range(24)], dtype=object)
    names = tuple(map(str, range(24)))
    given = probabilities.argmax(axis=1)
    table = AnswerTable(names, tuple(subjects), truth, given, probabilities)
    resamples = SubjectBootstrap(subjects.tolist(), resamples=5, level=0.9, seed=0)

    ours = {metric: table.interval(metric, resamples) for metric in METRICS}

    theirs = class_bounds(truth, probabilities, subjects, ours["auc"].value)
    for metric, (kind, bounds) in theirs.items():
        low, high = bounds(0.9)
        assert ours[metric].kind == kind
        assert ours[metric].low == pytest.approx(min(low, ours[metric].value))
        assert ours[metric].high == pytest.approx(max(high, ours[metric].value))


def test_both_call_as_many_subjects_few():
    assert of_texts.FEW_SUBJECTS == of_answers.FEW_SUBJECTS
