"""Scores pooled over runs that hold out different people."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fmri_instruct.evaluation.folds import evaluate_folds
from fmri_instruct.evaluation.results import Results
from fmri_instruct.evaluation.scored_answers import read_scored_answers
from fmri_instruct.scoring.answer_table import ScanAnswer
from fmri_instruct.scoring.scores import Method, TaskFacts, score_task
from fmri_instruct.settings import EvaluateFoldsSettings
from fmri_vqtok.errors import InputError

SETTINGS = EvaluateFoldsSettings(resamples=40)
SEX = TaskFacts(
    title="sex",
    kind="binary",
    metric="auc",
    unit=None,
    caveat="Few people.",
    candidates=("female", "male"),
)


def answers(people, rng):
    found = []
    for person in people:
        male = bool(person % 2)
        p = float(1 / (1 + np.exp(-(2 * male - 1) - rng.normal(scale=1.5))))
        found.append(
            ScanAnswer(
                scan_id=f"scan-{person:02d}",
                subject=f"sub-{person:02d}",
                task="sex",
                paradigm="single",
                truth=SEX.candidates[male],
                answer=SEX.candidates[p > 0.5],
                probabilities={"female": 1 - p, "male": p},
            )
        )
    return found


def write_fold(folder, people, note="C = 1", task=SEX):
    rng = np.random.default_rng([1, *people])
    methods = [
        Method(name="fMRI-LM, one question", answers=answers(people, rng)),
        Method(name="connectome", answers=answers(people, rng), note=note, baseline=True),
    ]
    scores = {"sex": score_task(task, methods, SETTINGS, 0)}
    document = {"schema": 1, "tasks": scores, "bootstrap": {}}
    folder.mkdir()
    Results(answers=methods[0].answers, scores=document, methods={"sex": methods}).write(folder)
    return folder


@pytest.fixture
def folds(tmp_path):
    parts = (range(12), range(12, 26), range(26, 40))
    return [write_fold(tmp_path / f"fold-{k}", part) for k, part in enumerate(parts)]


def test_the_pooled_scores_are_those_of_all_subjects_together(folds):
    found = evaluate_folds(folds, SETTINGS).scores["tasks"]["sex"]
    methods = [read_scored_answers(folder)["sex"] for folder in folds]
    for k, row in enumerate(found["rows"]):
        every = [answer for fold in methods for answer in fold[k].answers]
        truth = [answer.truth == "male" for answer in every]
        male = [answer.probabilities["male"] for answer in every]
        assert row["method"] == methods[0][k].name
        assert row["auc"]["value"] == pytest.approx(roc_auc_score(truth, male))
    assert (found["n_subjects"], found["caveat"]) == (40, "Few people.")
    (compared,) = (each for each in found["comparisons"] if each["metric"] == "auc")
    assert (compared["baseline"], compared["n_subjects"]) == ("connectome", 40)


def test_the_score_of_each_fold_stands_beside_the_pooled_one(folds):
    row = evaluate_folds(folds, SETTINGS).scores["tasks"]["sex"]["rows"][0]
    alone = [json.loads((folder / "scores.json").read_text()) for folder in folds]
    expected = [each["tasks"]["sex"]["rows"][0]["auc"]["value"] for each in alone]
    assert row["by_fold"] == expected


def test_the_order_of_the_folds_changes_no_score(folds):
    one = evaluate_folds(folds, SETTINGS).scores["tasks"]["sex"]
    other = evaluate_folds(folds[::-1], SETTINGS).scores["tasks"]["sex"]
    assert other["comparisons"] == one["comparisons"]
    assert [row["auc"] for row in other["rows"]] == [row["auc"] for row in one["rows"]]


def test_a_subject_who_is_held_out_twice_is_refused(folds, tmp_path):
    again = write_fold(tmp_path / "again", range(38, 44))
    with pytest.raises(InputError, match=r"subject sub-38: held out in .*fold-2 and in .*again"):
        evaluate_folds([*folds, again], SETTINGS)


def test_folds_that_ask_for_other_answers_are_refused(folds, tmp_path):
    # The same names the other way round would turn every answer into its opposite.
    turned = replace(SEX, candidates=("male", "female"))
    other = write_fold(tmp_path / "other", range(40, 50), task=turned)
    with pytest.raises(InputError, match=r"task sex: candidates is .* make all folds from one"):
        evaluate_folds([*folds, other], SETTINGS)


def test_one_fold_is_refused(folds):
    with pytest.raises(InputError, match="evaluations: 1; give the folders of at least two runs"):
        evaluate_folds(folds[:1], SETTINGS)


def test_a_note_that_differs_between_folds_is_not_told_as_that_of_all(folds, tmp_path):
    other = write_fold(tmp_path / "other", range(40, 50), note="C = 0.1")
    rows = evaluate_folds([*folds, other], SETTINGS).scores["tasks"]["sex"]["rows"]
    assert rows[1]["note"].startswith("set up in each fold by itself")
    assert evaluate_folds(folds, SETTINGS).scores["tasks"]["sex"]["rows"][1]["note"] == "C = 1"


def test_pooled_results_are_written_as_those_of_one_run_are(folds, tmp_path):
    (tmp_path / "pooled").mkdir()
    evaluate_folds(folds, SETTINGS).write(tmp_path / "pooled")
    (of_sex,) = read_scored_answers(tmp_path / "pooled").values()
    assert [len(method.answers) for method in of_sex] == [40, 40]
    assert json.loads((tmp_path / "pooled" / "scores.json").read_text())["folds"] == [
        {"n_subjects": 12},
        {"n_subjects": 14},
        {"n_subjects": 14},
    ]
