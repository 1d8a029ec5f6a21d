"""The documentation builds, and what it needs is in it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def built(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation as HTML, built with warnings as errors."""
    out = tmp_path_factory.mktemp("html")
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "-q", "-d", str(out / ".doctrees")]
    ran = subprocess.run(
        [*command, str(repository / "docs"), str(out)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return out


def test_every_page_is_built(built: Path, repository: Path) -> None:
    for page in (repository / "docs").glob("*.md"):
        assert (built / f"{page.stem}.html").is_file()


def test_no_page_asks_anything_of_the_network(built: Path) -> None:
    for page in built.glob("*.html"):
        loaded = re.findall(r"<(?:script|link|img|iframe)[^>]*https?://[^>]*>", page.read_text())
        assert loaded == []


def test_every_stage_has_its_table_of_settings(built: Path) -> None:
    from fmri_cli.run.pipeline import COMMANDS

    page = (built / "settings.html").read_text(encoding="utf-8")
    headings = re.findall(r"<h2>([\w-]+)<", page)
    assert headings == list(COMMANDS)
    # One for what stands outside the sections; a stage without settings has none.
    assert page.count("<table") >= len(COMMANDS)
