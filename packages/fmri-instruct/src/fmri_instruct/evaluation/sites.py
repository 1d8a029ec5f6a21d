"""Whether a score holds within sites, or is due to differences between them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fmri_instruct.baselines.blind import MajorityClass, TrainingMean
from fmri_instruct.baselines.scan_features import FeatureTable
from fmri_instruct.evaluation.baseline_answers import LabelledScans, fitted_answers
from fmri_instruct.scoring.answer_table import AnswerTable, ScanAnswer
from fmri_instruct.scoring.number_table import NumberTable
from fmri_instruct.scoring.scores import Method
from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.kinds import CLASS_METRICS

__all__ = ["SITE_ALONE", "site_scores"]

SITE_ALONE = "site alone"
"""Name of what the answers of a site's training people are, taken for those of its others."""


def site_scores(
    task: Task, methods: Sequence[Method], scans: LabelledScans, table: FeatureTable
) -> dict[str, Any] | None:
    """Score every method over all sites and within each, by the main score of the task.

    A method that has learned the scanner scores well over all sites, as far as the sites differ in
    their answers, and no better than chance within any.

    Parameters
    ----------
    task : Task
        What was asked.
    methods : sequence of Method
        Model and baselines.
    scans : LabelledScans
        Scans with a label, as rows of the table.
    table : FeatureTable
        With the site of each scan.

    Returns
    -------
    dict or None
        ``metric``; ``n_subjects`` by site; ``rows``, one a method and one of the site alone, with
        ``method``, ``across`` (over all scans), ``within`` (by site; None where it is undefined)
        and ``mean_within`` (each site weighted by its subjects). None if the held-out scans are not
        of several known sites.
    """
    site_of = {table.scan_ids[row]: table.sites[row] for row in scans.unseen}
    sites = sorted(set(site_of.values()))
    if len(sites) < 2 or "" in sites:
        return None
    people: dict[str, set[str]] = {site: set() for site in sites}
    for row in scans.unseen:
        people[table.sites[row]].add(table.subjects[row])
    sizes = {site: len(people[site]) for site in sites}
    answers = {method.name: method.answers for method in methods if method.answers}
    answers[SITE_ALONE] = _site_alone(scans, table)
    rows = [_row(task, name, given, site_of, sizes) for name, given in answers.items()]
    return {"metric": task.metric, "n_subjects": sizes, "rows": rows}


def _row(
    task: Task,
    method: str,
    answers: Sequence[ScanAnswer],
    site_of: Mapping[str, str],
    sizes: Mapping[str, int],
) -> dict[str, Any]:
    within = {
        site: _score(task, [each for each in answers if site_of[each.scan_id] == site])
        for site in sizes
    }
    known = {site: score for site, score in within.items() if score is not None}
    weights = [sizes[site] for site in known]
    mean = float(np.average(list(known.values()), weights=weights)) if known else None
    return {
        "method": method,
        "across": _score(task, answers),
        "within": within,
        "mean_within": mean,
    }


def _score(task: Task, answers: Sequence[ScanAnswer]) -> float | None:
    if not answers:
        return None
    every = np.arange(len(answers))
    if task.metric in CLASS_METRICS:
        return AnswerTable.of(answers, task.candidates).score(task.metric, every)
    numbers = NumberTable.of(answers)
    return None if numbers is None else numbers.score(task.metric, every)


def _site_alone(scans: LabelledScans, table: FeatureTable) -> list[ScanAnswer]:
    """Answers by the frequencies, or the mean, of the training people of each scan's site."""
    found: list[ScanAnswer] = []
    for site in sorted({table.sites[row] for row in scans.unseen}):
        seen = [k for k, row in enumerate(scans.seen) if table.sites[row] == site]
        # Of a site without training people nothing is known but what is known of all.
        seen = seen or list(range(len(scans.seen)))
        blind = TrainingMean() if scans.task.kind == "continuous" else MajorityClass()
        subjects = [table.subjects[scans.seen[k]] for k in seen]
        fitted = blind.fit(None, [scans.targets[k] for k in seen], subjects)
        asked = [
            (table.scan_ids[row], table.subjects[row])
            for row in scans.unseen
            if table.sites[row] == site
        ]
        found += fitted_answers(fitted, np.zeros((len(asked), 0)), asked, scans)
    return found
