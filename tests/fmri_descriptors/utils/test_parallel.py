"""Worker processes: they end with whoever started them, and their death is one line."""

import os
import signal
import subprocess
import sys
import time

import pytest

from fmri_descriptors.errors import InputError
from fmri_descriptors.utils.parallel import map_ordered

PATIENCE = 60  # s, for starting workers on a busy machine
BUSY = """
import os, sys, time
from pathlib import Path
from fmri_descriptors.utils.parallel import map_ordered

def work(item):
    folder, seconds = item
    Path(folder, str(os.getpid())).touch()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass

if __name__ == "__main__":
    list(map_ordered(work, [(sys.argv[1], 600.0)] * 2, jobs=2))
"""


def is_alive(process):
    """Whether a process still computes; one that only waits to be collected does not."""
    try:
        with open(f"/proc/{process}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")  # noqa: PTH112
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_busy_workers_end_soon_after_their_parent_was_killed(tmp_path, number):
    script = tmp_path / "busy.py"
    script.write_text(BUSY)
    folder = tmp_path / "workers"
    folder.mkdir()
    command = [sys.executable, str(script), str(folder)]
    parent = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: len(list(folder.iterdir())) == 2)
        workers = [int(path.name) for path in folder.iterdir()]
        assert all(map(is_alive, workers))
    finally:
        parent.send_signal(number)
        parent.wait()
    wait_until(lambda: not any(map(is_alive, workers)))


def die(_item):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_is_told_in_one_line_with_what_to_do():
    with pytest.raises(InputError, match=r"^jobs: 2; a worker process was killed.*fewer jobs"):
        list(map_ordered(die, range(4), jobs=2))
