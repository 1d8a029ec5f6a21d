"""Which of two people is higher, by the answers about each."""

import numpy as np
import pytest
from scipy.stats import rankdata

from fmri_instruct.evaluation.pairs import score_pairs
from fmri_instruct.scoring.answer_table import ScanAnswer
from fmri_instruct.scoring.scores import Method
from fmri_instruct.settings import EvaluateSettings
from fmri_llm.evaluation.roc import roc_auc

SETTINGS = EvaluateSettings(pairs=5000, resamples=200)


def answer(place, truth, chance, subject=None, **numbers):
    """An answer of "below" or "above", the latter with some probability."""
    return ScanAnswer(
        scan_id=f"scan-{place:03d}",
        subject=subject or f"sub-{place:03d}",
        task="t",
        paradigm="single",
        truth=truth,
        answer=None,
        probabilities={"below": 1 - chance, "above": chance, "within": 0.0},
        **numbers,
    )


@pytest.fixture
def task(tasks):
    return tasks[1]


def share(task, answers, settings=SETTINGS, seed=0):
    [row] = score_pairs(task, [Method(name="m", answers=answers)], settings, seed).scores["rows"]
    return row["accuracy"]


def test_over_all_pairs_of_two_answers_it_is_the_auc(task):
    rng = np.random.default_rng(0)
    truth = rng.random(40) < 0.5
    chances = np.round(np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0.05, 0.95), 1)  # some equal
    answers = [
        answer(k, "above" if t else "below", c)
        for k, (t, c) in enumerate(zip(truth, chances, strict=True))
    ]
    assert share(task, answers)["value"] == pytest.approx(roc_auc(truth, chances))


def test_numbers_are_ordered_by_themselves(task):
    rng = np.random.default_rng(1)
    true, given = rng.normal(size=(2, 30))
    given = given + true
    continuous = task.model_copy(update={"kind": "continuous"})
    answers = [
        answer(k, "below", 0.5, true_number=float(t), number=float(g))
        for k, (t, g) in enumerate(zip(true, given, strict=True))
    ]
    i, j = np.triu_indices(30, 1)
    expected = np.mean((true[i] > true[j]) == (given[i] > given[j]))
    assert share(continuous, answers)["value"] == pytest.approx(expected)


def test_pairs_are_of_two_people_whose_true_answers_differ(task):
    people = {f"scan-{k:03d}": (f"sub-{k // 2}", ("below", "above")[k % 2]) for k in range(12)}
    answers = [answer(k, truth, 0.5, subject) for k, (subject, truth) in enumerate(people.values())]
    found = score_pairs(task, [Method(name="m", answers=answers)], SETTINGS, seed=3)

    pairs = {frozenset((p["first"], p["second"])) for p in found.predictions}
    assert pairs == {
        frozenset((a, b))
        for a in people
        for b in people
        if people[a][0] != people[b][0] and people[a][1] != people[b][1]
    }
    assert found.scores["n_pairs"] == len(pairs) == 30
    for pair in found.predictions:
        above = pair["first"] if pair["higher"] == "first" else pair["second"]
        assert people[above][1] == "above"
    assert {pair["higher"] for pair in found.predictions} == {"first", "second"}


def test_a_method_without_a_preference_is_half_right(task):
    answers = [answer(k, ("below", "above")[k % 2], 0.7) for k in range(30)]
    assert share(task, answers)["value"] == 0.5


def test_the_interval_of_few_people_counts_pairs_without_a_common_subject(task):
    answers = [answer(k, ("below", "above")[k % 2], k % 2) for k in range(8)]
    found = share(task, answers)
    assert found["value"] == 1.0
    assert found["kind"] == "clopper-pearson"
    assert found["low"] == pytest.approx(0.025 ** (1 / 4))  # four of four right, by hand


def test_the_interval_over_people_covers_the_true_share_about_as_often_as_its_level_says(task):
    settings = EvaluateSettings(pairs=2000, resamples=100, level=0.9)
    inside = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truth = np.arange(40) % 2
        ranks = rankdata(rng.normal(size=40) + truth) / 41
        answers = [
            answer(k, ("below", "above")[t], r)
            for k, (t, r) in enumerate(zip(truth, ranks, strict=True))
        ]
        found = share(task, answers, settings, seed)
        # Normal scores one standard deviation apart: the larger wins with Phi(1 / sqrt(2)).
        inside.append(found["low"] <= 0.7602 <= found["high"])
    assert 0.75 <= np.mean(inside) <= 1


def test_no_pairs_are_scored_where_answers_have_no_order_or_nobody_differs(task, tasks):
    alike = [answer(k, "below", 0.5) for k in range(4)]
    differ = [answer(k, ("below", "above")[k % 2], 0.5) for k in range(4)]
    unordered = task.model_copy(update={"kind": "categorical"})

    assert score_pairs(task, [Method(name="m", answers=alike)], SETTINGS, 0) is None
    assert score_pairs(unordered, [Method(name="m", answers=differ)], SETTINGS, 0) is None


def test_equal_seeds_draw_equal_pairs_and_no_more_than_asked(task):
    answers = [answer(k, ("below", "above")[k % 2], 0.5) for k in range(40)]
    few = EvaluateSettings(pairs=25, resamples=10)
    one, again, other = (
        score_pairs(task, [Method(name="m", answers=answers)], few, seed).predictions
        for seed in (1, 1, 2)
    )
    assert one == again != other
    assert len(one) == 25
