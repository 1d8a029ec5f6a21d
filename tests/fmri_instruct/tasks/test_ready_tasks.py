"""The tasks files that ship, on small tables in each cohort's own columns and codes.

The tables are read by the readers of `fmri cohort`: that is where a column of codes becomes numbers
or texts, and a mapping that expects the other would find nothing.
"""

import math
from collections import Counter

import numpy as np
import pytest
import yaml

from fmri_descriptors import open_source
from fmri_descriptors.cohort.write import write_cohort
from fmri_descriptors.parcellation.parcellation import load_parcellation
from fmri_descriptors.readers import ReadOptions
from fmri_descriptors.settings import CohortSettings
from fmri_instruct.answers.parsing import parse_answers
from fmri_instruct.prompts.instructions import build_instructions
from fmri_instruct.prompts.paraphrases import described
from fmri_instruct.settings import MakeInstructionsSettings
from fmri_instruct.tasks.definitions import load_tasks
from fmri_instruct.tasks.fitting import fit_tasks
from fmri_instruct.tasks.labels import label_scans, number_scans
from fmri_instruct.tasks.prompt_leaks import mentions
from fmri_instruct.tasks.ready import COHORTS, ready_tasks
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.cohort import read_scan_table

from ..folders import made_up_rows, write_descriptors
from ..folders import write_cohort as write_rows

