"""What the numbers can and cannot show, derived from the artefacts themselves."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fmri_cli.report.artefacts import Run
from fmri_cli.report.sections.base import Section, listed, plural, sentence_case, span
from fmri_cli.report.sections.cohort import assumed_trs
from fmri_cli.report.sections.conclusions import LOWER_IS_BETTER
from fmri_cli.report.sections.training import TRAINED
from fmri_cli.report.settings import ReportSettings

if TYPE_CHECKING:
    import pandas as pd


FEW_ANSWERS = 10
"""Scans below which equal answers say little: ten equal ones of two equally likely, 1 in 512."""


@dataclass(frozen=True)
class Remark:
    """One thing that the reader must know: what it is about, and what follows."""

    about: str
    text: str


def build(run: Run, settings: ReportSettings) -> Section:  # noqa: ARG001
    """Remarks on size, intervals, confounds, label sources, norms and training length."""
    remarks = [
        sample_size(run),
        model_against_baselines(run),
        same_answers(run),
        *confounds(run),
        *given_away(run),
        *caveats(run),
        norms(run),
        *assumed_repetition_times(run),
        training_length(run),
    ]
    return Section(
        anchor="limits",
        title="What these numbers can and cannot show",
        look_for="Read this before quoting any number above.",
        values={"remarks": remarks},
    )


def sample_size(run: Run) -> Remark:
    """How many people stand behind a score."""
    scans = run.scans
    subjects = plural(scans["sub"].nunique(), "subject")
    held_out = scans.loc[scans["split"] == "test", "sub"].nunique()
    tasks = run.json("evaluation", "scores.json")["tasks"].values()
    widths = [
        row["accuracy"]["high"] - row["accuracy"]["low"] for task in tasks for row in task["rows"]
    ]
    text = (
        f"The run has {subjects}, and every score is computed on the {held_out} that no stage has "
        f"seen. One subject more or less right moves an accuracy by {1 / held_out:.2f}, and the "
        f"widest interval of an accuracy spans {max(widths, default=0):.2f} of the range from 0 "
        "to 1."
    )
    return Remark("Number of people", text)


def model_against_baselines(run: Run) -> Remark:
    """In how many comparisons the model is better or worse than a baseline."""
    compared = [
        _judged(found)
        for task in run.json("evaluation", "scores.json")["tasks"].values()
        for found in task["comparisons"]
    ]
    return Remark(
        "Against the baselines",
        f"Of the {len(compared)} comparisons of the model with a baseline, the model is better in "
        f"{compared.count('better')} and worse in {compared.count('worse')}; the other "
        f"{compared.count('undecided')} are undecided: the difference is smaller than what so many "
        "people can show. Of twenty comparisons of equal methods, one at most would be called "
        "different by chance.",
    )


def _judged(found: dict[str, Any]) -> str:
    """Whether a decided difference speaks for the model."""
    if found["verdict"] == "undecided":
        return "undecided"
    lower = found["verdict"] == "lower"
    return "better" if lower == (found["metric"] in LOWER_IS_BETTER) else "worse"


def same_answers(run: Run) -> Remark:
    """In how many tables of answers every held-out scan got the same one."""
    given: dict[tuple[str, str], list[str | None]] = {}
    for answer in run.json_lines("evaluation", "answers.jsonl"):
        given.setdefault((answer["task"], answer["paradigm"]), []).append(answer["answer"])
    compared = [answers for answers in given.values() if len(answers) > 1]
    same = [answers for answers in compared if len(set(answers)) == 1]
    text = (
        f"In {len(same)} of the {len(compared)} combinations of a task and a way of asking with "
        "more than one held-out scan, the model gave every scan the same answer, or none that "
        "could be read."
    )
    if same:
        text += " There it shows no sign of having looked at the scan, whatever its score."
    if any(len(answers) < FEW_ANSWERS for answers in same):
        text += f" Among fewer than {FEW_ANSWERS} scans, though, that happens easily by chance."
    return Remark("The same answer for everybody", text)


def confounds(run: Run) -> list[Remark]:
    """Remark on each label that is fixed by the data set a scan comes from."""
    return [_confound(run, name) for name in _confounded(run)]


def _confounded(run: Run) -> list[str]:
    return [name for name in run.categories if _is_fixed_by_group(run.scans, name)]


def _is_fixed_by_group(scans: "pd.DataFrame", column: str) -> bool:
    values = [set(part.dropna()) for _, part in scans.groupby("group")[column]]
    return len(set.union(*values)) > 1 and all(len(found) == 1 for found in values)


def _confound(run: Run, column: str) -> Remark:
    scans, words = run.scans, column.replace("_", " ")
    parts = []
    for name, part in scans.groupby("group", sort=True):
        minutes = part["n_frames"] * part["tr"] / 60
        value = part[column].iloc[0]
        assumed = " (assumed)" if name in assumed_trs(run) else ""
        parts.append(
            f"every scan of {name} is {value}, has TR {span(part['tr'].min(), part['tr'].max())} s"
            f"{assumed} and lasts {span(minutes.min(), minutes.max(), 1)} minutes"
        )
    return Remark(
        f"{sentence_case(words)} is confounded with the data set",
        f"No data set holds two values of {words}: {'; '.join(parts)}. Scanner, site, "
        "preprocessing, TR and recording length change together with it, so a model or a baseline "
        f"that scores well on {words} may have learnt the scanner and nothing about people. No "
        "analysis of these scans can tell the two apart.",
    )


def given_away(run: Run) -> list[Remark]:
    """Remark on each label that a property of the recording predicts, unless `confounds` has."""
    covered = {*_confounded(run), "dataset"}
    found = run.cohort.get("confounds", {})
    return [_given_away(name, facts) for name, facts in found.items() if name not in covered]


def _given_away(name: str, facts: dict[str, dict[str, Any]]) -> Remark:
    words = name.replace("_", " ")
    areas = listed([f"{fact} (AUC {entry['auc']:.2f})" for fact, entry in facts.items()])
    return Remark(
        f"{sentence_case(words)} can be predicted without the brain",
        f"In this cohort, {words} follows from how a scan was recorded: {areas}. A score on "
        f"{words} that is no better than these says nothing about people. Scans can be made "
        "equally long by the cohort's settings crop_frames and crop_seconds.",
    )


def caveats(run: Run) -> list[Remark]:
    """Repeat the caveat of each task, unless `confounds` has a remark with figures."""
    by_text: dict[str, list[str]] = {}
    confounded = _confounded(run)
    for task in run.tasks.values():
        if task["caveat"] and task["label"].get("phenotype") not in confounded:
            by_text.setdefault(task["caveat"], []).append(task["title"])
    return [Remark(sentence_case(listed(titles)), text) for text, titles in by_text.items()]


def norms(run: Run) -> Remark:
    """How few scans define what is typical."""
    return Remark(
        "What typical means",
        f"Above, within and below the typical range are relative to "
        f"{plural(len(run.norm_scans), 'training scan')} of this very cohort. They are not "
        "population norms, and a standard deviation of so few scans is itself uncertain.",
    )


def assumed_repetition_times(run: Run) -> list[Remark]:
    """Where a TR was assumed, and what hangs on it."""
    return [
        Remark(
            f"TR of {name}",
            f"The TR of {name} is not documented; {facts['value']:g} s is assumed. Frequencies, "
            "resampling and durations of these scans are only as right as that value.",
        )
        for name, facts in assumed_trs(run).items()
    ]


def training_length(run: Run) -> Remark:
    """How long each stage trained."""
    steps = [
        f"{title.lower()} {int(run.losses(stage)['step'].max()):,}"
        for stage, title in TRAINED.items()
    ]
    return Remark(
        "Length of training",
        f"Optimiser steps: {listed(steps)}. The paper trains every stage for 50 epochs on tens of "
        "thousands of scans; scores of this run say nothing about what the method reaches there.",
    )
