"""What the sections say of a run."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from fmri_cli.report.artefacts import Run
from fmri_cli.report.figures.losses import drawn_names
from fmri_cli.report.figures.networks import NetworkOrder
from fmri_cli.report.figures.tokenizer import Window, spread_by_error
from fmri_cli.report.page import render
from fmri_cli.report.sections.answers import PARADIGMS
from fmri_cli.report.sections.answers import build as build_answers
from fmri_cli.report.sections.base import listed
from fmri_cli.report.sections.caption import _row
from fmri_cli.report.sections.caption import build as build_caption
from fmri_cli.report.sections.cohort import build as build_cohort
from fmri_cli.report.sections.limits import (
    confounds,
    given_away,
    model_against_baselines,
    same_answers,
    sample_size,
)
from fmri_cli.report.sections.provenance import flatten
from fmri_cli.report.sections.scores import build as build_scores
from fmri_cli.report.sections.scores import with_interval
from fmri_cli.report.settings import ReportSettings

from .example_run import MASKED_SCAN


def test_what_is_measured_is_drawn_behind_the_losses(run: Path) -> None:
    losses = ["commitment", "contrastive", "domain", "reconstruction", "total"]
    drawn = drawn_names(Run(run).losses("tokenizer"))
    assert drawn == [*losses, "normalised_mse", "perplexity"]


def test_only_the_stage_that_measures_something_says_so(page: str) -> None:
    told = (
        "The last panels, normalised MSE and codebook perplexity, are measured and not minimised."
    )
    assert page.count(told) == page.count("measured and not minimised") == 1


def test_next_step_prediction_is_compared_with_forecasts_without_a_model(page: str) -> None:
    # The losses of the example end near 1.04.
    assert "a linear forecast of its vector 0.70" in page
    assert page.count("The model forecasts no better than the best of these.") == 1


def test_the_perplexity_of_plain_text_is_told_before_and_after_training(page: str) -> None:
    told = "20.00 before training, 25.00 after, 25% more."
    assert page.count(told) == 1
    assert page.index("<h3>Language model</h3>") < page.index(told)


def test_the_model_with_the_scan_stands_beside_itself_on_other_peoples_scans(page: str) -> None:
    assert "AUC 0.83 with the scan, 0.52 with another person" in page
    table = page[page.index("Does the model look at the scan?") :].split("</table>", maxsplit=1)[0]
    rows = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in table.split("<tr")[2:]]
    assert rows == [
        ["0.83", "0.91", "0.77", "1.234", "0.81"],
        ["0.52", "0.49", "0.51", "1.301", "0.46"],
        ["0.50", "0.50", "0.48", "1.295", "–"],
    ]
    assert "the right one for 75% of the scans (chance 25%)" in page
    assert "(37 times about the scans)" in page


def test_what_a_model_wrote_is_shown_and_not_run(page: str) -> None:
    assert "&lt;b&gt;word&lt;/b&gt;" in page
    assert "<b>word</b>" not in page


def test_the_cohort_says_what_became_of_all_that_was_found(own_run: Path) -> None:
    path = own_run / "cohort" / "cohort.json"
    cohort = json.loads(path.read_text())
    cohort["accounting"] = {
        "unit": "files",
        "found": 1206,
        "used": 1000,
        "rejected": 200,
        "left_out": 6,
    }
    cohort["choices"] = ["task rest of nback, rest", "space T1w of T1w, MNI152NLin6Asym"]
    path.write_text(json.dumps(cohort))
    loaded = Run(own_run)
    page = render(loaded, [build_cohort(loaded, ReportSettings())])
    assert "1,206 files found: 1,000 used, 200 rejected, 6 left out" in page
    assert "Chosen: task rest of nback, rest; space T1w of T1w, MNI152NLin6Asym" in page


def test_an_assumed_tr_is_marked_and_explained(page: str) -> None:
    assert "2.00 (assumed)" in page
    assert "0.72 (assumed)" not in page
    assert "The TR of gw is not documented; 2 s is assumed" in page


def test_an_unparsed_answer_is_shown_as_unparsed(page: str) -> None:
    assert page.count(">unparsed<") == 1


def test_the_caveat_of_a_task_is_shown_with_its_score(page: str) -> None:
    assert page.count("confounded with scanner, site, repetition time") == 1
    assert page.count("The answer is computed from the same scan") == 3  # two scores, one limit


def test_answers_stand_by_paradigm_with_bars_in_the_order_of_the_task(own_run: Path) -> None:
    path = own_run / "evaluation" / "answers.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        if row["probabilities"]:
            row["probabilities"] = dict(reversed(row["probabilities"].items()))
    path.write_text("".join(json.dumps(row) + "\n" for row in reversed(rows)))
    loaded = Run(own_run)
    for task, shown in build_answers(loaded, ReportSettings()).values["tasks"]:
        keys = [(list(PARADIGMS.values()).index(row["paradigm"]), row["scan"]) for row in shown]
        assert keys == sorted(keys)
        assert [bar["name"] for bar in shown[0]["bars"]] == task["candidates"]


def test_a_masked_region_is_missing_and_not_zero(run: Path) -> None:
    series = Run(run).bold(MASKED_SCAN)
    assert series.shape == (1200, 94)
    assert np.isnan(series[:, -1]).all()
    assert np.isfinite(series[:, :-1]).all()


def test_scans_come_in_split_order_whatever_their_order_on_disk(run: Path) -> None:
    scans = Run(run).scans
    assert list(dict.fromkeys(scans["split"])) == ["train", "validation", "test"]
    assert scans.loc[scans["split"] == "test", "scan_id"].is_monotonic_increasing


def test_regions_of_a_network_stand_together_within_its_edges() -> None:
    order = NetworkOrder.of(["b", "a", "b", "c", "a"])
    assert order.names == ("b", "a", "c")
    assert order.regions.tolist() == [0, 2, 1, 4, 3]
    assert order.edges == (0, 2, 4, 5)
    assert order.middles == [0.5, 2.5, 4.0]


def test_normalised_error_is_zero_for_a_copy_one_for_a_flat_line_and_missing_without_signal() -> (
    None
):
    signal = np.random.default_rng(0).normal(size=(200, 3))
    signal[:, 2] = 0
    decoded = signal.copy()
    decoded[:, 1] = 0
    errors = Window(signal, decoded, 2.0, ["a", "b", "c"]).errors()
    np.testing.assert_allclose(errors, [0, 1, np.nan])


def test_shown_regions_run_from_the_best_to_the_worst() -> None:
    errors = np.array([0.5, np.nan, 0.1, 0.9, 0.3, 0.7])
    assert spread_by_error(errors, 3) == [2, 0, 3]


def test_features_farthest_from_the_norm_stand_first(run: Path) -> None:
    section = build_caption(Run(run), ReportSettings(features=4))
    for domain in section.values["domains"]:
        sizes = [abs(row["z"]) for row in domain["first"] + domain["rest"]]
        assert sizes == sorted(sizes, reverse=True)
        assert len(domain["first"]) == 4


def test_a_z_is_written_on_the_same_side_of_a_limit_as_its_words() -> None:
    row = _row({"feature": "f", "value": 1.0, "z": 1.9996, "level_word": "above"})
    assert row["z_text"] == "+1.99"


def test_a_feature_without_a_z_differs_from_one_at_the_norm() -> None:
    row = _row({"feature": "f", "value": None, "z": None, "level_word": "not comparable"})
    assert (row["value"], row["z_text"], row["bar_width"]) == ("missing", "not defined", 0)


def test_a_label_that_the_data_set_decides_is_called_confounded(run: Path) -> None:
    [remark] = confounds(Run(run))
    assert remark.about == "Age group is confounded with the data set"
    assert (
        "every scan of gw is older, has TR 2.00 s (assumed) and lasts 11.8 minutes" in remark.text
    )
    assert "every scan of hcp is younger, has TR 0.72 s and lasts 14.4 minutes" in remark.text


def test_a_label_that_varies_within_a_data_set_is_not_called_confounded(run: Path) -> None:
    loaded = Run(run)
    loaded.scans.loc[0, "age_group"] = "older"
    assert loaded.scans.groupby("group")["age_group"].nunique().tolist() == [1, 2]
    assert confounds(loaded) == []


def test_a_label_that_the_length_gives_away_is_listed_with_its_auc(run: Path) -> None:
    loaded = Run(run)
    loaded.cohort["confounds"] = {
        "eyes_open": {"n_frames": {"auc": 0.967, "value": "yes"}},
        "age_group": {"site": {"auc": 1.0, "value": "older"}},
    }
    [remark] = given_away(loaded)  # the data set decides age_group, which has a remark of its own
    assert remark.about == "Eyes open can be predicted without the brain"
    assert "n_frames (AUC 0.97)" in remark.text


def test_pairs_of_people_are_shown_for_tasks_whose_answers_have_an_order(run: Path, page: str):
    scores = json.loads((run / "evaluation" / "scores.json").read_text())["tasks"]
    by_task = {
        task["title"]: task["pairs"]
        for task in build_scores(Run(run), ReportSettings()).values["tasks"]
    }

    assert by_task["age group"] is None
    found, shown = scores["clustering"]["pairs"], by_task["mean clustering"]
    assert [row["method"] for row in shown["rows"]] == [row["method"] for row in found["rows"]]
    assert shown["rows"][0]["cells"][0][0] == f"{found['rows'][0]['accuracy']['value']:.2f}"
    assert page.count("<th>Which of two people is higher</th>") == 2


def test_the_number_of_people_is_counted_from_the_cohort(run: Path) -> None:
    text = sample_size(Run(run)).text
    assert "7 subjects, and every score is computed on the 2 that no stage has seen" in text
    assert "moves an accuracy by 0.50" in text


def test_only_decided_comparisons_count_as_better_or_worse(own_run: Path) -> None:
    path = own_run / "evaluation" / "scores.json"
    scores = json.loads(path.read_text())
    for task in scores["tasks"].values():
        for found in task["comparisons"]:
            found["verdict"] = "undecided"
    first = scores["tasks"]["age_group"]["comparisons"]
    first[0]["verdict"], first[1]["verdict"] = "higher", "lower"
    path.write_text(json.dumps(scores))
    text = model_against_baselines(Run(own_run)).text
    assert "the model is better in 1 and worse in 1; the other" in text


def test_a_table_where_every_scan_got_the_same_answer_is_counted(own_run: Path) -> None:
    rows = [
        {"task": task, "paradigm": paradigm, "answer": answer}
        for task, paradigm, answers in (
            ("a", "single", ("x", "x")),
            ("a", "multi", ("x", "y")),
            ("a", "open", (None, None)),
        )
        for answer in answers
    ]
    path = own_run / "evaluation" / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert same_answers(Run(own_run)).text.startswith("In 2 of the 3 combinations")


def test_an_undefined_score_is_a_dash_and_not_a_zero() -> None:
    assert with_interval(None) == ("–", "")
    assert with_interval({"value": 0.5, "low": 0.25, "high": 0.75}) == ("0.50", "0.25 to 0.75")


def test_a_task_without_a_labelled_held_out_scan_says_so(own_run: Path) -> None:
    path = own_run / "evaluation" / "scores.json"
    scores = json.loads(path.read_text())
    scores["tasks"]["age_group"]["rows"] = []
    path.write_text(json.dumps(scores))
    section = build_scores(Run(own_run), ReportSettings())
    assert "No held-out scan has a label" in render(Run(own_run), [section])


def test_settings_are_flat_sorted_and_free_of_this_machine() -> None:
    nested = {"text": "/home/someone/corpus", "loop": {"steps": 60, "rates": [0.1, 0.2]}, "a": None}
    assert flatten(nested) == {
        "a": "not set",
        "loop.rates": "0.1, 0.2",
        "loop.steps": "60",
        "text": "corpus",
    }


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (list("abc"), "a, b and c")],
)
def test_a_list_reads_as_a_sentence(names: list[str], text: str) -> None:
    assert listed(names) == text
