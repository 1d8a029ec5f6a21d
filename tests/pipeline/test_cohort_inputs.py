"""`fmri cohort` on a folder: options, a list of what was rejected, and a death in the middle."""

import json
import subprocess
import sys

import numpy as np
import pytest

from fmri_cli.main import main
from fmri_cli.run_all import RunOptions, stage_lines
from fmri_cli.settings.recipes import load_recipe

from .trees import tree

N_SCANS = 6
DIES = """
import os, sys
from fmri_cli.main import main
from fmri_descriptors.cohort.parts import Parts

write = Parts.write

def write_or_die(self, index, row):
    if index == 3:
        os.kill(os.getpid(), 9)
    write(self, index, row)

Parts.write = write_or_die
main(sys.argv[1:])
"""


@pytest.fixture
def lab(tmp_path):
    """A folder of scans, the last one damaged, and a table of the people."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for i in range(N_SCANS):
        series = np.random.default_rng(i).standard_normal((60, 94))
        np.save(folder / f"sub-{i}.npy", series)
    (folder / f"sub-{N_SCANS - 1}.npy").write_bytes(b"damaged")
    lines = ["participant_id\tage", *(f"sub-{i}\t{20 + i}" for i in range(N_SCANS))]
    (tmp_path / "participants.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


def command(lab, *more):
    people = lab / "participants.tsv"
    line = ["cohort", lab / "scans", "--phenotypes", people, "--tr", "2", "--out", lab / "cohort"]
    return [str(word) for word in (*line, "--set", "parcellation=aal2", *more)]


def test_a_parcellation_is_never_guessed(lab, capsys):
    line = ["cohort", str(lab / "scans"), "--tr", "2", "--out", str(lab / "cohort")]
    assert main(line) == 1
    told = capsys.readouterr().err
    assert "parcellation: not given, and the source (scans) does not tell it" in told
    assert "--set cohort.parcellation=NAME" in told
    assert not (lab / "cohort").exists()


def test_a_damaged_scan_is_listed_and_counted(lab, capsys):
    assert main(command(lab)) == 0
    assert "5 scans of 5 subjects" in (said := capsys.readouterr().out)
    assert "6 files found: 5 used, 1 rejected, 0 left out (rejected.tsv)" in said
    assert "sub-5.npy\tsub-5\tcannot be read" in (lab / "cohort" / "rejected.tsv").read_text()


def test_strict_makes_it_an_error_even_where_the_cohort_was_made_without(lab, capsys):
    assert main(command(lab)) == 0
    assert main(command(lab, "--strict")) == 1
    assert "sub-5.npy: cannot be read" in capsys.readouterr().err


def test_nothing_is_done_twice_and_jobs_change_nothing(lab, capsys):
    assert main(command(lab)) == 0
    before = tree(lab / "cohort")
    assert main(command(lab, "--jobs", "2")) == 0
    assert "up to date" in capsys.readouterr().out
    assert tree(lab / "cohort") == before


@pytest.mark.parametrize("change", ["a scan", "a participant", "the tr"])
def test_a_change_of_what_is_read_makes_the_cohort_anew(lab, capsys, change):
    assert main(command(lab)) == 0
    capsys.readouterr()
    more = []
    if change == "a scan":
        np.save(lab / "scans" / "sub-0.npy", np.random.default_rng(9).standard_normal((61, 94)))
    elif change == "a participant":
        table = lab / "participants.tsv"
        table.write_text(table.read_text().replace("20", "21"))
    else:
        more = ["--tr", "3"]
    assert main(command(lab, *more)) == 0
    assert "runs again" in capsys.readouterr().out


@pytest.fixture
def killed(lab):
    """Outputs of a whole cohort, after which a second one was killed at its fourth scan."""
    assert main(command(lab)) == 0
    whole = outputs(lab)
    (lab / "cohort").rename(lab / "whole")
    died = subprocess.run([sys.executable, "-c", DIES, *command(lab)], check=False)
    assert died.returncode == -9
    return whole


def outputs(lab):
    return json.loads((lab / "cohort" / "record.json").read_text())["outputs"]


def parts(lab):
    return sorted((lab / ".work").glob("cohort-*/.parts-*/*.arrow"))


def test_killed_and_run_again_it_ends_the_same(lab, killed):
    assert len(parts(lab)) == 3
    assert main(command(lab)) == 0
    assert outputs(lab) == killed
    assert not parts(lab)


def test_killed_and_run_again_it_reads_no_scan_twice(lab, killed):
    first, second, _ = parts(lab)
    # Were the first scan converted again, the change of its part would go unseen.
    first.write_bytes(second.read_bytes())
    assert main(command(lab)) == 0
    assert outputs(lab) != killed


def test_a_recipe_names_the_inputs_beside_its_own_folder(lab):
    recipe = lab / "lab.yaml"
    recipe.write_text(
        "source: scans\nphenotypes: participants.tsv\ntr: 2.0\nstrict: true\njobs: 2\n"
        "confounds: simple\ntask: [rest, open]\nspace: T1w\n"
    )
    options = RunOptions(recipe=str(recipe), out=lab / "run", sets=(), seed=None, device="auto")
    (line,) = (line for row, line in stage_lines(options) if row.command == "cohort")
    assert line[:16] == [
        str(lab / "scans"),
        "--phenotypes",
        str(lab / "participants.tsv"),
        "--confounds",
        "simple",
        "--tr",
        "2.0",
        "--task",
        "rest",
        "--task",
        "open",
        "--space",
        "T1w",
        "--strict",
        "--jobs",
        "2",
    ]
    assert load_recipe(str(recipe), ()).run_settings().tr == 2.0
