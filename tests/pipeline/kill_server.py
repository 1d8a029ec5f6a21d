"""Run `fmri` commands in forks, undisturbed or killed at one system call.

Each line of standard input is a JSON object `{"line": […], "folder": …}`, with `"change": n` for a
fork that dies by SIGKILL before its n-th change inside the folder, or `"size": n` for one that dies
inside the write that makes a file longer than n bytes, whoever writes: Python, or a library's own
C++ or Rust. The answer has the fork's exit code (below zero: minus the signal), and of one that
came to its end the paths that it changed, in order.

What Python opens for writing, renames, makes, removes or forces onto the disk is a change.
"""

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
from pathlib import Path

from fmri_cli.main import main

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Watch:
    """Notes the changes inside a folder, and ends the process by SIGKILL before one of them."""

    def __init__(self, folder: str, change: int | None) -> None:
        self.folder, self.change, self.seen = folder, change, []

    def note(self, path: object) -> None:
        if not isinstance(path, str | os.PathLike) or not os.fspath(path).startswith(self.folder):
            return
        self.seen.append(os.fspath(path))
        if len(self.seen) == self.change:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(self, event: str, arguments: tuple) -> None:
        if event in CHANGES or (event == "open" and writes(arguments[2])):
            self.note(arguments[0])

    def begin(self) -> None:
        """Let Python and `fsync` tell what they are about to do."""
        fsync = os.fsync

        def noted_fsync(descriptor: int) -> None:
            self.note(Path(f"/proc/self/fd/{descriptor}").readlink())
            fsync(descriptor)

        os.fsync = noted_fsync
        sys.addaudithook(self.hook)


def writes(flags: object) -> bool:
    return isinstance(flags, int) and bool(flags & WRITES)


def limit_files(size: int) -> None:
    """Let the process die, without a core file, inside a write that goes beyond a size."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def work(line: list[str], watch: Watch, size: int | None, answer: int) -> None:
    """Be the fork: run the command, and tell what was changed and imported."""
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if size is not None:
        limit_files(size)
    watch.begin()
    code = main(line)
    sys.stdout.flush()
    with os.fdopen(answer, "w") as file:
        json.dump({"changes": watch.seen, "modules": sorted(sys.modules)}, file)
    os._exit(code)


def run(line: list[str], folder: str, change: int | None = None, size: int | None = None) -> dict:
    reading, answer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        work(line, Watch(folder, change), size, answer)
    os.close(answer)
    with os.fdopen(reading) as file:
        told = json.loads(file.read() or "{}")
    _, status = os.waitpid(child, 0)
    for name in told.pop("modules", ()):
        # The forks to come find the module here; it does nothing but be imported.
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    return {"code": os.waitstatus_to_exitcode(status), **told}


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    for request in sys.stdin:
        answers.write(json.dumps(run(**json.loads(request))) + "\n")
