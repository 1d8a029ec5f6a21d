"""The end-to-end pipeline on real scans: it finishes, and reruns only what has to be rerun."""

import json
import re
import shutil

import pytest

from fmri_cli.main import main
from fmri_cli.run.pipeline import STAGES

from .trees import tree

NAMES = [row.directory for row in STAGES]


def outputs(directory):
    """All files but the records, which also say with how many threads a stage ran."""
    return {name: digest for name, digest in tree(directory).items() if "record" not in name}


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished run that a test may change."""
    shutil.copytree(finished.directory, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def fmri(capsys):
    """Run a command in this process; exit code, output, errors."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_every_stage_prints_one_line_and_the_last_line_names_the_report(finished):
    lines = finished.output.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == NAMES
    assert lines[-1] == f"The report is in {finished.directory / 'report' / 'report.html'}"
    assert (finished.directory / "report" / "report.html").stat().st_size > 100_000


def test_only_our_own_progress_lines_reach_standard_error(finished):
    ours = re.compile(r"[a-z-]+ +(at work|[\d,]+ of [\d,]+) after .+")  # a stage of over a minute
    assert [line for line in finished.errors.splitlines() if not ours.fullmatch(line)] == []


def test_no_checkpoint_and_nothing_unfinished_is_left(finished):
    assert not list(finished.directory.rglob("checkpoints"))
    assert [path.name for path in (finished.directory / ".work").iterdir()] == ["lock"]


def test_a_second_run_finds_every_stage_up_to_date(pipeline, finished, fmri):
    code, out, _ = fmri(*pipeline.arguments(finished.directory))
    assert code == 0
    assert out.splitlines()[:-1] == [f"{name:<15} up to date" for name in NAMES]


def test_a_dry_run_tells_what_a_change_would_make_run_and_writes_nothing(pipeline, finished, fmri):
    before = tree(finished.directory)
    change = ["--set", "tune.loop.steps=2", "--dry-run"]
    code, out, _ = fmri(*pipeline.arguments(finished.directory, *change))
    assert code == 0
    states = [line for line in out.splitlines() if "up to date" in line or "will run" in line]
    assert [line.split(maxsplit=1)[1] for line in states] == [
        *["up to date"] * 6,
        "will run: setting `loop.steps` changed from 3 to 2",
        "will run: input `model` is made anew",
        "will run: input `stages` is made anew (tuned-model, evaluation)",
    ]
    assert tree(finished.directory) == before


def test_a_changed_setting_runs_its_stage_and_those_that_depend_on_it(pipeline, copy, fmri):
    out = fmri(*pipeline.arguments(copy, "--set", "evaluate.resamples=60"))[1]
    lines = out.splitlines()
    assert lines[:7] == [f"{name:<15} up to date" for name in NAMES[:7]]
    assert lines[7] == "evaluation      runs again: setting `resamples` changed from 50 to 60"
    reasons = (
        "input `settings`: `evaluate.resamples` changed from 50 to 60",
        "input `stages` changed: evaluation",
    )
    assert lines[9] == f"report          runs again: {'; '.join(reasons)}"
    assert len(lines) == 12


def test_a_damaged_output_is_noticed_and_made_again_as_it_was(pipeline, finished, copy, fmri):
    (copy / "instructions" / "test.jsonl").write_text("")
    out = fmri(*pipeline.arguments(copy))[1]
    assert "instructions    runs again: output file test.jsonl was changed" in out
    assert outputs(copy) == outputs(finished.directory)


def test_ask_answers_about_a_held_out_scan_with_probabilities_that_sum_to_one(finished, fmri):
    code, out, _ = fmri("ask", finished.directory, "NAP_001", "age_group")
    head, answer, *rows = out.splitlines()
    probabilities = {row.split()[0]: float(row.split()[1]) for row in rows}
    assert code == 0
    assert head.startswith("NAP_001 (test): ")
    assert answer == f"Answer: {max(probabilities, key=probabilities.get)}"
    assert sum(probabilities.values()) == pytest.approx(1, abs=0.002)
    lines = (finished.directory / "evaluation" / "answers.jsonl").read_text().splitlines()
    [scored] = [
        row["probabilities"]
        for row in map(json.loads, lines)
        if (row["scan_id"], row["task"], row["paradigm"]) == ("NAP_001", "age_group", "single")
    ]
    assert probabilities == {answer: round(p, 3) for answer, p in scored.items()}


def test_ask_takes_any_question_with_its_answers(finished, fmri):
    out = fmri("ask", finished.directory, "102816", "Asleep?", "--answers", "yes, no, unsure")[1]
    assert {line.split()[0] for line in out.splitlines()[2:]} == {"yes", "no", "unsure"}


def test_ask_warns_that_a_scan_was_seen_in_training(finished, fmri):
    norms = json.loads((finished.directory / "descriptors" / "norms.json").read_text())
    seen = norms["fitted_on"][0]
    out = fmri("ask", finished.directory, seen, "age_group")[1]
    assert out.startswith(f"Warning: the model was trained on {seen};")


def test_ask_about_an_unknown_scan_lists_the_held_out_ones(finished, fmri):
    code, _, err = fmri("ask", finished.directory, "10281", "age_group")
    assert code == 1
    assert "10281: no such scan; did you mean '102816'?" in err
    assert err.endswith("Held out are: 102816, 377451, NAP_001, NAP_013\n")


def test_ask_in_a_folder_that_is_no_run_says_so(tmp_path, fmri):
    code, _, err = fmri("ask", tmp_path, "NAP_001", "age_group")
    assert code == 1
    assert f"{tmp_path}: is not a run; name a directory" in err


def test_ask_about_something_unknown_lists_the_known_questions_and_the_option(finished, fmri):
    code, _, err = fmri("ask", finished.directory, "NAP_001", "Asleep?")
    assert code == 1
    assert "Which age group does this person belong to? |" in err
    assert err.endswith("--answers A,B\n")
    assert err.count("\n") == 1
