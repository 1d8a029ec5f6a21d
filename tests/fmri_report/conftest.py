"""A run in the written formats and its report, made once for the tests of this folder."""

import shutil
from pathlib import Path

import pytest

from .example_run import write_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that no test may change."""
    return write_run(tmp_path_factory.mktemp("runs") / "example")


@pytest.fixture(scope="session")
def written(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What `write_report` returned, and the page that it wrote."""
    from fmri_cli.report import write_report

    directory = tmp_path_factory.mktemp("report")
    summary = write_report(run, directory)
    return summary, (directory / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def page(written: tuple[str, str]) -> str:
    """The run's report."""
    return written[1]


@pytest.fixture
def own_run(run: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(run, tmp_path / "run"))
