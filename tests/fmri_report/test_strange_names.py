"""Names of regions, networks, tasks, columns and methods may hold any letters."""

import base64
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmri_cli.report.artefacts import Run
from fmri_cli.report.figures.canvas import label
from fmri_cli.report.figures.cohort import connectivity
from fmri_cli.report.figures.losses import loss_curves
from fmri_cli.report.figures.measures import network_connectivity
from fmri_cli.report.figures.networks import NetworkOrder
from fmri_cli.report.figures.scores import ScoreRow, intervals
from fmri_cli.report.figures.tokenizer import Window, reconstruction
from fmri_cli.report.page import write_report
from fmri_cli.report.sections.limits import same_answers

STRANGE = (
    "$x",
    "$\\frac{$",
    "<script>alert(1)</script>",
    "a|b",
    "\"quoted\" & 'so'",
    "🧠 brain",
    "\u202eleft to right\u200f",
    "شبكة بصرية",
    "視覚",
    "_hidden",
    "two\nlines\tand \x1b[31mred",
    "n" * 500,
    "{braces} %s %(x)s",
)


def draw_all(name: str) -> list[str]:
    """Every figure that shows a name, with this one and another."""
    series = np.random.default_rng(0).standard_normal((20, 4))
    names = [name, name, "other", "other"]
    losses = pd.DataFrame({"step": [1, 2], "split": "train", "name": name, "value": [1.0, 0.5]})
    return [
        connectivity(series, NetworkOrder.of(names)),
        network_connectivity(np.eye(2), (name, "other")),
        reconstruction(Window(series, series * 0.9, 2.0, names), 2),
        intervals([ScoreRow(name, 0.5, 0.2, 0.8, ours=True)], 0.5, name),
        loss_curves(losses),
    ]


@pytest.mark.parametrize("name", STRANGE, ids=range(len(STRANGE)))
def test_a_figure_shows_any_name_and_leaves_room_for_itself(name: str) -> None:
    for uri in draw_all(name):
        picture = base64.b64decode(uri.partition(",")[2]).decode("utf-8")
        assert picture.rstrip().endswith("</svg>")


@settings(derandomize=True, max_examples=8, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60))
def test_a_figure_shows_any_text(name: str) -> None:
    series = np.random.default_rng(0).standard_normal((20, 2))
    assert connectivity(series, NetworkOrder.of([name, "other"])).startswith("data:")


def test_a_label_is_one_printable_line() -> None:
    assert label("two\nlines\tand \x1b[31mred") == "two lines and \\x1b[31mred"
    assert label("n" * 500) == "n" * 39 + "…"


def test_the_report_of_a_run_with_such_names_is_whole(run: Path, tmp_path: Path) -> None:
    name = f"$x <b>| 🧠\u202e {'n' * 500}"
    own = Path(shutil.copytree(run, tmp_path / "run"))
    tasks = json.loads((own / "instructions" / "tasks.json").read_text())["tasks"]
    words = ["Visual", "age_group", *(task["title"] for task in tasks), "majority class"]
    words += [answer for task in tasks for answer in task["candidates"]]
    for file in own.rglob("*.json*"):
        if file.name not in {"record.json", "state.json", "dataset_info.json"}:
            text = file.read_text(encoding="utf-8")
            for word in words:
                new = json.dumps(f"{word} {name}", ensure_ascii=False)
                text = re.sub(rf'"{word}"(?!:)', lambda _: new, text)  # noqa: B023 - used at once
            file.write_text(text, encoding="utf-8")
    path = own / "descriptors" / "features.parquet"
    features = pd.read_parquet(path)
    features.columns = [column.replace("Visual", f"Visual {name}") for column in features.columns]
    features.to_parquet(path)
    write_report(own, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.rstrip().endswith("</html>")
    assert "<b>|" not in page


def test_a_cohort_without_data_sets_has_no_column_for_them(run: Path, tmp_path: Path) -> None:
    own = Run(run)
    nameless = own.scans.assign(group="unnamed")
    own.__dict__["scans"] = nameless
    from fmri_cli.report.page import render
    from fmri_cli.report.sections.cohort import build
    from fmri_cli.report.settings import ReportSettings

    page = render(own, [build(own, ReportSettings())])
    assert "unnamed" not in page
    assert "<th>Data set</th>" not in page
    assert "resting" not in page


@pytest.mark.parametrize(
    ("answers", "told", "not_told"),
    [
        ({"a": "xy", "b": "xy"}, "In 0 of the 2 combinations", "no sign"),
        ({"a": "xxxx"}, "Among fewer than 10 scans, though, that happens easily", "In 0"),
        ({"a": "x" * 12}, "no sign of having looked at the scan", "by chance"),
        ({"a": "x"}, "In 0 of the 0 combinations", "no sign"),
    ],
)
def test_equal_answers_of_few_scans_are_no_proof(
    run: Path, tmp_path: Path, answers: dict[str, str], told: str, not_told: str
) -> None:
    own = Path(shutil.copytree(run, tmp_path / "run"))
    rows = [
        json.dumps({"task": task, "paradigm": "single", "answer": answer})
        for task, given in answers.items()
        for answer in given
    ]
    (own / "evaluation" / "answers.jsonl").write_text("\n".join(rows))
    text = same_answers(Run(own)).text
    assert told in text
    assert not_told not in text
