"""Run `fmri` in this process and kill it before its n-th change inside a folder.

Arguments: the folder, n (0 counts only and prints the number), and those of `fmri`. What Python
opens for writing, renames, makes, removes or forces onto the disk counts, and so does each weight
file that safetensors writes: killed there, it leaves what that library leaves, a part under a name
of its own.
"""

import os
import signal
import sys
from pathlib import Path

import safetensors.torch

from fmri_cli.main import main

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Killer:
    """Counts changes inside a folder, and ends the process by SIGKILL before one of them."""

    def __init__(self, folder: str, number: int) -> None:
        self.folder, self.number, self.seen = folder, number, 0

    def note(self, path: object) -> None:
        """Count a change of a path; die if its turn has come."""
        if self.is_next(path):
            os.kill(os.getpid(), signal.SIGKILL)

    def is_next(self, path: object) -> bool:
        if not isinstance(path, str | os.PathLike) or not os.fspath(path).startswith(self.folder):
            return False
        self.seen += 1
        return self.seen == self.number

    def hook(self, event: str, arguments: tuple) -> None:
        if event in CHANGES or (event == "open" and _writes(arguments[2])):
            self.note(arguments[0])


def _writes(flags: object) -> bool:
    return isinstance(flags, int) and bool(flags & WRITES)


def install(killer: Killer) -> None:
    """Let Python, `fsync` and safetensors tell the killer what they are about to do."""
    fsync, serialize = os.fsync, safetensors.torch.serialize_file

    def noted_fsync(descriptor: int) -> None:
        killer.note(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    def noted_serialize(tensors: dict, filename: str, metadata: dict | None = None) -> None:
        if killer.is_next(filename):
            Path(filename).with_name(".tmpKilled").write_bytes(b"half of the weights")
            os.kill(os.getpid(), signal.SIGKILL)
        serialize(tensors, filename, metadata)

    os.fsync = noted_fsync
    safetensors.torch.serialize_file = noted_serialize
    sys.addaudithook(killer.hook)


if __name__ == "__main__":
    killer = Killer(sys.argv[1], int(sys.argv[2]))
    install(killer)
    code = main(sys.argv[3:])
    sys.stdout.write(f"changes: {killer.seen}\n")
    sys.exit(code)
