"""A continuous task from the cohort to its scores, with a reader whose odds are planted."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from scipy import stats

from fmri_instruct.evaluation.baseline_answers import true_answers
from fmri_instruct.evaluation.evaluate import evaluate_reader
from fmri_instruct.prompts.instructions import (
    build_instructions,
    read_instructions,
    write_instructions,
)
from fmri_instruct.settings import EvaluateSettings, MakeInstructionsSettings
from fmri_instruct.tasks.bins import bin_number
from fmri_instruct.tasks.definitions import load_tasks
from fmri_instruct.tasks.fitting import fit_tasks
from fmri_instruct.tasks.prompt_leaks import mentions

from ..folders import made_up_rows, write_cohort, write_descriptors, write_tokens

TASKS = {
    "age": {
        "title": "age",
        "kind": "continuous",
        "answers": ["young", "middle", "old"],
        "unit": "years",
        "label": {"phenotype": "age", "bins": {"quantiles": 3}},
        "questions": ["What is the age of this person?"],
        "statements": ["The person is {answer}."],
    },
    "group": {
        "title": "group",
        "answers": ["left", "right"],
        "label": {"phenotype": "group"},
        "metric": "auc",
        "questions": ["Which group is it?"],
        "statements": ["The group is {answer}."],
    },
}
BASELINES = [
    "training mean",
    "connectome + ridge regression",
    "tangent-space connectome + ridge regression",
    "descriptors + gradient boosting",
]
N_SUBJECTS = 48
SETTINGS = EvaluateSettings(resamples=60, wordings=1, prior="none", calibrate=False)


class Odds:
    """A reader whose log-likelihood of each answer about a scan is that of a table.

    Parameters
    ----------
    table : dict
        By place of the scan in the order of scan ids: log-likelihood by answer.
    """

    def __init__(self, table):
        self.table = table

    def read(self, scan):
        return self.table[int(scan.codes[0, 0])]

    def log_likelihoods(self, scan, prompt, replies, *, whole):
        named = [mentions(reply.split("\n")[-1], list(scan))[0] for reply in replies]
        return np.array([scan[name] for name in named])

    def describe(self, scan, prompt, max_new_tokens):
        return f"The person is {max(TASKS['age']['answers'], key=scan.get)}."


@pytest.fixture(scope="module")
def rows():
    """People whose age is in the coupling of their first two regions."""
    rng = np.random.default_rng(0)
    found = []
    for k, row in enumerate(made_up_rows(N_SUBJECTS, n_regions=5)):
        age = float(rng.uniform(20, 80))
        coupling = (age - 20) / 60
        bold = rng.normal(size=(120, 5))
        bold[:, 1] = coupling * bold[:, 0] + np.sqrt(1 - coupling**2) * bold[:, 1]
        known = {"age": age, "group": ("left", "right")[k % 2]}
        found.append(replace(row, bold=bold, phenotypes=known))
    return found


@pytest.fixture(scope="module")
def folder(rows, tmp_path_factory):
    root = tmp_path_factory.mktemp("continuous")
    (root / "tasks.yaml").write_text(yaml.safe_dump({"schema": 1, "tasks": TASKS}))
    write_cohort(rows, root / "cohort")
    write_descriptors(rows, root / "descriptors")
    write_tokens(rows, root / "tokens")
    tasks = fit_tasks(load_tasks(root / "tasks.yaml"), root / "cohort", root / "descriptors")
    built = build_instructions(
        root / "cohort", root / "descriptors", tasks, MakeInstructionsSettings(variants=1), seed=0
    )
    (root / "instructions").mkdir()
    write_instructions(built, tasks, root / "instructions")
    return root, tasks


@pytest.fixture(scope="module")
def odds(rows):
    """Odds that rise and fall with the age, noisy."""
    rng = np.random.default_rng(1)
    table = {}
    for place, row in enumerate(sorted(rows, key=lambda row: row.scan_id)):
        at = (row.phenotypes["age"] - 20) / 60 + rng.normal(scale=0.2)
        table[place] = {"young": -3 * at, "middle": 0.0, "old": 3 * at - 3, "left": 0.1, "right": 0}
    return table


@pytest.fixture(scope="module")
def results(folder, odds):
    root, _ = folder
    return evaluate_reader(
        Odds(odds),
        root / "tokens",
        root / "instructions",
        root / "cohort",
        SETTINGS,
        descriptors_dir=root / "descriptors",
        seed=2,
    )


def rows_of(results, task):
    return {row["method"]: row for row in results.scores["tasks"][task]["rows"]}


def test_the_scores_are_those_of_the_expected_value_over_the_training_means(
    results, folder, odds, rows
):
    _, (age, _) = folder
    means = np.array(age.label.fitted.bin_means)
    held_out = [row for row in rows if row.split == "test"]
    place = {row.scan_id: k for k, row in enumerate(sorted(rows, key=lambda row: row.scan_id))}
    likelihoods = np.array(
        [[odds[place[row.scan_id]][answer] for answer in age.candidates] for row in held_out]
    )
    weights = np.exp(likelihoods)
    predicted = weights @ means / weights.sum(axis=1)
    truth = np.array([row.phenotypes["age"] for row in held_out])

    found = rows_of(results, "age")["fMRI-LM, one question"]

    assert found["mae"]["value"] == pytest.approx(np.abs(truth - predicted).mean())
    assert found["pearson"]["value"] == pytest.approx(stats.pearsonr(truth, predicted).statistic)
    assert found["spearman"]["value"] == pytest.approx(stats.spearmanr(truth, predicted).statistic)
    assert found["mae"]["low"] < found["mae"]["value"] < found["mae"]["high"]


def test_the_training_mean_and_ridge_stand_in_place_of_the_majority_and_logistic_regression(
    results, folder, rows
):
    _, (age, _) = folder
    found = rows_of(results, "age")
    assert list(found)[-4:] == BASELINES
    truth = np.array([row.phenotypes["age"] for row in rows if row.split == "test"])
    mean, ridge = found["training mean"], found["connectome + ridge regression"]
    assert mean["mae"]["value"] == pytest.approx(np.abs(truth - age.label.fitted.mean).mean())
    assert mean["pearson"] is None
    assert mean["number_note"] == "the predicted number is the same for every scan"
    assert ridge["pearson"]["value"] > 0.5
    assert ridge["mae"]["value"] < mean["mae"]["value"]
    assert "alpha = " in ridge["note"]
    assert found["tangent-space connectome + ridge regression"]["pearson"]["value"] > 0.5


def test_a_number_is_scored_as_the_bin_that_it_falls_in_too(results, folder, rows):
    _, (age, _) = folder
    edges = age.label.fitted.edges
    truth = [row.phenotypes["age"] for row in rows if row.split == "test"]
    always = bin_number(age.label.fitted.mean, edges)
    share = np.mean([bin_number(number, edges) == always for number in truth])
    assert rows_of(results, "age")["training mean"]["accuracy"]["value"] == pytest.approx(share)


def test_free_text_has_an_answer_and_no_number_and_says_why(results):
    text = rows_of(results, "age")["fMRI-LM, open-ended"]
    assert text["mae"] is None
    assert text["number_note"] == "free text gives no probabilities, and so no expected value"
    assert text["accuracy"]["value"] > 0


def test_the_model_is_compared_with_shuffled_people_and_with_every_baseline(results):
    compared = results.scores["tasks"]["age"]["comparisons"]
    single = [each for each in compared if each["method"] == "fMRI-LM, one question"]
    others = ["fMRI-LM, one question, another person's scan", *BASELINES]
    found = rows_of(results, "age")
    metrics = (("mae", "pearson", "spearman"), ("accuracy", "balanced_accuracy"))
    # A number that is the same for every scan, such as the mean, correlates with nothing.
    assert [(each["baseline"], each["metric"]) for each in single] == [
        (baseline, metric)
        for names in metrics
        for baseline in others
        for metric in names
        if found[baseline][metric] is not None
    ]
    ours, mean = found["fMRI-LM, one question"], found["training mean"]
    against_mean = next(each for each in single if each["baseline"] == "training mean")
    assert against_mean["value"] == pytest.approx(ours["mae"]["value"] - mean["mae"]["value"])
    assert against_mean["verdict"] == "lower"


def test_answers_hold_the_true_and_the_expected_number(results, folder, tmp_path):
    root, _ = folder
    results.write(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    truth = json.loads((root / "instructions" / "numbers.json").read_text())["numbers"]["age"]
    of_age = [line for line in lines if line["task"] == "age"]
    assert {line["scan_id"]: line["true_number"] for line in of_age}.items() <= truth.items()
    assert [line["number"] is None for line in of_age] == [
        line["paradigm"] == "open" for line in of_age
    ]
    of_group = [line for line in lines if line["task"] == "group"]
    assert {(line["number"], line["true_number"]) for line in of_group} == {(None, None)}


def test_every_task_tells_its_kind_and_main_score_and_the_summary_shows_that(results):
    tasks = results.scores["tasks"]
    assert [(t["kind"], t["metric"], t["unit"]) for t in tasks.values()] == [
        ("continuous", "mae", "years"),
        ("binary", "auc", None),
    ]
    summary = results.summary()
    assert summary.startswith("MAE of model / training mean / connectome: age ")
    assert "; AUC of model / majority class / connectome: group " in summary


def test_true_answers_are_the_bins_of_the_true_numbers(folder, rows):
    root, (age, _) = folder
    held_out = read_instructions(root / "instructions", "test")
    answers = true_answers(held_out, "age")
    edges = age.label.fitted.edges
    ages = {row.scan_id: row.phenotypes["age"] for row in rows if row.split == "test"}
    assert answers == {
        scan: age.candidates[bin_number(number, edges)] for scan, number in ages.items()
    }
