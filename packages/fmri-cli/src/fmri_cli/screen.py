"""What the user sees of a run: one bar while a stage works, one line when it is done."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ProgressCallback = Callable[[int, int], None]

_NAME_WIDTH = 15


# Characters that steer a terminal instead of being shown: control codes (C0, C1), the marks that
# turn the direction of what follows, and halves of characters, which no terminal can encode.
_STEERING = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(line: str) -> str:
    """Write a line so that a terminal only shows it: what would steer it is spelt out."""
    return _STEERING.sub(lambda found: ascii(found.group())[1:-1], line)


def say(line: str) -> None:
    """Print one line to standard output."""
    import click

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
    """Show a bar on standard error while the body runs; nothing if that is no terminal.

    Yields
    ------
    callable
        `progress(done, total)`, to be called as often as one likes.
    """
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
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
