"""How the report shows tasks whose answers stand for numbers."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from fmri_cli.report.artefacts import Run
from fmri_cli.report.page import render
from fmri_cli.report.sections.limits import model_against_baselines
from fmri_cli.report.sections.scores import build as build_scores
from fmri_cli.report.settings import ReportSettings
from fmri_instruct.scoring.scores import Method, ScanAnswer, score_task
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks.definitions import Task


def continuous(run: Path) -> dict[str, Any]:
    """Scores of one continuous task about forty people, in a run that has no other."""
    task = Task.model_validate(
        {
            "name": "age", "title": "age", "kind": "continuous", "answers": ["young", "old"],
            "unit": "years", "questions": ["Which age?"], "statements": ["It is {answer}."],
            "label": {"phenotype": "age", "bins": {"edges": [50]}},
        }
    )  # fmt: skip
    rng = np.random.default_rng(0)
    ages = rng.uniform(20, 80, size=40)
    predicted = {
        "fMRI-LM, one question": ages + rng.normal(scale=4, size=40),
        "fMRI-LM, open-ended": None,
        "training mean": np.full(40, 50.5),
        "connectome + ridge regression": ages + rng.normal(scale=20, size=40),
    }
    methods = [
        Method(
            name=name,
            baseline=not name.startswith("fMRI-LM"),
            answers=[
                ScanAnswer(
                    scan_id=f"s{k}", subject=f"s{k}", task="age", paradigm="single",
                    truth=task.candidates[age > 50], answer="old", probabilities=None,
                    true_number=age, number=None if numbers is None else float(numbers[k]),
                )
                for k, age in enumerate(ages.tolist())
            ],
        )
        for name, numbers in predicted.items()
    ]  # fmt: skip
    table = {"age": score_task(task, methods, EvaluateSettings(resamples=50), seed=0)}
    path = run / "evaluation" / "scores.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tasks": table}))
    (run / "instructions" / "tasks.json").write_text(
        json.dumps({"schema": 1, "tasks": [task.model_dump(mode="json")], "scans": {}})
    )
    return table["age"]


def test_a_continuous_task_is_shown_by_its_error_and_correlations(own_run: Path) -> None:
    scores = continuous(own_run)
    section = build_scores(Run(own_run), ReportSettings())
    page = render(Run(own_run), [section])
    [shown] = section.values["tasks"]
    assert shown["metrics"][:3] == ["MAE", "Pearson r", "Spearman rho"]
    assert shown["rows"][0]["cells"][0][0] == f"{scores['rows'][0]['mae']['value']:.2f}"
    assert "main score: MAE; MAE in years" in page
    assert "No Pearson r and Spearman rho for training mean: the predicted number is the" in page
    assert "No MAE, Pearson r and Spearman rho for fMRI-LM, open-ended: free text" in page


def test_a_lower_error_counts_as_better(own_run: Path) -> None:
    scores = continuous(own_run)
    verdicts = {(c["baseline"], c["metric"]): c["verdict"] for c in scores["comparisons"]}
    assert verdicts["training mean", "mae"] == "lower"
    [shown] = build_scores(Run(own_run), ReportSettings()).values["tasks"]
    assert shown["comparisons"][0]["verdict"] == "lower (better)"
    decided = list(verdicts.values()).count("lower") + list(verdicts.values()).count("higher")
    text = model_against_baselines(Run(own_run)).text
    assert f"the model is better in {decided} and worse in 0" in text
