"""Two real stages and a plain command, small enough to be killed at every single step.

`conftest.py` installs this file as a package of its own, with entry points.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

import click


class RefusedError(ValueError):
    exit_code = 1


@dataclass(frozen=True, kw_only=True)
class Loop:
    steps: int = 3

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise RefusedError(f"steps: {self.steps}; give at least 1")


@dataclass(frozen=True, kw_only=True)
class DrawSettings:
    count: int = 3
    scale: float = 1.0
    names: tuple[str, ...] = ()
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class SumSettings:
    loop: Loop = field(default_factory=Loop)


@click.command("draw")
@click.argument("source", type=click.Path(path_type=Path))
@click.pass_obj
def draw(context, source: Path) -> None:
    """Draw numbers."""
    context.run(_draw, DrawSettings, source=source)


def _draw(stage, source):
    if "bad" in source.read_text():
        raise RefusedError(f"{source.name}: says bad; say good")
    if "bug" in source.read_text():
        raise KeyError("bug")
    generator = random.Random(stage.seed)
    numbers = [generator.random() * stage.settings.scale for _ in range(stage.settings.count)]
    for index, number in enumerate(numbers):
        (stage.directory / f"{index}.txt").write_text(f"{number}\n")
        stage.progress(index + 1, len(numbers))
    stage.note(generator="Mersenne Twister")
    return f"{len(numbers)} numbers"


@click.command("sum")
@click.argument("numbers", type=click.Path(path_type=Path))
@click.pass_obj
def add(context, numbers: Path) -> None:
    """Sum numbers, one number a step."""
    context.run(_add, SumSettings, resumable=True, numbers=numbers)


def _add(stage, numbers):
    checkpoints = stage.directory / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    values = [float(path.read_text()) for path in sorted(numbers.glob("*.txt"))]
    steps = stage.settings.loop.steps
    # A step counts once its marker, which is written last, is there.
    whole = [int(path.stem) for path in checkpoints.glob("*.whole")]
    start = max(whole, default=0)
    total = float((checkpoints / f"{start}.value").read_text()) if start else 0.0
    for step in range(start, steps):
        total += values[step % len(values)]
        (checkpoints / f"{step + 1}.value").write_text(repr(total))
        (checkpoints / f"{step + 1}.whole").touch()
    (stage.directory / "sum.txt").write_text(repr(total))
    return f"sum over {steps} steps"


@click.command("show")
@click.argument("word")
def show(word: str) -> None:
    if word == "bad":
        raise RefusedError(f"word: {word}; say good")
    click.echo(word)
