"""What the user sees of a run: one bar while a stage works, one line when it is done."""

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

ProgressCallback = Callable[[int, int], None]

LOG_EVERY = 60.0  # s between two lines about a stage at work, where there is no terminal

_NAME_WIDTH = 15


# Characters that steer a terminal instead of being shown: control codes (C0, C1), the marks that
# turn the direction of what follows, and halves of characters, which no terminal can encode.
_STEERING = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(line: str) -> str:
    """Write a line so that a terminal only shows it: what would steer it is spelt out."""
    return _STEERING.sub(lambda found: ascii(found.group())[1:-1], line)


def say(line: str) -> None:
    """Print one line to standard output."""
    click.echo(printable(line))


def stage_line(name: str, text: str, seconds: float | None = None) -> None:
    """Print a stage's name, what there is to say of it, and how long it took."""
    took = "" if seconds is None else f" ({duration(seconds)})"
    say(f"{name:<{_NAME_WIDTH}} {text}{took}")


def duration(seconds: float) -> str:
    """Time in words: `0.4 s`, `38 s`, `2 min 05 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


@contextmanager
def progress_bar(name: str) -> Iterator[ProgressCallback]:
    """Show on standard error how far the body is: a bar on a terminal, otherwise a line a minute.

    Yields
    ------
    callable
        `progress(done, total)`, to be called as often as one likes.
    """
    with _bar(name) if sys.stderr.isatty() else _log(name) as progress:
        yield progress


@contextmanager
def _log(name: str) -> Iterator[ProgressCallback]:
    """Write how far a stage is, and since when it works, into what may be a log."""
    ended = threading.Event()
    started = time.monotonic()
    counted: list[str] = []

    def write() -> None:
        while not ended.wait(LOG_EVERY):
            since = duration(time.monotonic() - started)
            text = f"{counted[-1] if counted else 'at work'} after {since}"
            click.echo(printable(f"{name:<{_NAME_WIDTH}} {text}"), err=True)

    def progress(done: int, total: int) -> None:
        counted[:] = [f"{done:,} of {total:,}"]

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        yield progress
    finally:
        ended.set()
        writer.join()


@contextmanager
def _bar(name: str) -> Iterator[ProgressCallback]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn(f"{{task.description:<{_NAME_WIDTH}}}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(printable(name), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
