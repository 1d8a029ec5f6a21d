"""What the report says may be concluded of a task."""

import json
from pathlib import Path
from typing import Any

import pytest

from fmri_cli.report.artefacts import Run
from fmri_cli.report.page import render
from fmri_cli.report.sections.conclusions import conclusion
from fmri_cli.report.sections.scores import build
from fmri_cli.report.settings import ReportSettings

OURS = "fMRI-LM, one question"
BASELINES = {
    "blind": "majority class",
    "shuffled": f"{OURS}, another person's scan",
    "connectome": "connectome + logistic regression",
}


def task(metric: str = "accuracy", **verdicts: str) -> dict[str, Any]:
    """A task of thirty people, by baseline the verdict on the model."""
    spans = {"higher": (0.05, 0.3), "lower": (-0.3, -0.05), "undecided": (-0.12, 0.15)}
    return {
        "metric": metric,
        "n_subjects": 30,
        "comparisons": [
            {
                "method": method, "baseline": BASELINES[name], "metric": each,
                "verdict": verdict if (method, each) == (OURS, metric) else "undecided",
                "low": spans[verdict][0], "high": spans[verdict][1],
            }
            for method in (OURS, "fMRI-LM, several questions")
            for name, verdict in verdicts.items()
            for each in ("balanced_accuracy", metric)
        ],
    }  # fmt: skip


def test_a_model_that_beats_itself_on_other_scans_is_said_to_read_the_scan() -> None:
    found = conclusion(task(blind="higher", shuffled="higher", connectome="undecided"), "accuracy")
    assert found == (
        f"By accuracy on 30 people, {OURS}: it does better than the majority class and than itself "
        "on other people's scans, so it reads something of a scan that bears on the answer; "
        "whether it or connectome + logistic regression does better is undecided (difference -0.12 "
        "to +0.15)."
    )


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        (
            {"blind": "higher", "shuffled": "undecided"},
            "so it may not be concluded that this comes from the scan",
        ),
        ({"blind": "higher"}, "there are no scans of other people to show"),
        (
            {"blind": "undecided", "shuffled": "higher"},
            "but it may not be concluded that they are better than those of the majority class (a",
        ),
        (
            {"blind": "undecided", "shuffled": "undecided"},
            "(a lead of up to 0.15 is not ruled out), so it may not be concluded that it reads",
        ),
        ({"blind": "lower", "shuffled": "undecided"}, "it does worse than the majority class"),
        (
            {"blind": "higher", "shuffled": "higher", "connectome": "lower"},
            "; connectome + logistic regression reads more of a scan, so nothing is gained over it",
        ),
        (
            {"blind": "higher", "shuffled": "higher", "connectome": "higher"},
            "; it reads more of a scan than connectome + logistic regression",
        ),
    ],
)
def test_nothing_is_concluded_that_a_comparison_leaves_open(
    verdicts: dict[str, str], words: str
) -> None:
    found = conclusion(task(**verdicts), "accuracy")
    assert found is not None
    assert words in found
    claims = "so it reads something of a scan" in found
    assert claims == (verdicts["blind"] == verdicts.get("shuffled") == "higher")


def test_a_lower_error_is_the_better_one() -> None:
    found = conclusion(task("mae", blind="lower", shuffled="undecided"), "MAE")
    assert found is not None
    assert "By MAE on 30 people, fMRI-LM, one question: it does better than the" in found
    undecided = conclusion(task("mae", blind="undecided", shuffled="undecided"), "MAE")
    assert undecided is not None
    assert "a lead of up to 0.12 is not ruled out" in undecided


def test_a_task_without_comparisons_has_no_conclusion() -> None:
    assert conclusion(task(), "accuracy") is None


def test_figures_of_answers_say_their_counts_in_words(own_run: Path) -> None:
    path = own_run / "evaluation" / "scores.json"
    scores = json.loads(path.read_text())
    scores["tasks"]["age_group"]["rows"][0] |= {
        "confusion": [[3, 1, 0], [2, 0, 1]],
        "reliability": [{"low": 0.5, "high": 0.6, "n": 6, "confidence": 0.55, "accuracy": 0.5}],
        "wordings": {
            "n": 2,
            "same_answer": 0.75,
            "scores": {"accuracy": [0.5, 0.25], "auc": [None]},
        },
    }
    path.write_text(json.dumps(scores))
    section = build(Run(own_run), ReportSettings())
    page = render(Run(own_run), [section])
    assert (
        "FMRI-LM, one question: of 4 truly younger, 3 as younger and 1 as older; of 3 truly older, "
        "2 as younger and 1 as unparsed." in page
    )
    assert "6 given at a mean probability of 0.55, 50% right" in page
    assert (
        "FMRI-LM, one question, each of 2 wordings alone: Accuracy 0.25 to 0.50; 75% of the scans "
        "get the same answer in all of them." in page
    )


def test_scores_of_an_earlier_version_are_shown_without_the_figures_that_they_lack(
    own_run: Path,
) -> None:
    path = own_run / "evaluation" / "scores.json"
    scores = json.loads(path.read_text())
    for row in scores["tasks"]["age_group"]["rows"]:
        for key in ("confusion", "reliability", "wordings", "ece", "macro_f1"):
            del row[key]
    path.write_text(json.dumps(scores))
    [shown, *_] = build(Run(own_run), ReportSettings()).values["tasks"]
    assert (shown["confusion"], shown["reliability"]) == (None, None)
    assert shown["metrics"] == ["Accuracy", "Balanced accuracy", "AUC"]
