"""Numbers in bins: fitted on training subjects, one value each, and nobody else's."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

from fmri_instruct.prompts.instructions import (
    build_instructions,
    read_numbers,
    read_tasks,
    write_instructions,
)
from fmri_instruct.settings import MakeInstructionsSettings
from fmri_instruct.tasks.bins import Bins, bin_number, fit_bins
from fmri_instruct.tasks.definitions import load_tasks, read_task
from fmri_instruct.tasks.fitting import fit_tasks
from fmri_instruct.tasks.labels import label_scans
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.cohort import read_scan_table

from ..folders import made_up_rows, write_cohort, write_descriptors

AGE = {
    "title": "age",
    "kind": "continuous",
    "answers": ["young", "middle", "old"],
    "unit": "years",
    "label": {"phenotype": "age", "bins": {"quantiles": 3}},
    "questions": ["What is the age of this person?"],
    "statements": ["The person is {answer}."],
}


def tasks_of(folder, **changes):
    folder.mkdir(exist_ok=True)
    path = folder / "tasks.yaml"
    path.write_text(yaml.safe_dump({"schema": 1, "tasks": {"age": {**AGE, **changes}}}))
    return load_tasks(path)


def aged(ages, scans_each=1, n_subjects=18):
    """Rows whose age is that of a list, one entry a scan."""
    rows = made_up_rows(n_subjects, scans_each=scans_each)
    return [replace(row, phenotypes={"age": age}) for row, age in zip(rows, ages, strict=True)]


def folders(rows, root):
    root.mkdir(exist_ok=True)
    return write_cohort(rows, root / "cohort"), write_descriptors(rows, root / "descriptors")


def fitted(rows, root, **changes):
    [task] = fit_tasks(tasks_of(root, **changes), *folders(rows, root))
    return task.label.fitted


def test_bins_never_see_a_validation_or_test_subject(tmp_path):
    ages = np.linspace(20, 80, 18)
    rows = aged(ages.tolist())
    held_out = [row.split != "train" for row in rows]
    changed = np.where(held_out, ages + 500, ages)

    one = fitted(rows, tmp_path / "a")
    other = fitted(aged(changed.tolist()), tmp_path / "b")

    assert sum(held_out) == 9
    assert one == other
    assert one.n_subjects == 9


def test_a_subject_counts_once_however_often_it_was_scanned(tmp_path):
    ages = np.linspace(20, 80, 18)
    rows = aged(ages.tolist())
    first = rows[0]
    again = [replace(first, scan_id=f"{first.scan_id}_run-{k}") for k in range(5)]

    assert fitted(rows, tmp_path / "a") == fitted([*rows, *again], tmp_path / "b")


def test_a_subject_with_different_visits_counts_by_their_mean(tmp_path):
    visits = np.linspace(20, 80, 36)
    by_subject = visits.reshape(18, 2).mean(axis=1)

    several = fitted(aged(visits.tolist(), scans_each=2), tmp_path / "a")

    assert several == fitted(aged(by_subject.tolist()), tmp_path / "b")


def test_every_scan_falls_into_the_bin_of_its_own_number(tmp_path):
    rows = aged([20.0, 20.0, 80.0, 80.0, 20.0, 80.0] * 6, scans_each=2)
    cohort_dir, descriptors_dir = folders(rows, tmp_path)
    label = {"phenotype": "age", "bins": {"edges": [50]}}

    settled = fit_tasks(
        tasks_of(tmp_path, answers=["young", "old"], label=label), cohort_dir, descriptors_dir
    )

    labels = label_scans(settled, read_scan_table(cohort_dir), descriptors_dir)["age"]
    assert labels.tolist() == ["young", "young", "old", "old", "young", "old"] * 6


def test_quantiles_are_numpys_and_bins_carry_their_training_mean():
    ages = np.random.default_rng(0).normal(50, 10, size=300)

    found = fit_bins(Bins(quantiles=4), ages, ["a", "b", "c", "d"])

    assert found.edges == pytest.approx(np.quantile(ages, [0.25, 0.5, 0.75]))
    quarters = np.sort(ages).reshape(4, 75)
    assert found.bin_means == pytest.approx(quarters.mean(axis=1))
    assert found.mean == pytest.approx(ages.mean())


@pytest.mark.parametrize(("sd", "multiples"), [(1, [-1, 1]), (0.5, [-0.5, 0.5]), ([0], [0])])
def test_edges_in_standard_deviations_are_about_the_training_mean(sd, multiples):
    scores = np.random.default_rng(0).normal(100, 15, size=200)
    bins = Bins(sd=sd)

    found = fit_bins(bins, scores, "abc"[: bins.n_bins])

    assert found.edges == pytest.approx(scores.mean() + np.array(multiples) * scores.std(ddof=1))


def test_a_number_on_an_edge_belongs_to_the_bin_above_as_in_numpys_digitize():
    numbers = np.array([1.0, 2.0, 2.5, 3.0, 9.0])
    found = [bin_number(number, (2.0, 3.0)) for number in numbers]
    assert found == np.digitize(numbers, [2.0, 3.0]).tolist() == [0, 1, 1, 2, 2]


def test_codes_of_missing_values_and_gaps_have_no_label_and_move_no_edge(tmp_path):
    ages = np.linspace(20, 80, 18)
    with_codes = [*ages.tolist(), -999.0, float("nan"), float("inf")]
    rows = [*aged(ages.tolist()), *aged([0.0] * 18)[:3]]
    rows = [
        replace(row, scan_id=f"scan-{k:02d}", subject=f"p{k:02d}", phenotypes={"age": age})
        for k, (row, age) in enumerate(zip(rows, with_codes, strict=True))
    ]
    label = {"phenotype": "age", "bins": {"quantiles": 3}, "missing": [-999]}

    assert fitted(rows, tmp_path / "a", label=label) == fitted(
        aged(ages.tolist()), tmp_path / "b", label=label
    )
    cohort_dir, descriptors_dir = tmp_path / "a" / "cohort", tmp_path / "a" / "descriptors"
    settled = fit_tasks(tasks_of(tmp_path, label=label), cohort_dir, descriptors_dir)
    labels = label_scans(settled, read_scan_table(cohort_dir), descriptors_dir)["age"]
    assert labels.isna().to_numpy().nonzero()[0].tolist() == [18, 19, 20]


def test_a_descriptor_can_be_cut_into_bins_too(tmp_path):
    rows = made_up_rows(30)
    label = {"zscore": "graph.mean_clustering", "bins": {"quantiles": 3}}

    found = fitted(rows, tmp_path, label=label, unit=None)

    training = [row.z["graph.mean_clustering"] for row in rows if row.split == "train"]
    assert found.edges == pytest.approx(np.quantile(training, [1 / 3, 2 / 3]))


def test_the_first_of_several_names_that_the_cohort_has_is_the_column(tmp_path):
    rows = aged(np.linspace(20, 80, 18).tolist())
    label = {"phenotype": ["21003-2.0", "age", "sub"], "bins": {"quantiles": 3}}

    [task] = fit_tasks(tasks_of(tmp_path, label=label), *folders(rows, tmp_path))

    assert task.label.phenotype == "age"


def test_fitted_bins_and_true_numbers_are_written_and_read_back(tmp_path):
    rows = aged(np.linspace(20, 80, 18).tolist())
    cohort_dir, descriptors_dir = folders(rows, tmp_path)
    settled = fit_tasks(tasks_of(tmp_path), cohort_dir, descriptors_dir)
    settings = MakeInstructionsSettings(variants=1)
    built = build_instructions(cohort_dir, descriptors_dir, settled, settings, seed=0)
    (tmp_path / "made").mkdir()

    write_instructions(built, settled, tmp_path / "made")

    document = json.loads((tmp_path / "made" / "tasks.json").read_text())
    assert set(document["tasks"][0]["label"]["fitted"]) == {
        "edges", "bin_means", "mean", "n_subjects",
    }  # fmt: skip
    again = read_tasks(tmp_path / "made")
    assert again == settled
    assert read_task(document["tasks"][0], "tasks.json") == settled[0]
    numbers = read_numbers(tmp_path / "made", again)
    assert numbers == {"age": {row.scan_id: row.phenotypes["age"] for row in rows}}


def test_instructions_without_their_numbers_are_refused(tmp_path):
    (tmp_path / "numbers.json").write_text('{"schema": 1, "numbers": {}}')
    with pytest.raises(InputError, match="no numbers of task age; make the instructions again"):
        read_numbers(tmp_path, tasks_of(tmp_path))


def test_bins_that_were_not_fitted_are_refused_with_the_call(tmp_path):
    cohort_dir, descriptors_dir = folders(aged([40.0] * 18), tmp_path)
    settings = MakeInstructionsSettings(variants=1)
    with pytest.raises(InputError, match=r"task age: no fitted bins; call `fit_tasks\("):
        build_instructions(cohort_dir, descriptors_dir, tasks_of(tmp_path), settings, seed=0)


@pytest.mark.parametrize(
    ("ages", "bins", "words"),
    [
        ([40.0] * 18, {"quantiles": 3}, ["'young'", "between 40 and 40", "fewer bins"]),
        ([40.0] * 18, {"sd": 1}, ["no training subject falls into", "edges at 40, 40"]),
        ([20.0, 30.0] * 9, {"edges": [40, 60]}, ["'middle'", "edges at 40, 60", "edges: [...]"]),
        ([float("nan")] * 18, {"quantiles": 3}, ["no training subject has a value"]),
        (["22-25", "26-30"] * 9, {"quantiles": 3}, ["text such as '22-25'", "`values`"]),
    ],
)
def test_a_column_that_cannot_be_cut_so_is_refused_with_what_it_holds(tmp_path, ages, bins, words):
    with pytest.raises(InputError) as caught:
        fitted(aged(ages), tmp_path, label={"phenotype": "age", "bins": bins})

    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in ("task age", *words) if word not in message] == []


def test_a_task_that_is_optional_is_left_out_where_the_cohort_lacks_its_column(tmp_path):
    rows = aged(np.linspace(20, 80, 18).tolist())
    cohort_dir, descriptors_dir = folders(rows, tmp_path)
    [here] = tasks_of(tmp_path, optional=True)
    absent = here.model_copy(
        update={"name": "iq", "label": here.label.model_copy(update={"phenotype": "IQ"})}
    )

    settled = fit_tasks([absent, here], cohort_dir, descriptors_dir)

    assert [task.name for task in settled] == ["age"]
    with pytest.raises(
        InputError, match="none of the tasks can be asked, as there is no column IQ"
    ):
        fit_tasks([absent], cohort_dir, descriptors_dir)
    needed = absent.model_copy(update={"optional": False})
    with pytest.raises(InputError, match="task iq: the cohort has no column 'IQ'"):
        fit_tasks([needed, here], cohort_dir, descriptors_dir)
