"""The descriptors' evaluation and that of answers cannot share code; their intervals are equal."""

import numpy as np
import pytest

from fmri_descriptors.probing import intervals as of_texts
from fmri_descriptors.probing.scores import bootstrap
from fmri_instruct.evaluation import intervals as of_answers
from fmri_instruct.evaluation.intervals import SubjectBootstrap


@pytest.mark.parametrize("seed", range(4))
def test_both_evaluations_have_the_same_bootstrap_intervals(seed):
    chance = np.random.default_rng(seed)
    subjects = np.array([f"p{i}" for i in chance.integers(25, size=60)], dtype=object)
    score = chance.random(60)
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


def test_both_call_as_many_subjects_few():
    assert of_texts.FEW_SUBJECTS == of_answers.FEW_SUBJECTS
