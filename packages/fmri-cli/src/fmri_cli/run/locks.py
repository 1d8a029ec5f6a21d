"""One writer a run: a lock that the kernel lets go when its holder dies, even by SIGKILL."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fmri_cli.errors import InputError

_NO_FILE = {errno.ELOOP, errno.EISDIR, errno.ENXIO}


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
        If another process holds the lock, or something else than a file has its name.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _opened(file)
    try:
        _acquire(descriptor, file)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"`fmri {what}` (process {os.getpid()})".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _opened(file: Path) -> int:
    """Open a lock file for writing; never what a link in its place leads to."""
    # Not opened for truncation: the second comer must still read who holds it. Without waiting,
    # which the opening of a pipe would do for ever.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(file, flags, 0o644)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise _no_lock(file) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _no_lock(file)
    return descriptor


def _no_lock(file: Path) -> InputError:
    return InputError(f"{file}: is no ordinary file, so it cannot be the run's lock; remove it")


def _acquire(descriptor: int, file: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "another `fmri`"
        run = file.parent.parent
        msg = f"{run}: {holder} is writing here; wait until it ends or choose another --out"
        raise InputError(msg) from error
