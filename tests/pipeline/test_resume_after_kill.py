"""A run resumes after SIGKILL, and ends with the artefacts of an undisturbed one."""

import shutil
import signal
import time

import pytest

from .trees import tree

PATIENCE = 600  # s, for one stage on a busy machine


def checkpoint_of(stage):
    """Tell whether a training stage has a whole checkpoint behind it."""
    return lambda run: any(run.glob(f".work/{stage}-*/checkpoints/checkpoint-*"))


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
    pipeline, finished, tmp_path
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
        with pipeline.start(run) as process:
            kill_when(process, run, moment)
    with pipeline.start(run) as process:
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "language-model  up to date" in output
    assert tree(run) == tree(finished.directory)
