"""The commands, settings, files, tests and Python names in the prose exist."""

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import click
import numpy as np
import pytest
import yaml

OWN_OPTIONS = {"--help", "--version"}
PATH = re.compile(r"`((?:packages|tests|docs|fmri_\w+)/[\w./-]+)(?:::(\w+))?`")


def code_lines(text: str) -> list[str]:
    """Every line of a code block, and every piece of code in running text."""
    blocks = re.findall(r"```(?:bash|text)\n(.*?)```", text, flags=re.DOTALL)
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines()] + re.findall(
        r"`([^`\n]+)`", prose
    )


def fmri_calls(text: str) -> list[tuple[str, list[str]]]:
    """Every `fmri command` of a page with the options that it is given."""
    calls = []
    for line in code_lines(text):
        found = re.search(r"\bfmri ([a-z][a-z-]+)\b(.*)", line)
        if found:
            calls.append((found[1], re.findall(r"(?<!\S)(--[a-z-]+)", found[2])))
    return calls


def located(path: str, repository: Path) -> Path:
    """A path of the prose in the checkout; one that begins with a package lies in its sources."""
    package = path.split("/", maxsplit=1)[0]
    if package.startswith("fmri_"):
        return repository / "packages" / package.replace("_", "-") / "src" / path
    return repository / path


def snippet(text: str, name: str) -> str:
    """The YAML block of a page that begins with a comment naming the file."""
    [found] = re.findall(rf"```yaml\n# {re.escape(name)}\n(.*?)```", text, flags=re.DOTALL)
    return found


def test_every_command_and_option_in_the_prose_exists(pages: dict[str, str]) -> None:
    from fmri_cli.main import cli

    context = click.Context(cli)
    seen = set()
    for page, text in pages.items():
        for name, options in fmri_calls(text):
            command = cli.get_command(context, name)
            assert command is not None, f"{page}: fmri {name}"
            known = {option for parameter in command.params for option in parameter.opts}
            assert set(options) <= known | OWN_OPTIONS, f"{page}: fmri {name} {options}"
            seen.add(name)
    assert {"run-all", "ask", "cohort", "describe"} <= seen


def test_every_file_and_test_in_the_prose_exists(pages: dict[str, str], repository: Path) -> None:
    for page, text in pages.items():
        for path, test in PATH.findall(text):
            if path == "docs/_build":
                continue
            file = located(path, repository)
            assert file.exists(), f"{page}: {path}"
            if test:
                source = file.read_text(encoding="utf-8")
                assert f"def {test}(" in source, f"{page}: {path}::{test}"


def test_every_line_of_the_paper_map_names_a_file_and_a_test(pages: dict[str, str]) -> None:
    rows = [line for line in pages["docs/paper-map.md"].splitlines() if line.startswith("| ")]
    rows = [row.split("|")[1:-1] for row in rows if not row.startswith("| paper")]
    assert len(rows) > 10
    for row in rows:
        *_, file, test = row
        assert PATH.search(file), row
        assert "::" in test, row


def test_every_link_between_pages_leads_somewhere(pages: dict[str, str], repository: Path) -> None:
    for page, text in pages.items():
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (repository / page).parent.joinpath(target).exists(), f"{page}: {target}"


def test_every_python_name_in_the_reference_can_be_imported(pages: dict[str, str]) -> None:
    names = re.findall(r"^\| `(fmri_[\w.]+)` \|", pages["docs/api.md"], flags=re.MULTILINE)
    assert len(names) > 10
    for name in names:
        module, _, attribute = name.rpartition(".")
        owner = importlib.import_module(module)
        assert hasattr(owner, attribute) or importlib.import_module(name), name


