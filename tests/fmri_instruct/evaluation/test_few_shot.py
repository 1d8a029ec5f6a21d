from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fmri_instruct.baselines.scan_features import read_features
from fmri_instruct.evaluation.few_shot import draw_labels, few_shot_scores
from fmri_instruct.prompts.instructions import build_instructions
from fmri_instruct.settings import EvaluateSettings, MakeInstructionsSettings

from ..folders import made_up_rows, write_cohort, write_descriptors

SETTINGS = EvaluateSettings(few_shot=(2, 4, 10), few_shot_draws=6)


@pytest.fixture(scope="module")
def study(tasks, tmp_path_factory):
    """Twenty people to train on and others, two scans each; older ones couple two regions."""
    root = tmp_path_factory.mktemp("few")
    rng = np.random.default_rng(0)
    rows = []
    for row in made_up_rows(40, scans_each=2):
        bold = rng.normal(size=(80, 5))
        if row.phenotypes["age_group"] == "older":
            bold[:, 1] += bold[:, 0]
        rows.append(replace(row, bold=bold))
    write_cohort(rows, root / "cohort")
    write_descriptors(rows, root / "descriptors")
    made = MakeInstructionsSettings(paradigms=("single",), variants=1)
    built = build_instructions(root / "cohort", root / "descriptors", tasks[:1], made, seed=0)
    return built.splits, read_features(root / "cohort")


@pytest.mark.parametrize("per_answer", [2, 4, 10])
def test_exactly_so_many_labels_of_each_answer_are_drawn_each_of_another_subject(per_answer):
    answers = {f"sub{k % 30:02d}-{k}": "abc"[k % 3] for k in range(90)}
    subjects = {scan: scan[:5] for scan in answers}
    for seed in range(5):
        drawn = draw_labels(answers, subjects, per_answer, np.random.default_rng(seed))
        counts = Counter(answers[scan] for scan in drawn)
        assert counts == dict.fromkeys("abc", per_answer)
        assert len({subjects[scan] for scan in drawn}) == len(drawn)


def test_other_draws_are_other_labels_and_the_same_seed_the_same():
    answers = {f"s{k}": "ab"[k % 2] for k in range(40)}
    subjects = {scan: scan for scan in answers}
    first, again, other = (
        draw_labels(answers, subjects, 4, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_an_answer_with_too_few_people_gives_no_draw():
    answers = {"s1": "a", "s2": "a", "s3": "b", "s3-again": "b"}
    subjects = {"s1": "s1", "s2": "s2", "s3": "s3", "s3-again": "s3"}
    assert draw_labels(answers, subjects, 2, np.random.default_rng(0)) is None


def test_the_mean_is_that_of_scikit_learns_regression_on_the_same_draws(study, tasks):
    splits, table = study
    found = few_shot_scores(tasks[0], splits, table, None, SETTINGS, seed=3)
    train = {each.scan_id: each.answer for each in splits["train"]}
    subjects = {each.scan_id: each.subject for each in splits["train"]}
    row = {scan: k for k, scan in enumerate(table.scan_ids)}
    X, test = table.features["connectome"], {e.scan_id: e.answer for e in splits["test"]}
    unseen = X[[row[scan] for scan in test]]
    areas = []
    for k in range(6):
        drawn = draw_labels(train, subjects, 4, np.random.default_rng([3, k]))
        model = make_pipeline(StandardScaler(), LogisticRegression())
        model.fit(X[[row[scan] for scan in drawn]], [train[scan] for scan in drawn])
        truth = np.array(list(test.values())) == model.classes_[1]
        areas.append(roc_auc_score(truth, model.predict_proba(unseen)[:, 1]))
    (ours,) = (
        each
        for each in found
        if each["method"] == "connectome + logistic regression" and each["labels_per_answer"] == 4
    )
    assert ours["draws"] == 6
    assert ours["auc"]["mean"] == pytest.approx(np.mean(areas), abs=1e-6)
    assert ours["auc"]["sd"] == pytest.approx(np.std(areas, ddof=1), abs=1e-6)


def test_more_labels_learn_more_and_every_number_of_labels_is_scored(study, tasks):
    splits, table = study
    found = few_shot_scores(tasks[0], splits, table, None, SETTINGS, seed=0)
    by_method = {}
    for each in found:
        by_method.setdefault(each["method"], []).append(each)
    assert list(by_method) == [
        "connectome + logistic regression",
        "tangent-space connectome + logistic regression",
    ]
    for rows in by_method.values():
        assert [each["labels_per_answer"] for each in rows] == [2, 4, 10]
        assert rows[2]["auc"]["mean"] > rows[0]["auc"]["mean"]


def test_more_labels_than_there_are_people_give_no_score(study, tasks):
    splits, table = study
    settings = replace(SETTINGS, few_shot=(11,))
    for each in few_shot_scores(tasks[0], splits, table, None, settings, seed=0):
        assert (each["draws"], each["auc"]) == (0, None)
