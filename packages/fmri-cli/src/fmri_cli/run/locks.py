"""One writer a run: a lock that the kernel releases when its holder dies, even by SIGKILL."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from filelock import FileLock, Timeout


@contextmanager
def run_lock(file: Path, *, what: str) -> Iterator[None]:
    """Hold the lock of a run while the body runs.

    Parameters
    ----------
    file
        Lock file; it and its folder are created, and stay. It names its holder.
    what
        The command that asks, named to a second writer.

    Raises
    ------
    click.ClickException
        If another process holds the lock, or something else than a file has its name.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(file) and not stat.S_ISREG(file.lstat().st_mode):
        raise click.ClickException(
            f"{file}: is not a regular file, so it cannot be the run's lock; remove it"
        )
    # Without flock a lock would outlive a killed process, so a file system must have it.
    lock = FileLock(file, mode=0o644, blocking=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as error:
        holder = file.read_text(errors="replace") or "another `fmri`"
        msg = f"{file.parent.parent}: {holder} is writing here; wait or choose another --out"
        raise click.ClickException(msg) from error
    try:
        file.write_text(f"`fmri {what}` (process {os.getpid()})")
        yield
    finally:
        lock.release()
