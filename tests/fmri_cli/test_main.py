"""Exit codes, one-line errors, `--debug`, and commands that cannot be loaded."""

import subprocess
import sys

import pytest

from fmri_cli.main import main
from fmri_cli.run.pipeline import COMMANDS

from .trees import tree


def test_bad_input_is_one_line_with_exit_code_one_and_changes_nothing(tiny):
    tiny.draw()
    before = tree(tiny.run)
    tiny.source.write_text("bad\n")
    code, _, err = tiny.draw()
    assert code == 1
    assert err == "fmri: source.txt: says bad; say good\n"
    assert tree(tiny.run) == before


def test_an_input_that_does_not_exist_is_named_and_nothing_is_made(tiny):
    code, _, err = tiny.sum()
    assert code == 1
    assert f"sum: numbers {tiny.run / 'numbers'}: no such file or folder" in err
    assert not tiny.run.exists()


def test_debug_shows_the_traceback_before_the_line(tiny):
    tiny.source.write_text("bad\n")
    code, _, err = tiny.draw("--debug")
    assert code == 1
    assert "Traceback" in err
    assert err.splitlines()[-1] == "fmri: source.txt: says bad; say good"


def test_a_bug_is_raised_and_not_reported_as_bad_input(tiny):
    tiny.source.write_text("bug\n")
    with pytest.raises(KeyError):
        main(tiny.draw_line())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["drow"], "No such command 'drow'"),
        (["draw"], "Missing argument 'SOURCE'"),
        (["draw", "x", "--colour"], "No such option"),
        (["draw", "x"], "Missing option '--out'"),
        (["run-all", "--out", "x"], "Give either a RECIPE or --demo"),
        (["run-all", "demo", "--demo", "--out", "x"], "Give either a RECIPE or --demo"),
        (["run-all", "--demo"], "Missing option '--out'"),
    ],
)
def test_wrong_usage_exits_with_two(tiny, arguments, message):
    code, _, err = tiny.fmri(*arguments)
    assert code == 2
    assert message in err


def test_an_interrupt_is_one_line_and_exit_code_130(tiny, monkeypatch):
    import tiny_stages

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(tiny_stages.random, "Random", interrupted)
    code, _, err = tiny.draw()
    assert code == 130
    assert err.strip() == "fmri: interrupted; run the same command again to resume"


def test_the_message_to_a_second_writer_names_the_first(tiny):
    tiny.draw()
    script = (
        "import sys; from pathlib import Path; from fmri_cli.run.locks import run_lock\n"
        "with run_lock(Path(sys.argv[1]), what='draw'): print('held', flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(tiny.run / ".work" / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        holder.stdout.readline()
        code, _, err = tiny.draw("--set", "count=9")
        assert code == 1
        assert f"{tiny.run}: `fmri draw` (process {holder.pid}) is writing here; wait" in err
        holder.kill()
    assert tiny.draw("--set", "count=9")[0] == 0


def test_a_folder_without_permission_is_one_line(tiny, monkeypatch):
    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied", "somewhere")

    monkeypatch.setattr("fmri_cli.run.locks.os.open", forbidden)
    code, _, err = tiny.draw()
    assert code == 1
    assert err == "fmri: somewhere: Permission denied; choose a folder that you may write to\n"


def test_a_file_in_the_way_of_the_output_is_one_line(tiny):
    line = [*tiny.draw_line()[:-1], str(tiny.source / "run" / "numbers")]
    code, _, err = tiny.fmri(*line)
    assert code == 1
    assert err.startswith(f"fmri: {tiny.source}/run")
    assert err.endswith("Not a directory; a file is in the way; choose another folder\n")


@pytest.mark.parametrize("arguments", [["report"], ["ask"]])
def test_a_folder_that_is_no_run_is_named_with_the_fix(tiny, arguments):
    asked = {"report": [], "ask": ["NAP_001", "age_group"]}[arguments[0]]
    code, _, err = tiny.fmri(*arguments, str(tiny.site), *asked)
    assert code == 1
    fix = "is not a run; name a directory that `fmri run-all --out` wrote"
    assert err == f"fmri: {tiny.site}: {fix}\n"


def test_a_command_whose_package_is_broken_says_what_to_install(tiny):
    (tiny.site / "tiny_stages.py").write_text("import no_such_library\n")
    code, _, err = tiny.draw()
    assert code == 1
    assert "`fmri draw` of fmri-tiny cannot be loaded (No module named 'no_such_library')" in err
    assert "pip install --upgrade 'fmri-cli[all]'" in err


def test_a_command_whose_package_is_missing_says_what_to_install(tiny, monkeypatch):
    monkeypatch.setattr("fmri_cli.plugins.stage_entry_points", dict)
    code, _, err = tiny.fmri("describe", "somewhere", "--out", "x")
    assert code == 1
    assert err == "fmri: `fmri describe` is not installed: pip install 'fmri-cli[descriptors]'\n"


def test_help_lists_the_stages_in_the_order_of_a_run(tiny):
    out = tiny.fmri("--help")[1]
    places = [out.index(f"\n  {name} ") for name in (*COMMANDS, "draw", "run-all")]
    assert places[:-1] == sorted(places[:-1])


def test_a_command_that_makes_no_stage_has_its_own_options_alone(tiny):
    assert tiny.fmri("show", "good") == (0, "good\n", "")
    assert "--out" not in tiny.fmri("show", "--help")[1]
    code, _, err = tiny.fmri("show", "bad", "--debug")
    assert code == 1
    assert "Traceback" in err
    assert err.splitlines()[-1] == "fmri: word: bad; say good"


def test_a_command_that_makes_no_stage_has_no_section_of_a_recipe(tiny):
    (tiny.root / "recipe.yaml").write_text("show: {word: good}\n")
    code, _, err = tiny.draw("--config", str(tiny.root / "recipe.yaml"))
    assert code == 1
    assert "show" in err


def test_help_imports_nothing_heavy():
    script = (
        "import sys; from fmri_cli.main import main; main(['--help'])\n"
        "heavy = {'torch', 'transformers', 'datasets', 'numpy', 'pandas', 'sklearn', 'pydantic'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    ran = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_the_version_is_that_of_the_installed_package(tiny):
    from importlib import metadata

    assert tiny.fmri("--version")[1] == f"fmri, version {metadata.version('fmri-cli')}\n"


def test_the_program_can_be_run_as_a_module(tiny):
    command = [sys.executable, "-m", "fmri_cli.main", "drow"]
    ran = subprocess.run(command, check=False, capture_output=True)
    assert ran.returncode == 2
