"""The page as a whole: self-contained, repeatable, complete."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import click
import pytest

from fmri_cli.report import ReportSettings, write_report
from fmri_cli.report.artefacts import COMMANDS, Run
from fmri_cli.report.sections import ORDER
from fmri_cli.settings.recipes import Recipe


class Tags(HTMLParser):
    """Collects the tags of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def values(self, attribute: str) -> list[str]:
        return [str(attrs[attribute]) for _, attrs in self.found if attribute in attrs]


def test_the_page_asks_nothing_of_the_network(page: str) -> None:
    tags = Tags(page)
    assert all(source.startswith("data:image/svg+xml;base64,") for source in tags.values("src"))
    assert all(link.startswith("#") for link in tags.values("href"))
    assert not {tag for tag, _ in tags.found} & {"script", "link", "iframe"}
    assert not re.search(r"url\(|@import", page)


def test_every_section_is_in_the_contents_and_tells_what_to_look_for(page: str) -> None:
    tags = Tags(page)
    assert tags.values("id") == list(ORDER)
    assert [link for link in tags.values("href") if link != "#limits"] == [
        f"#{name}" for name in ORDER if name != "limits"
    ]
    assert page.count("What to look for.") == len(ORDER)


def test_every_figure_says_in_words_what_it_shows(page: str) -> None:
    images = [attrs for tag, attrs in Tags(page).found if tag == "img"]
    assert len(images) == 18
    assert all(attrs["alt"] for attrs in images)


def test_equal_runs_elsewhere_and_at_another_time_give_the_same_bytes(
    run: Path, page: str, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(run, tmp_path / "elsewhere" / "copy"))
    for stage in COMMANDS:
        record = json.loads((moved / stage / "record.json").read_text())
        record["wall_seconds"] = 99.0
        record["settings"]["text"] = "/another/home/corpus"
        (moved / stage / "record.json").write_text(json.dumps(record))
    write_report(moved, tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page


def test_the_summary_is_one_line(written: tuple[str, str]) -> None:
    assert re.fullmatch(r"report.html: 9 sections, \d+\.\d MB", written[0])


@pytest.mark.parametrize("stage", COMMANDS)
def test_a_missing_stage_is_named_with_the_command_that_makes_it(
    run: Path, tmp_path: Path, stage: str
) -> None:
    broken = Path(shutil.copytree(run, tmp_path / "run"))
    shutil.rmtree(broken / stage)
    with pytest.raises(click.ClickException) as caught:
        write_report(broken, tmp_path)
    message = str(caught.value)
    assert str(broken / stage) in message
    assert f"fmri {COMMANDS[stage]}" in message
    assert "\n" not in message


def test_a_missing_file_is_named_with_the_command_that_makes_it(run: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(run, tmp_path / "run"))
    (broken / "tokenizer" / "quality.json").unlink()
    with pytest.raises(click.ClickException, match=r"quality\.json.*fmri fit-tokenizer"):
        write_report(broken, tmp_path)


def test_a_cohort_of_a_newer_schema_is_refused_with_both_schemas(run: Path, tmp_path: Path) -> None:
    newer = Path(shutil.copytree(run, tmp_path / "run"))
    path = newer / "cohort" / "cohort.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 7}))
    with pytest.raises(click.ClickException, match=r"cohort schema 7.*up to 1; upgrade"):
        write_report(newer, tmp_path)


def test_only_a_held_out_scan_can_be_shown(run: Path) -> None:
    assert Run(run).held_out_scan("131217") == "131217"
    with pytest.raises(click.ClickException, match="'101309' is not a held-out scan"):
        Run(run).held_out_scan("101309")


@pytest.mark.parametrize(("name", "value"), [("regions", 1), ("features", 0), ("answers", 0)])
def test_a_setting_out_of_range_is_named_with_the_bound(name: str, value: int) -> None:
    with pytest.raises(click.ClickException, match=rf"report\.{name}: {value}; give at least \d"):
        Recipe({"report": {name: value}}).settings("report", ReportSettings)


def test_importing_the_report_loads_no_heavy_library() -> None:
    code = (
        "import sys, fmri_cli.report, fmri_cli.report.settings;"
        "print([m for m in ('matplotlib', 'pandas', 'datasets', 'jinja2') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
