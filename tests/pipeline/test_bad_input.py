"""Bad input through the real command: one line with thing, value and fix, and nothing changes."""

import json

import numpy as np
import pytest

from fmri_cli.main import main

from .trees import tree

N_REGIONS = 94
AAL2 = ("--set", "parcellation=aal2")


def series(n_regions=N_REGIONS, n_frames=120):
    return np.random.default_rng(0).standard_normal((n_frames, n_regions))


def write_table(folder, spoil_array=lambda array: array, spoil_line=lambda line: line):
    """Write a table of four recordings, the last of which is spoilt."""
    lines = ["path\tscan_id\tsubject\ttr"]
    for index in range(4):
        array, line = series(), f"s{index}.npy\ts{index}\tp{index}\t2.0"
        if index == 3:
            array, line = spoil_array(array), spoil_line(line)
        np.save(folder / f"s{index}.npy", array)
        lines.append(line)
    table = folder / "scans.tsv"
    table.write_text("\n".join(lines) + "\n")
    return table


def one_region_short(array):
    return array[:, :-1]


def all_missing(array):
    return np.full_like(array, np.nan)


def constant_regions(array):
    array[:, 10:13] = 4.0
    return array


def without_tr(line):
    return line.replace("2.0", "n/a")


def negative_tr(line):
    return line.replace("2.0", "-2.0")


SPOILT = [
    pytest.param({"spoil_array": one_region_short}, ["s3.npy", "93", "94", "aal2"], id="regions"),
    pytest.param({"spoil_array": all_missing}, ["s3.npy", "every region"], id="all-missing"),
    pytest.param({"spoil_array": constant_regions}, ["s3.npy", "3"], id="constant-regions"),
    pytest.param({"spoil_line": without_tr}, ["scans.tsv: line 5", "no tr"], id="missing-tr"),
    pytest.param({"spoil_line": negative_tr}, ["scans.tsv: line 5", "tr '-2.0'"], id="negative-tr"),
]


@pytest.fixture
def run(tmp_path, capsys):
    """A run with a whole cohort of four good recordings."""
    (tmp_path / "good").mkdir()
    table = write_table(tmp_path / "good")
    assert main(["cohort", str(table), *AAL2, "--out", str(tmp_path / "run" / "cohort")]) == 0
    capsys.readouterr()
    return tmp_path / "run"


def refused(capsys, run, *arguments):
    """Run a command that has to fail; its one line, once it is sure that nothing was harmed."""
    before = tree(run)
    assert main([str(argument) for argument in arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("fmri: ")
    assert error.count("\n") == 1
    assert tree(run) == before
    return error


@pytest.mark.parametrize(("spoil", "words"), SPOILT)
def test_a_spoilt_recording_is_named_with_what_is_wrong(tmp_path, capsys, run, spoil, words):
    table = write_table(tmp_path, **spoil)
    error = refused(capsys, run, "cohort", table, *AAL2, "--strict", "--out", run / "cohort")
    for word in words:
        assert word in error


def test_an_unreadable_recording_is_named(tmp_path, capsys, run):
    table = write_table(tmp_path)
    (tmp_path / "s3.npy").write_bytes(b"\x93NUMPY half a file")
    error = refused(capsys, run, "cohort", table, *AAL2, "--strict", "--out", run / "cohort")
    assert "s3.npy: cannot be read" in error


def test_debug_shows_where_a_recording_was_refused(tmp_path, capsys, run):
    table = write_table(tmp_path, spoil_array=one_region_short)
    assert (
        main(["cohort", str(table), *AAL2, "--strict", "--out", str(run / "cohort"), "--debug"])
        == 1
    )
    error = capsys.readouterr().err
    assert error.startswith("Traceback")
    assert error.splitlines()[-1].startswith("fmri: ")


def test_a_cohort_of_a_newer_schema_is_refused_with_both_versions(tmp_path, capsys, run):
    import shutil

    newer = tmp_path / "newer"
    shutil.copytree(run / "cohort", newer)
    (newer / "record.json").unlink()
    document = json.loads((newer / "cohort.json").read_text())
    (newer / "cohort.json").write_text(json.dumps(document | {"schema": 99}))
    error = refused(capsys, run, "describe", newer, "--out", run / "descriptors")
    for word in (str(newer), "99", "1", "upgrade"):
        assert word in error
    assert not (run / "descriptors").exists()


def test_an_unknown_key_of_a_recipe_is_named_with_the_nearest(tmp_path, capsys, run):
    recipe = tmp_path / "lab.yaml"
    recipe.write_text("describe: {features: {graph_densty: 0.2}}\n")
    line = ["describe", run / "cohort", "--out", run / "descriptors", "--config", recipe]
    error = refused(capsys, run, *line)
    assert "lab.yaml: describe.features.graph_densty: unknown key" in error
    assert "did you mean 'graph_density'?" in error


def test_a_folder_that_is_no_cohort_is_refused(tmp_path, capsys, run):
    (tmp_path / "empty").mkdir()
    error = refused(capsys, run, "describe", tmp_path / "empty", "--out", run / "descriptors")
    assert str(tmp_path / "empty") in error
