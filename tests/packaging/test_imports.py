"""Imports go one way, and importing is free."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "datasets", "sklearn", "nilearn", "matplotlib", "pandas")


def test_the_import_contracts_hold(repository: Path):
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint], check=False, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def _imported_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "package", ["fmri_cli", "fmri_descriptors", "fmri_instruct", "fmri_llm", "fmri_vqtok"]
)
def test_importing_a_package_loads_no_heavy_library(package: str):
    assert not _imported_by(f"import {package}") & set(HEAVY)


def test_loading_every_command_loads_no_heavy_library():
    groups = ("fmri.commands", "fmri.plain_commands")
    found = [point for group in groups for point in entry_points(group=group)]
    statements = [f"from {point.module} import {point.attr}" for point in found]
    assert not _imported_by("\n".join(statements)) & set(HEAVY)


def test_only_command_files_and_the_command_line_import_click(repository: Path):
    importers = {
        path.relative_to(repository).as_posix()
        for path in repository.glob("packages/*/src/**/*.py")
        if "import click" in path.read_text(encoding="utf-8")
    }
    stray = {p for p in importers if not p.endswith("/commands.py") and "/fmri_cli/" not in p}
    assert not stray
