"""Run `fmri` commands in forks that die by SIGKILL just before their n-th write.

Each line of standard input is a JSON object `{"commands": [[…], …], "kill_at": n}`; the answer
is `killed`, or `ended` with the exit code when the commands made fewer writes than n. With
`null` for n they run in the server itself, which spares all later forks the imports.
"""

import contextlib
import io
import json
import os
import signal
import sys

from fmri_cli.main import main

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}


def is_write(event: str, arguments: tuple) -> bool:
    if event != "open":
        return event in CHANGES
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def die_at(n: int) -> None:
    seen = 0

    def hook(event: str, arguments: tuple) -> None:
        nonlocal seen
        if is_write(event, arguments):
            seen += 1
            if seen == n:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def code_of(commands: list[list[str]]) -> int:
    with contextlib.redirect_stdout(io.StringIO()):
        return next(filter(None, map(main, commands)), 0)


def run(commands: list[list[str]], kill_at: int | None) -> str:
    if kill_at is None:
        return f"ended {code_of(commands)}"
    child = os.fork()
    if child == 0:
        die_at(kill_at)
        os._exit(code_of(commands))
    _, status = os.waitpid(child, 0)
    return "killed" if os.WIFSIGNALED(status) else f"ended {os.waitstatus_to_exitcode(status)}"


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    for line in sys.stdin:
        sys.stdout.write(run(**json.loads(line)) + "\n")
        sys.stdout.flush()
