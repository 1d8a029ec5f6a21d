"""Runs a command and ends it, with all its children, when whoever started it goes away.

Run as ``python -m fmri_descriptors.rewrite.guard COMMAND...`` with a pipe as standard input: the
pipe closes when its other end ends, by whatever way, and then the command is ended.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

_GRACE = 5.0  # s between asking the command to end and ending it


def run_guarded(command: Sequence[str]) -> int:
    """Run a command until it ends or standard input does, and return its exit code."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
    threading.Thread(target=_end_with_input, args=(process,), daemon=True).start()
    return process.wait()


def _end_with_input(process: "subprocess.Popen[bytes]") -> None:
    sys.stdin.buffer.read()
    _signal(process, signal.SIGTERM)
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGKILL)


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    # A signal to all that a terminal or a batch system started must not end the guard before it
    # has ended the command; the closed pipe says when to. Unlike an ignored signal, one with a
    # handler is not ignored by the command too.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    sys.exit(run_guarded(sys.argv[1:]))
