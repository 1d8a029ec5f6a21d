import numpy as np
import pytest

from fmri_instruct.scoring.answer_table import AnswerTable
from fmri_instruct.scoring.comparisons import compare_all
from fmri_instruct.scoring.intervals import SubjectBootstrap
from fmri_instruct.scoring.scores import Method, ScanAnswer, score_task
from fmri_instruct.settings import EvaluateSettings

CANDIDATES = ("younger", "older")


def answers(certainty, truth, *, order=None, scans_each=1):
    """One answer a scan: `certainty` is the probability given to the true answer."""
    rows = [
        ScanAnswer(
            scan_id=f"s{i:03d}",
            subject=f"p{i // scans_each:03d}",
            task="t",
            paradigm="single",
            truth=CANDIDATES[true],
            answer=CANDIDATES[true if p > 0.5 else 1 - true],
            probabilities={CANDIDATES[true]: float(p), CANDIDATES[1 - true]: float(1 - p)},
        )
        for i, (p, true) in enumerate(zip(certainty, truth, strict=True))
    ]
    return [rows[i] for i in order] if order is not None else rows


def compared(ours, theirs, resamples=400):
    tables = [AnswerTable.of(rows, CANDIDATES) for rows in (ours, theirs)]
    bootstrap = SubjectBootstrap(tables[0].subjects, resamples=resamples, level=0.95, seed=0)
    found = compare_all({"ours": tables[0]}, {"theirs": tables[1]}, bootstrap, 0)
    return {comparison.metric: comparison for comparison in found}


def noisy(rng, n, strength):
    truth = np.arange(n) % 2
    return 1 / (1 + np.exp(-(strength + rng.normal(size=n)))), truth


def test_a_clear_difference_is_called_one_and_the_same_method_never():
    rng = np.random.default_rng(0)
    good, truth = noisy(rng, 60, 2.0)
    poor, _ = noisy(rng, 60, 0.0)

    found = compared(answers(good, truth), answers(poor, truth))
    itself = compared(answers(good, truth), answers(good, truth))

    assert {comparison.verdict for comparison in found.values()} == {"higher"}
    assert found["accuracy"].difference.value == pytest.approx(
        np.mean(good > 0.5) - np.mean(poor > 0.5)
    )
    for comparison in itself.values():
        assert comparison.verdict == "undecided"
        assert (comparison.difference.low, comparison.difference.high) == (0, 0)
        assert comparison.p == 1


def test_methods_are_compared_on_the_same_resamples_in_whatever_order_they_answered():
    rng = np.random.default_rng(1)
    good, truth = noisy(rng, 40, 1.0)
    poor, _ = noisy(rng, 40, 0.5)
    ours, theirs = answers(good, truth), answers(poor, truth)

    found = compared(ours, theirs)["accuracy"]
    shuffled = compared(ours, answers(poor, truth, order=rng.permutation(40)))["accuracy"]

    assert shuffled == found
    # Paired: right or wrong together, most differences of the resamples are those of few people.
    spread = np.std((good > 0.5).astype(float) - (poor > 0.5)) / np.sqrt(40)
    assert found.difference.high - found.difference.low == pytest.approx(2 * 1.96 * spread, rel=0.2)


def test_four_subjects_are_too_few_for_a_decision():
    truth = np.array([0, 1, 0, 1])

    found = compared(answers([0.9] * 4, truth), answers([0.1] * 4, truth))

    # All four exchanged give as large a difference as none: two of sixteen.
    assert found["accuracy"].p == pytest.approx(2 / 16)
    assert {comparison.verdict for comparison in found.values()} == {"undecided"}


@pytest.fixture
def task(tasks):
    return tasks[0]


def scored(task, certainty, truth, **kwargs):
    methods = [
        Method(name="model", answers=answers(certainty, truth, **kwargs)),
        Method(name="constant", answers=answers(1 - truth, truth, **kwargs), baseline=True),
    ]
    found = score_task(task, methods, EvaluateSettings(resamples=200), seed=0)
    return {row["method"]: row for row in found["rows"]}, found


def test_few_subjects_have_exact_intervals_and_many_have_resampled_ones(task):
    truth = np.arange(40) % 2
    certainty = np.where(np.arange(40) % 8 < 6, 0.9, 0.2)

    few, _ = scored(task, certainty[:4], truth[:4])
    many, _ = scored(task, certainty, truth)

    assert few["model"]["accuracy"]["kind"] == "clopper-pearson"
    assert few["model"]["accuracy"]["low"] == pytest.approx(0.025 ** (1 / 4))
    assert few["model"]["auc"] == pytest.approx(
        {"value": 1.0, "low": 0.246, "high": 1.0, "kind": "newcombe", "dropped_resamples": 0},
        abs=0.2,
    )
    assert many["model"]["auc"]["kind"] == "bootstrap"


def test_always_giving_one_answer_has_balanced_accuracy_one_half_in_every_resample(task):
    truth = np.arange(40) % 2

    rows, _ = scored(task, np.full(40, 0.8), truth)

    # "constant" always says "younger": over the classes that a resample happens to hold, 0.5 or 1.
    balanced = rows["constant"]["balanced_accuracy"]
    assert (balanced["low"], balanced["value"], balanced["high"]) == (0.5, 0.5, 0.5)


def test_twice_as_many_scans_of_the_same_subjects_leave_the_intervals_as_they_are(task):
    truth = np.arange(12) % 2
    certainty = np.where(np.arange(12) < 8, 0.9, 0.2)

    once, _ = scored(task, certainty, truth)
    twice, _ = scored(task, np.repeat(certainty, 2), np.repeat(truth, 2), scans_each=2)

    for metric in ("accuracy", "balanced_accuracy", "auc"):
        assert twice["model"][metric] == pytest.approx(once["model"][metric])


def test_every_paradigm_is_compared_with_every_baseline(task):
    truth = np.arange(30) % 2

    _, found = scored(task, np.full(30, 0.9), truth)

    assert [(c["method"], c["baseline"], c["metric"]) for c in found["comparisons"]] == [
        ("model", "constant", metric)
        for metric in ("accuracy", "balanced_accuracy", "macro_f1", "auc")
    ]
    assert found["comparisons"][0]["verdict"] == "higher"