@pytest.mark.slow
def test_the_recipe_of_the_prose_plans_a_whole_run_on_the_table_of_the_prose(
    pages: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fmri_cli.main import main
    from fmri_cli.run.pipeline import STAGES

    page = pages["docs/use-your-own-data.md"]
    [table] = re.findall(r"```text\n(path\t.*?)```", page, flags=re.DOTALL)
    (tmp_path / "scans.tsv").write_text(table)
    (tmp_path / "recipe.yaml").write_text(snippet(page, "recipe.yaml"))
    (tmp_path / "tasks.yaml").write_text(snippet(page, "tasks.yaml"))
    (tmp_path / "series").mkdir()
    for line in table.splitlines()[1:]:
        np.save(tmp_path / line.split("\t")[0], np.random.default_rng(0).normal(size=(40, 94)))
    monkeypatch.chdir(tmp_path)
    [planned] = re.findall(r"^fmri (run-all .*--dry-run)$", page, flags=re.MULTILINE)
    assert main(planned.split()) == 0
    shown = capsys.readouterr().out
    assert shown.count("will run: first run") == len(STAGES)


def test_the_tasks_of_the_prose_are_valid(pages: dict[str, str], tmp_path: Path) -> None:
    from fmri_instruct import load_tasks

    path = tmp_path / "tasks.yaml"
    path.write_text(snippet(pages["docs/use-your-own-data.md"], "tasks.yaml"))
    assert [task.name for task in load_tasks(path)] == ["sex", "visual_strength"]


def test_a_setting_in_the_prose_is_a_setting_of_its_stage(pages: dict[str, str]) -> None:
    from fmri_cli.run.pipeline import SETTINGS
    from fmri_cli.settings.rows import setting_rows, settings_class

    settings = re.findall(r"--set ([\w-]+)\.([\w.]+)=", "\n".join(pages.values()))
    assert settings
    for section, key in settings:
        if section != "section":
            assert key in {row.key for row in setting_rows(settings_class(SETTINGS[section]))}


def loaded(script: Path) -> ModuleType:
    """A script of the repository as a module."""
    spec = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_settings_is_what_the_code_says(
    pages: dict[str, str], repository: Path
) -> None:
    # Otherwise: uv run python scripts/write_settings_page.py
    module = loaded(repository / "scripts" / "write_settings_page.py")
    assert pages["docs/settings.md"] == module.page()


def test_the_rooms_and_their_pictures_are_what_the_import_contracts_say(
    pages: dict[str, str], repository: Path
) -> None:
    # Otherwise: uv run python scripts/write_rooms.py
    module = loaded(repository / "scripts" / "write_rooms.py")
    assert pages["docs/architecture.md"] == module.page()
    for name, drawn in module.pictures().items():
        assert (repository / "docs" / name).read_text(encoding="utf-8") == drawn


def test_the_readme_runs_the_two_commands_of_the_quickstart(pages: dict[str, str]) -> None:
    for command in (
        "pip install uv && uv run fmri run-all --demo --out runs/demo",
        "uv run pytest",
    ):
        assert f"```bash\n{command}\n```" in pages["README.md"]
        assert f"```bash\n{command}\n```" in pages["docs/quickstart.md"]


def test_the_demo_that_the_prose_describes_is_the_demo_that_runs(
    pages: dict[str, str], repository: Path
) -> None:
    recipe = repository / "packages/fmri-cli/src/fmri_cli/recipes/demo.yaml"
    cohort = yaml.safe_load(recipe.read_text(encoding="utf-8"))["cohort"]
    held_out, validation = cohort["test_subjects"], cohort["validation_subjects"]
    assert (len(held_out), 12 - len(held_out) - len(validation)) == (4, 7)
    assert "twelve people, and four of them are held out" in " ".join(pages["README.md"].split())
    assert "seven training scans" in " ".join(pages["README.md"].split())
    asked = re.findall(r"fmri ask runs/demo (\S+)", pages["docs/quickstart.md"])
    assert asked
    assert set(asked) <= set(held_out)


def test_the_licences_in_the_readme_are_those_of_the_packages(
    pages: dict[str, str], repository: Path
) -> None:
    found = {
        path.parent.name: re.search(r'^license = "(.*)"', path.read_text(), re.MULTILINE)[1]
        for path in repository.glob("packages/*/pyproject.toml")
    }
    assert found.pop("fmri-descriptors") == "GPL-3.0-or-later"
    assert set(found.values()) == {"Apache-2.0"}
    assert "except `fmri-descriptors`, which is GPL-3.0-or-later" in pages["README.md"]


def test_the_yaml_of_the_prose_repeats_no_key(pages: dict[str, str]) -> None:
    for text in pages.values():
        for block in re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL):
            assert isinstance(yaml.safe_load(block), dict)
