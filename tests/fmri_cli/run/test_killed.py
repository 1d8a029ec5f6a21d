"""A process that is killed before any of its writes leaves nothing half done."""

import json
import shutil
import subprocess
import sys

import pytest

from fmri_cli.run.integrity import first_damage
from fmri_cli.run.records import read_record

from ..conftest import HERE
from ..trees import tree


@pytest.fixture
def kill_server(tiny):
    """Ask a server to run commands in a fork that dies before its n-th write."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "kill_server.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=tiny.environment(),
    )

    def ask(commands, kill_at):
        request = json.dumps({"commands": commands, "kill_at": kill_at})
        print(request, file=process.stdin, flush=True)
        return process.stdout.readline().strip()

    with process:
        yield ask
        process.stdin.close()


def test_killed_before_every_single_write_a_stage_is_whole_or_absent_and_a_rerun_ends_the_same(
    tiny, kill_server
):
    first = [tiny.draw_line("--set", "count=1"), tiny.sum_line("--set", "loop.steps=1")]
    second = [tiny.draw_line("--set", "count=2"), tiny.sum_line("--set", "loop.steps=2")]
    assert kill_server(first, None) == "ended 0"
    before = tree(tiny.run)
    shutil.copytree(tiny.run, tiny.root / "before")
    assert kill_server(second, None) == "ended 0"
    after = tree(tiny.run)

    deaths = 0
    while True:
        shutil.rmtree(tiny.run)
        shutil.copytree(tiny.root / "before", tiny.run)
        if kill_server(second, deaths + 1) != "killed":
            break
        deaths += 1
        for name in ("numbers", "total"):
            assert_old_or_new(tiny.run / name, before, after)
        assert kill_server(second, None) == "ended 0"
        assert tree(tiny.run) == after
        assert [path.name for path in (tiny.run / ".work").iterdir()] == ["lock"]
    # Fewer would mean that the writes are no longer seen.
    assert deaths > 30


def assert_old_or_new(stage, before, after):
    """A directory under its final name, if it is there at all, is one of the two whole ones."""
    if not stage.exists():
        return
    assert first_damage(stage, read_record(stage)) is None
    found = {f"{stage.name}/{name}": content for name, content in tree(stage).items()}
    whole = [
        {name: content for name, content in run.items() if name.startswith(f"{stage.name}/")}
        for run in (before, after)
    ]
    assert found in whole


def test_a_killed_training_resumes_from_its_last_checkpoint(tiny, kill_server):
    tiny.draw()
    command = [tiny.sum_line("--set", "loop.steps=500")]
    assert kill_server(command, 700) == "killed"
    (working,) = (tiny.run / ".work").glob("total-*")
    done = len(list((working / "checkpoints").glob("*.whole")))
    assert done > 100
    # Were the training to start afresh, it would not notice that its past was rewritten.
    newest = working / "checkpoints" / f"{done}.value"
    newest.write_text("1000000.0")
    assert kill_server(command, None) == "ended 0"
    assert float((tiny.run / "total" / "sum.txt").read_text()) > 1_000_000
    assert not (tiny.run / "total" / "checkpoints").exists()


@pytest.mark.parametrize(
    "left", [".tmpA1b2C3", "sum.txt.tmp", "adapter/.tmpA1", "adapter/half.bin"]
)
def test_what_a_library_left_when_it_was_killed_in_its_own_save_is_not_published(
    tiny, kill_server, left
):
    tiny.draw()
    command = [tiny.sum_line("--set", "loop.steps=50")]
    assert kill_server(command, None) == "ended 0"
    undisturbed = tree(tiny.run)
    shutil.rmtree(tiny.run / "total")
    assert kill_server(command, 60) == "killed"
    (working,) = (tiny.run / ".work").glob("total-*")
    assert list((working / "checkpoints").glob("*.whole"))
    (working / left).parent.mkdir(exist_ok=True)
    (working / left).write_bytes(b"half")
    assert kill_server(command, None) == "ended 0"
    assert tree(tiny.run) == undisturbed


def test_a_checkpoint_of_other_settings_is_never_used(tiny, kill_server):
    tiny.draw()
    assert kill_server([tiny.sum_line("--set", "loop.steps=500")], 700) == "killed"
    tiny.sum("--set", "loop.steps=2")
    values = [float((tiny.run / "numbers" / f"{index}.txt").read_text()) for index in (0, 1)]
    assert float((tiny.run / "total" / "sum.txt").read_text()) == sum(values)
    assert not list((tiny.run / ".work").glob("total-*"))


def test_what_a_killed_ordinary_stage_left_is_thrown_away(tiny, kill_server):
    assert kill_server([tiny.draw_line("--set", "count=50")], 40) == "killed"
    (working,) = (tiny.run / ".work").glob("numbers-*")
    (working / "leftover.txt").write_text("half")
    tiny.draw("--set", "count=50")
    assert not (tiny.run / "numbers" / "leftover.txt").exists()


def test_the_lock_of_a_killed_process_is_free(tiny, kill_server):
    assert kill_server([tiny.draw_line()], 5) == "killed"
    assert tiny.draw()[0] == 0
