from dataclasses import replace

import numpy as np
import pytest

from fmri_instruct.baselines.scan_features import FeatureTable
from fmri_instruct.evaluation.baseline_answers import LabelledScans
from fmri_instruct.evaluation.sites import SITE_ALONE, site_scores
from fmri_instruct.scoring.answer_table import ScanAnswer
from fmri_instruct.scoring.scores import Method

N = 80
"""People, half of them to train on. Of north nine in ten are older, of south one in ten."""


@pytest.fixture
def study(tasks):
    rng = np.random.default_rng(0)
    sites = np.array(["north", "south"])[np.arange(N) % 2]
    older = np.where(np.arange(N) // 2 % 10 == 0, sites == "south", sites == "north")
    truth = {f"scan-{k:02d}": ("younger", "older")[int(older[k])] for k in range(N)}
    names = tuple(truth)
    table = FeatureTable(
        names, names, ("train",) * (N // 2) + ("test",) * (N // 2), tuple(sites), {}, {}
    )
    seen, unseen = list(range(N // 2)), list(range(N // 2, N))
    held_out = {names[k]: truth[names[k]] for k in unseen}
    scans = LabelledScans(
        replace_metric(tasks[0]), seen, unseen, [truth[names[k]] for k in seen], held_out, {}
    )
    return scans, table, rng


def replace_metric(task):
    return task.model_copy(update={"metric": "auc"})


def method(name, scans, table, score):
    answers = []
    for row in scans.unseen:
        scan, p = table.scan_ids[row], float(score(row))
        answers.append(
            ScanAnswer(
                scan_id=scan,
                subject=scan,
                task="age_group",
                paradigm=None,
                truth=scans.truth[scan],
                answer="older" if p > 0.5 else "younger",
                probabilities={"younger": 1 - p, "older": p},
            )
        )
    return Method(name=name, answers=answers)


def test_a_method_that_knows_the_scanner_alone_is_at_chance_within_every_site(study):
    scans, table, rng = study
    of_site = method(
        "scanner", scans, table, lambda k: (table.sites[k] == "north") * 0.5 + 0.3 * rng.random()
    )
    knowing = method("knowing", scans, table, lambda k: scans.truth[table.scan_ids[k]] == "older")

    found = site_scores(scans.task, [of_site, knowing], scans, table)
    rows = {row["method"]: row for row in found["rows"]}

    assert found["n_subjects"] == {"north": 20, "south": 20}
    assert rows["scanner"]["across"] > 0.8
    assert rows["scanner"]["mean_within"] == pytest.approx(0.5, abs=0.2)
    assert rows["knowing"]["across"] == rows["knowing"]["mean_within"] == 1
    assert rows["knowing"]["within"] == {"north": 1, "south": 1}


def test_the_site_alone_answers_what_its_training_people_are(study):
    scans, table, _ = study
    found = site_scores(scans.task, [], scans, table)
    (row,) = found["rows"]
    # Nine in ten of north are older: of the pairs of an older and a younger person 81 in 100 are
    # told apart by the site, 1 in 100 the wrong way round, and 18 are of one site.
    assert row["method"] == SITE_ALONE
    assert row["across"] == pytest.approx(0.9)
    assert row["within"] == {"north": 0.5, "south": 0.5}


def test_a_site_with_a_single_answer_has_no_area_and_does_not_count(study):
    scans, table, _ = study
    south, older = (lambda k: table.sites[k] == "south"), "older"
    kept = [k for k in scans.unseen if south(k) or scans.truth[table.scan_ids[k]] == older]
    fewer = replace(scans, unseen=kept)
    knowing = method("knowing", fewer, table, lambda k: scans.truth[table.scan_ids[k]] == "older")
    row = site_scores(scans.task, [knowing], fewer, table)["rows"][0]
    assert row["within"] == {"north": None, "south": 1}
    assert row["mean_within"] == 1


def test_one_site_or_unknown_ones_have_no_such_scores(study):
    scans, table, _ = study
    for sites in (("north",) * N, ("",) * N, ("north", "") * (N // 2)):
        assert site_scores(scans.task, [], scans, replace(table, sites=sites)) is None
