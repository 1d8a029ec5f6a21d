"""Killed again and again, the road ends where it ends when nobody disturbs it."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .trees import tree

PATIENCE = 120  # s, for one stage on a busy machine


def checkpoint_of(stage):
    """Tell whether a training stage has a whole checkpoint behind it."""
    return lambda run: any(run.glob(f".work/{stage}-*/checkpoints/*/whole.json"))


def whole(stage):
    """Tell whether a stage has its final name, so that the next one is about to begin."""
    return lambda run: (run / stage).is_dir()


def kill_when(process, run, moment):
    """Kill a run by SIGKILL as soon as a moment has come."""
    deadline = time.monotonic() + PATIENCE
    while not moment(run):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL
    return output


@pytest.mark.slow
def test_a_run_killed_in_every_training_and_between_stages_ends_with_the_same_artefacts(
    road, finished, tmp_path
):
    run = tmp_path / "run"
    run.mkdir()
    # These two stages are no training, and were killed at every write in the tests of the CLI.
    for stage in ("cohort", "descriptors"):
        shutil.copytree(finished.directory / stage, run / stage)
    for moment in (
        checkpoint_of("tokenizer"),
        whole("tokens"),
        checkpoint_of("language-model"),
        checkpoint_of("tuned-model"),
    ):
        with road.start(run) as process:
            kill_when(process, run, moment)
    with road.start(run) as process:
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "language-model  up to date" in output
    assert tree(run) == tree(finished.directory)


@pytest.mark.slow
def test_the_demo_killed_at_any_second_ends_with_the_same_artefacts(road, finished, tmp_path):
    run = tmp_path / "run"
    for seconds in (4, 11, 17, 23, 29, 31):
        with road.start(run) as process:
            time.sleep(seconds)
            process.kill()
    with road.start(run) as process:
        _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert tree(run) == tree(finished.directory)


N_KILLS = 30
KILLER = Path(__file__).with_name("killer.py")


def killed_before(road, run, number):
    """Whether a run was killed before its n-th change; otherwise how many changes it made."""
    command = [sys.executable, str(KILLER), str(run), str(number), *road.arguments(run)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode == -signal.SIGKILL:
        return None
    assert done.returncode == 0, done.stderr
    return int(done.stdout.rpartition("changes: ")[2])


@pytest.mark.slow
def test_killed_at_thirty_random_system_calls_a_run_ends_with_the_same_artefacts(
    road, finished, tmp_path
):
    counted = tmp_path / "counted"
    changes = killed_before(road, counted, 0)
    assert changes > 10 * N_KILLS
    assert tree(counted) == tree(finished.directory)
    chance, kills, n_runs = random.Random(0), 0, 0
    while kills < N_KILLS:
        run = tmp_path / f"run-{n_runs}"
        n_runs += 1
        while kills < N_KILLS:
            if killed_before(road, run, chance.randint(1, 2 * changes // N_KILLS)) is not None:
                break
            # It was at work: a stage is being prepared, or two of its names are being changed.
            assert [path for path in (run / ".work").iterdir() if path.name != "lock"]
            kills += 1
        assert killed_before(road, run, 0) is not None
        assert tree(run) == tree(finished.directory)
