"""One writer a run: a lock that the kernel lets go when its holder dies, even by SIGKILL."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fmri_cli.errors import InputError


@contextmanager
def run_lock(file: Path, *, what: str) -> Iterator[None]:
    """Hold the lock of a run while the body runs.

    Parameters
    ----------
    file
        Lock file; it and its folder are created, and stay.
    what
        The command that asks, told to whoever comes second.

    Raises
    ------
    InputError
        If another process holds the lock.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    # Not opened for truncation: the second comer must still read who holds it.
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(descriptor, file)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"`fmri {what}` (process {os.getpid()})".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, file: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "another `fmri`"
        run = file.parent.parent
        msg = f"{run}: {holder} is writing here; wait until it ends or choose another --out"
        raise InputError(msg) from error
