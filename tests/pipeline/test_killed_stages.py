"""Killed at any system call, each stage of a run ends with the bytes of an undisturbed one.

The lab and its model are so small that a stage takes a moment, and the processes that are killed
are forks of one that has imported everything: so thirty-six kills fit into minutes.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fmri_cli.run.pipeline import STAGES
from fmri_cli.run_all import RunOptions, stage_lines

from .small_lab import write_lab, write_model
from .trees import tree

NAMES = [row.directory for row in STAGES]
N_CHANGES, N_WRITES = 3, 1
"""Kills of each stage: between two changes of the disk, and inside a write."""


@dataclass(frozen=True)
class Lab:
    """One small recipe, and the server that runs its stages."""

    recipe: Path
    model: Path
    server: subprocess.Popen[str]

    def run(self, directory: Path, stage: str, **kill: int) -> dict:
        """Run one stage in a fork, killed as told; its exit code and what it changed."""
        options = RunOptions(
            recipe=str(self.recipe),
            out=directory,
            sets=(f"language_model={self.model}",),
            seed=None,
            device="auto",
        )
        row, line = stage_lines(options)[NAMES.index(stage)]
        request = {"line": [row.command, *line], "folder": str(directory), **kill}
        print(json.dumps(request), file=self.server.stdin, flush=True)
        return json.loads(self.server.stdout.readline())


@pytest.fixture(scope="module")
def lab(smollm2, tmp_path_factory) -> Iterator[Lab]:
    root = tmp_path_factory.mktemp("lab")
    recipe, model = write_lab(root / "lab"), write_model(root / "model", words=smollm2)
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("kill_server.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # One thread: no pool of threads is lost in a fork.
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as server:
        yield Lab(recipe, model, server)
        server.stdin.close()


@dataclass(frozen=True)
class Undisturbed:
    """A run that nobody disturbed, and the paths that each of its stages changed, in order."""

    directory: Path
    changes: dict[str, list[str]]


@pytest.fixture(scope="module")
def undisturbed(lab, tmp_path_factory) -> Undisturbed:
    directory = tmp_path_factory.mktemp("undisturbed") / "run"
    make_lock_file(directory)
    changes = {}
    for stage in NAMES:
        told = lab.run(directory, stage)
        assert told["code"] == 0, stage
        changes[stage] = told["changes"]
    return Undisturbed(directory, changes)


def make_lock_file(run: Path) -> None:
    """Make the lock's file, which takes one change less to open where it is not there yet."""
    (run / ".work").mkdir(parents=True)
    (run / ".work" / "lock").touch()


def changes_at_work(changes: list[str], stage: str) -> list[int]:
    """Numbers, from 1, of a stage's changes in its working folder after the one that made it."""
    inside = f"/.work/{stage}-"
    return [number for number, path in enumerate(changes, start=1) if inside in path][1:]


def random_kills(undisturbed: Undisturbed, stage: str) -> list[dict[str, int]]:
    chance = random.Random(stage)
    changes = changes_at_work(undisturbed.changes[stage], stage)
    files = [path for path in (undisturbed.directory / stage).rglob("*") if path.is_file()]
    largest = max(path.stat().st_size for path in files)
    return [
        *({"change": number} for number in chance.sample(changes, N_CHANGES)),
        *({"size": chance.randrange(1, largest)} for _ in range(N_WRITES)),
    ]


def assert_hit_at_work(run: Path, stage: str, kill: dict[str, int], code: int) -> None:
    """The stage was under way: its folder of work is there, and its final name is not."""
    assert code == -(signal.SIGKILL if "change" in kill else signal.SIGXFSZ)
    assert not (run / stage).exists()
    (working,) = (run / ".work").glob(f"{stage}-*")
    if "size" in kill:
        sizes = {path.stat().st_size for path in working.rglob("*") if path.is_file()}
        # A file is cut where the write was broken off; safetensors asks for the whole length first.
        assert sizes & {kill["size"], 0}


@pytest.mark.slow
@pytest.mark.parametrize("stage", NAMES)
def test_a_stage_killed_at_random_system_calls_ends_with_the_same_files(
    lab, undisturbed, tmp_path, stage
):
    run = tmp_path / "run"
    make_lock_file(run)
    for earlier in NAMES[: NAMES.index(stage)]:
        shutil.copytree(undisturbed.directory / earlier, run / earlier)
    for kill in random_kills(undisturbed, stage):
        told = lab.run(run, stage, **kill)
        assert_hit_at_work(run, stage, kill, told["code"])
        assert lab.run(run, stage)["code"] == 0, kill
        assert tree(run / stage) == tree(undisturbed.directory / stage), kill
        assert [path.name for path in (run / ".work").iterdir()] == ["lock"]
        shutil.rmtree(run / stage)


@pytest.mark.slow
def test_what_safetensors_left_when_it_was_killed_is_gone_after_the_resume(
    lab, undisturbed, tmp_path
):
    run = tmp_path / "run"
    for earlier in ("cohort", "descriptors"):
        shutil.copytree(undisturbed.directory / earlier, run / earlier)
    half = (undisturbed.directory / "tokenizer" / "model.safetensors").stat().st_size // 2
    assert lab.run(run, "tokenizer", size=half)["code"] == -signal.SIGXFSZ
    assert list(run.rglob(".work/tokenizer-*/**/.tmp*"))
    assert lab.run(run, "tokenizer")["code"] == 0
    assert not list(run.rglob(".tmp*"))
    assert tree(run / "tokenizer") == tree(undisturbed.directory / "tokenizer")
