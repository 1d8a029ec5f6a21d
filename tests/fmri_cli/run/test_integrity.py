"""What a command reads is what was written, and nothing outside of its folder is touched."""

import json
import os
import shutil
from pathlib import Path

import click
import pytest

from fmri_cli.fingerprints import file_digest
from fmri_cli.main import main
from fmri_cli.run import base_model, context
from fmri_cli.run.integrity import refuse_changed
from fmri_cli.run.pipeline import STAGES

from ..trees import tree


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def write_stage(directory, command, **files):
    """A stage's directory with these files and their record."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    from fmri_cli.run.records import Request, write_record

    request = Request(command=command, settings={}, seed=0, packages={}, inputs={})
    write_record(directory, request, {"summary": ""})
    return directory


def test_a_stage_refuses_an_input_with_one_flipped_bit_and_making_it_again_helps(tiny):
    tiny.draw()
    tiny.sum()
    before = tree(tiny.run / "total")
    flip_a_bit(tiny.run / "numbers" / "1.txt")
    for more in ((), ("--set", "loop.steps=5")):
        code, _, err = tiny.sum(*more)
        assert code == 1
        assert err == (
            f"fmri: {tiny.run}/numbers/1.txt: was changed since `fmri draw` wrote it; "
            "run `fmri draw` or `fmri run-all` again\n"
        )
    assert tree(tiny.run / "total") == before
    assert tiny.draw()[0] == 0
    assert tiny.sum("--set", "loop.steps=5")[0] == 0


@pytest.mark.parametrize("row", STAGES[:-1], ids=[row.directory for row in STAGES[:-1]])
@pytest.mark.parametrize("damage", ["flipped", "missing", "longer"])
def test_the_report_reads_no_file_that_was_changed(tmp_path, capsys, row, damage):
    run = tmp_path / "run"
    for stage in STAGES[:-1]:
        files = {"data.json": b"{}", "test/data-00000-of-00001.arrow": b"ARROW1", "w.bin": b"12"}
        write_stage(run / stage.directory, stage.command, **files)
    for name in ("data.json", "test/data-00000-of-00001.arrow", "w.bin"):
        file = run / row.directory / name
        kept = file.read_bytes()
        if damage == "flipped":
            flip_a_bit(file)
        elif damage == "missing":
            file.unlink()
        else:
            file.write_bytes(kept + b"\n")
        assert main(["report", str(run)]) == 1
        told = capsys.readouterr().err
        assert told.startswith(f"fmri: {file}: ")
        assert told.endswith(f"run `fmri {row.command}` or `fmri run-all` again\n")
        file.write_bytes(kept)


@pytest.mark.parametrize("stage", ["tokens", "instructions", "tuned-model"])
def test_ask_reads_no_file_that_was_changed(tmp_path, capsys, stage):
    for row in STAGES:
        write_stage(tmp_path / row.directory, row.command, **{"brain.safetensors": b"weights"})
    flip_a_bit(tmp_path / stage / "brain.safetensors")
    assert main(["ask", str(tmp_path), "NAP_001", "How old?"]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"fmri: {tmp_path / stage}/brain.safetensors: was changed since `fmri ")


RECORDS = {
    "no JSON": b"{",
    "a list": b"[1]",
    "no outputs": b'{"schema": 1, "command": "draw", "digest": "0"}',
    "deep": b"[" * 100_000,
    "no text": b"\xff\xfe",
}


@pytest.mark.parametrize("content", RECORDS.values(), ids=RECORDS)
def test_a_record_that_cannot_be_read_is_one_line_and_the_stage_is_made_again(tiny, content):
    tiny.draw()
    record = tiny.run / "numbers" / "record.json"
    record.write_bytes(content)
    code, _, err = tiny.sum()
    assert (code, err) == (1, f"fmri: {record}: cannot be read; make numbers again\n")
    assert "runs again: record.json cannot be read" in tiny.draw()[1]
    assert tiny.sum()[0] == 0


@pytest.mark.parametrize("key", ["outputs", "digest", "settings", "inputs", "command", "seed"])
@pytest.mark.parametrize("value", [None, 3, ["x"]])
def test_a_record_whose_parts_are_of_another_kind_is_no_record(tiny, key, value):
    tiny.draw()
    path = tiny.run / "numbers" / "record.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {key: value}))
    if key == "seed":
        assert "seed changed" in tiny.draw()[1]
    else:
        assert "record.json cannot be read" in tiny.draw()[1]


def test_a_record_cannot_send_the_reader_to_another_folder(tiny, tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    digest = {"size": 4, "sha256": file_digest(outside)}
    stage = write_stage(tmp_path / "stage", "draw", **{"0.txt": b"1"})
    record = json.loads((stage / "record.json").read_text())
    record["outputs"] = {"../outside.txt": digest}
    (stage / "record.json").write_text(json.dumps(record))
    with pytest.raises(click.ClickException, match=r"record\.json: was changed"):
        refuse_changed(stage)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("dataset_dict.json", {"splits": ["train", "../../elsewhere"]}),
        ("dataset_dict.json", {"splits": ["/etc"]}),
        ("state.json", {"_data_files": [{"filename": "../../../elsewhere.arrow"}]}),
        ("train/state.json", {"_data_files": [{"filename": "/tmp/elsewhere.arrow"}]}),
    ],
)
def test_a_saved_dataset_cannot_name_a_file_outside_of_its_folder(tiny, tmp_path, file, content):
    path = tmp_path / "cohort" / file
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))
    code, _, err = tiny.fmri("sum", str(tmp_path / "cohort"), "--out", str(tiny.run / "total"))
    assert (code, err.count("\n")) == (1, 1)
    assert f"{path}: leads to '" in err
    assert "out of its folder" in err


def test_a_lock_that_is_a_link_is_refused_and_its_target_kept(tiny):
    thesis = tiny.root / "thesis.txt"
    thesis.write_text("mine")
    (tiny.run / ".work").mkdir(parents=True)
    (tiny.run / ".work" / "lock").symlink_to(thesis)
    code, _, err = tiny.draw()
    assert (code, err.count("\n")) == (1, 1)
    assert f"{tiny.run}/.work/lock: is not a regular file" in err
    assert thesis.read_text() == "mine"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_a_lock_that_is_no_file_is_refused_at_once(tiny, make):
    (tiny.run / ".work").mkdir(parents=True)
    make(tiny.run / ".work" / "lock")
    code, _, err = tiny.draw()
    assert (code, err.count("\n")) == (1, 1)
    assert f"{tiny.run}/.work/lock: " in err


def test_a_hidden_folder_that_is_a_link_is_refused_and_nothing_behind_it_is_removed(tiny):
    elsewhere = tiny.root / "elsewhere"
    (elsewhere / "discarded-0").mkdir(parents=True)
    (elsewhere / "discarded-0" / "thesis.txt").write_text("mine")
    tiny.run.mkdir()
    (tiny.run / ".work").symlink_to(elsewhere)
    code, _, err = tiny.draw()
    assert (code, err.count("\n")) == (1, 1)
    assert f"{tiny.run}/.work: is a link" in err
    assert [path.name for path in elsewhere.rglob("*")] == ["discarded-0", "thesis.txt"]


def test_a_stage_whose_name_is_a_link_is_replaced_and_what_it_led_to_is_kept(tiny):
    tiny.draw()
    (tiny.run / "numbers").rename(tiny.root / "shared")
    (tiny.run / "numbers").symlink_to(tiny.root / "shared")
    before = tree(tiny.root / "shared")
    assert tiny.draw("--set", "count=1")[0] == 0
    assert not (tiny.run / "numbers").is_symlink()
    assert tree(tiny.root / "shared") == before
    assert [path.name for path in (tiny.run / ".work").iterdir()] == ["lock"]


@pytest.fixture
def model(tmp_path):
    """A folder that looks like a base language model, in a working directory of its own."""
    folder = tmp_path / "lab" / "base"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_a_base_named_by_a_relative_folder_is_known_by_its_absolute_path(model, monkeypatch):
    monkeypatch.chdir(model.parent)
    assert base_model.from_anywhere("base") == str(model)
    assert base_model.from_anywhere("owner/name") == "owner/name"


def test_a_packaged_base_goes_before_a_folder_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smollm2-135m-instruct").mkdir()
    assert base_model.from_anywhere("smollm2-135m-instruct") == "smollm2-135m-instruct"


@pytest.mark.parametrize("change", ["weights", "another file", "one file less"])
def test_a_change_of_the_base_is_noticed(model, change):
    before = base_model.model_digest(str(model))
    if change == "weights":
        flip_a_bit(model / "model.safetensors")
    elif change == "another file":
        (model / "tokenizer.json").write_text("{}")
    else:
        (model / "chat_template.jinja").unlink()
    assert base_model.model_digest(str(model)) != before


def test_what_a_download_leaves_beside_the_base_does_not_count(model):
    before = base_model.model_digest(str(model))
    (model / ".cache").mkdir()
    (model / "README.md").write_text("card")
    assert base_model.model_digest(str(model)) == before


def test_a_model_on_a_base_that_was_changed_is_refused(model, tmp_path):
    trained = tmp_path / "run" / "tuned-model"
    trained.mkdir(parents=True)
    (trained / "config.json").write_text(json.dumps({"base_model": str(model)}))
    record = base_model.facts_of(trained)
    base_model.refuse_changed(trained, record)
    flip_a_bit(model / "model.safetensors")
    with pytest.raises(
        click.ClickException, match=r"base: was changed since .*tuned-model was trained on it"
    ):
        base_model.refuse_changed(trained, record)


def test_the_input_named_language_model_is_compared_by_content(model, monkeypatch):
    monkeypatch.chdir(model.parent)
    value = context._from_anywhere("language_model", "base")
    before = context._fingerprint("language_model", value)
    monkeypatch.chdir("/")
    assert context._fingerprint("language_model", value) == before
    flip_a_bit(model / "model.safetensors")
    assert context._fingerprint("language_model", value) != before


def test_a_file_changed_within_a_process_gets_a_new_digest(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"1")
    long_ago = file.stat().st_mtime - 100
    first = file_digest(file)
    os.utime(file, (long_ago, long_ago))
    file.write_bytes(b"2")
    assert file_digest(file) != first


def test_a_copy_elsewhere_is_read(tiny):
    tiny.draw()
    shutil.copytree(tiny.run / "numbers", tiny.root / "copy")
    line = ["sum", str(tiny.root / "copy"), "--out", str(tiny.run / "total")]
    assert tiny.fmri(*line)[0] == 0
    assert Path(tiny.run / "total" / "sum.txt").is_file()