N_PEOPLE = 12
NETWORKS = ("Visual", "Motor")


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Scans of twelve people, and the regions that they are of."""
    root = tmp_path_factory.mktemp("scans")
    (root / "scans").mkdir()
    for i in range(N_PEOPLE):
        series = np.random.default_rng(i).normal(size=(20, 4))
        np.save(root / "scans" / f"sub-{i:02d}.npy", series)
    lines = "".join(f"region {k}\t{NETWORKS[k % 2]}\n" for k in range(4))
    (root / "regions.tsv").write_text(f"label\tnetwork\n{lines}")
    return root


@pytest.fixture
def labelled(scans, tmp_path):
    """Labels and numbers of a ready file on a table: a mapping of columns, a value a person."""

    def find(name, columns):
        header = "\t".join(("participant_id", *columns))
        cells = zip(*columns.values(), strict=True)
        lines = [f"sub-{i:02d}\t" + "\t".join(map(str, row)) for i, row in enumerate(cells)]
        table = tmp_path / "phenotypes.tsv"
        table.write_text("\n".join((header, *lines)) + "\n")
        source = open_source(scans / "scans", ReadOptions(tr=2.0, phenotypes=table))
        settings = CohortSettings(
            parcellation=str(scans / "regions.tsv"),
            test_subjects=("10", "11"),
            validation_subjects=("09",),
        )
        (tmp_path / "cohort").mkdir()
        write_cohort(source, tmp_path / "cohort", settings)
        tasks = fit_tasks(load_tasks(name), tmp_path / "cohort", tmp_path)
        cohort = read_scan_table(tmp_path / "cohort")
        labels = label_scans(tasks, cohort, tmp_path)
        return labels.to_dict("list"), number_scans(tasks, cohort, tmp_path)

    return find


@pytest.mark.parametrize(
    ("sex", "age", "fluid"),
    [
        ("31-0.0", "21003-2.0", "20016-2.0"),
        ("f.31.0.0", "f.21003.2.0", "f.20016.2.0"),
        ("p31", "p21003_i2", "p20016_i2"),
    ],
)
def test_uk_biobank_is_read_by_data_field_in_all_three_spellings(labelled, sex, age, fluid):
    ages = [45 + 3 * i for i in range(N_PEOPLE)]
    labels, numbers = labelled(
        "ukb",
        {
            "eid_old": range(N_PEOPLE),
            sex: [0, 1] * 6,
            age: ages,
            fluid: ["n/a", 1, 2, 6, 7, 12, 13, 6, 7, 5, 6, 7],
        },
    )
    assert labels["sex"] == ["female", "male"] * 6
    assert labels["age"][0] == "younger"
    assert labels["age"][-1] == "older"
    assert list(numbers["age"].values()) == ages
    assert labels["fluid_intelligence"][:6] == [None, "low", "low", "medium", "medium", "high"]


@pytest.mark.parametrize(
    ("column", "codes"),
    [
        ("demo_sex_v2", {"1": "male", "2": "female", "3": None, "n/a": None}),
        ("ab_g_stc__cohort_sex", {"1": "male", "2": "female", "4": None, "999": None}),
        ("sex", {"M": "male", "F": "female", "O": None, "n/a": None}),
    ],
)
def test_abcd_has_two_sexes_and_leaves_other_codes_without_a_label(labelled, column, codes):
    labels, _ = labelled("abcd", {column: list(codes) * 3})
    assert labels["sex"] == list(codes.values()) * 3


def test_hcp_has_ages_in_years_and_in_the_open_ranges(labelled):
    ages = [22, 25, 26, 28, 30, 31, 33, 35, 36, 22, 29, 37]
    ranges = ["22-25", "22-25", *["26-30"] * 3, *["31-35"] * 3, "36+", "22-25", "26-30", "36+"]
    labels, numbers = labelled(
        "hcpya",
        {
            "Gender": ["F", "M"] * 6,
            "Age": ranges,
            "Age_in_Yrs": ages,
            "CogFluidComp_Unadj": [85, 90, 95, 100, 105, 110, 115, 120, 125, 100, 101, "n/a"],
        },
    )
    assert labels["gender"] == ["female", "male"] * 6
    assert labels["age_range"][:9:4] == ["22 to 25 years", "26 to 30 years", "36 years or more"]
    assert numbers["age"]["sub-08"] == 36
    assert labels["fluid_composite"][0] == "low"
    assert labels["fluid_composite"][8] == "high"
    assert labels["fluid_composite"][-1] is None


def test_hcp_without_the_restricted_columns_is_asked_by_ranges_alone(labelled):
    labels, numbers = labelled(
        "hcpya", {"Gender": ["F", "M"] * 6, "Age": ["22-25", "26-30", "31-35", "36+"] * 3}
    )
    assert set(labels) == {"gender", "age_range"}
    assert numbers == {}


def test_hcp_aging_has_ages_in_months_and_codes_of_missing_scores(labelled):
    labels, numbers = labelled(
        "hcpa",
        {
            "sex": ["M", "F"] * 6,
            "interview_age": [432 + 60 * i for i in range(N_PEOPLE)],
            "nih_fluidcogcomp_unadjusted": [*range(80, 110, 3), 999, -999],
            "nih_flanker_unadjusted": [*range(80, 110, 3), "n/a", 92],
        },
    )
    assert labels["sex"][:2] == ["male", "female"]
    assert numbers["age"]["sub-01"] == 492
    assert labels["fluid_composite"][-2:] == [None, None]
    assert labels["flanker"][-2:] == [None, "medium"]


def test_adni_asks_ad_against_cn_at_the_visit_and_leaves_the_others_out(labelled):
    dx = {
        "CN": "cognitively normal",
        "MCI": None,
        "Dementia": "Alzheimer's disease",
        "NL": "cognitively normal",
        "MCI to Dementia": None,
        "n/a": None,
    }
    labels, numbers = labelled(
        "adni",
        {
            "DX": list(dx) * 2,
            "DX_bl": ["AD"] * N_PEOPLE,  # the visit's own diagnosis goes before it
            "PTGENDER": ["Male", "Female"] * 6,
            "AGE": np.linspace(60.5, 88, N_PEOPLE),
            "APOE4": [0, 1, 2] * 4,
        },
    )
    assert labels["ad_vs_cn"] == list(dx.values()) * 2
    assert labels["sex"][:2] == ["male", "female"]
    assert labels["apoe4"][:3] == ["non-carrier", "carrier", "carrier"]
    assert math.isclose(numbers["age"]["sub-00"], 60.5)


def test_adni_without_diagnoses_of_visits_takes_the_baselines(labelled):
    labels, _ = labelled("adni", {"DX_bl": ["CN", "SMC", "EMCI", "LMCI", "AD", "n/a"] * 2})
    normal, ill = "cognitively normal", "Alzheimer's disease"
    assert labels == {"ad_vs_cn": [normal, None, None, None, ill, None] * 2}


def test_adhd_200_joins_the_subtypes_and_leaves_withheld_diagnoses_out(labelled):
    labels, _ = labelled(
        "adhd200",
        {"Gender": [0, 1, 1, 1, "-999", 0] * 2, "DX": [0, 1, 2, 3, "withheld", "pending"] * 2},
    )
    adhd = ["typically developing", "ADHD", "ADHD", "ADHD", None, None]
    assert labels["dx"] == adhd * 2
    assert labels["sex"] == ["female", "male", "male", "male", None, "female"] * 2


def test_abide_2_counts_from_one(labelled):
    labels, _ = labelled("abide2", {"DX_GROUP": [1, 2, 2, -9999] * 3, "SEX": [1, 2, 1, 2] * 3})
    assert labels["dx"] == ["autism", "control", "control", None] * 3
    assert labels["sex"] == ["male", "female", "male", "female"] * 3


def test_a_cohort_of_other_columns_is_told_which_are_missing(labelled):
    with pytest.raises(InputError, match=r"no column 31-0\.0, f\.31\.0\.0, p31, 21003-2\.0"):
        labelled("ukb", {"sex": ["F", "M"] * 6})


def test_descriptors_are_asked_about_without_any_phenotype(tmp_path):
    tasks = load_tasks("descriptors")
    features = [task.label.zscore for task in tasks]
    rng = np.random.default_rng(0)
    rows = [
        type(row)(
            row.scan_id, row.subject, row.split, row.bold,
            dict(zip(features[:5], rng.normal(size=5), strict=True)),
        )
        for row in made_up_rows()
    ]  # fmt: skip
    cohort_dir = write_rows(rows, tmp_path / "cohort")
    descriptors_dir = write_descriptors(rows, tmp_path / "descriptors")

    settled = fit_tasks(tasks, cohort_dir, descriptors_dir)
    built = build_instructions(
        cohort_dir, descriptors_dir, settled, MakeInstructionsSettings(variants=1), seed=0
    )

    assert [task.name for task in settled] == [task.name for task in tasks][:5]
    assert Counter(each.paradigm for each in built.splits["test"]) == {
        "single": 20, "multi": 4, "open": 4,
    }  # fmt: skip


def test_the_networks_that_descriptors_are_asked_about_are_in_the_shipped_parcellations():
    known = {
        name for key in ("schaefer400-7n", "aal2") for name in load_parcellation(key).network_names
    }
    stem = "graph.network_strength."
    asked = {task.label.zscore for task in load_tasks("descriptors")}
    networks = {feature.removeprefix(stem) for feature in asked if feature.startswith(stem)}
    assert networks <= known
    assert len(networks) == 4


@pytest.mark.parametrize("name", ready_tasks())
def test_every_ready_question_has_paraphrases_and_none_hints_at_an_answer(name):
    for task in load_tasks(name):
        assert len(set(task.questions)) >= 4
        assert len(set(task.statements)) >= 4
        assert {tuple(mentions(each, task.candidates)) for each in task.questions} == {()}


@pytest.mark.parametrize("name", ready_tasks())
def test_descriptions_of_ready_tasks_are_read_back_in_every_wording(name):
    tasks = load_tasks(name)
    for wording in range(4):
        spoken = [
            task.model_copy(update={"statements": task.statements[wording:]}) for task in tasks
        ]
        for place in range(max(len(task.candidates) for task in tasks)):
            answers = {task.name: task.candidates[place % len(task.candidates)] for task in tasks}
            assert parse_answers(described(spoken, answers), tasks) == answers


@pytest.mark.parametrize("name", [name for name in ready_tasks() if name != "demo"])
def test_a_ready_file_says_where_its_coding_is_from(name):
    text = (COHORTS / f"{name}.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text)["schema"] == 1
    assert name == "descriptors" or "Source: " in text.replace("\n# ", " ")
