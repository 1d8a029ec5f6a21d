"""All stages of a run, one after another, through the commands that a user would type."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from fmri_cli import demo, screen
from fmri_cli.fingerprints import real
from fmri_cli.plugins import known_sections
from fmri_cli.run import processes
from fmri_cli.run.context import Session
from fmri_cli.run.pipeline import COMMANDS, STAGES, StageRow, Value, stage_values
from fmri_cli.run.workspace import Workspace
from fmri_cli.settings.parsing import suggestion
from fmri_cli.settings.recipes import RunSettings, load_recipe


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What the user asked of `run-all`.

    Parameters
    ----------
    recipe
        Path or built-in name of the recipe.
    out
        Directory of the run.
    sets
        Assignments `section.key=value`, or `key=value` for the keys outside the sections.
    seed
        Seed of the run; None for the recipe's.
    device
        `auto`, `cpu` or `cuda`.
    """

    recipe: str
    out: Path
    sets: tuple[str, ...]
    seed: int | None
    device: str


def run_all(ctx: click.Context, options: RunOptions, *, dry_run: bool) -> None:
    """Make every stage that is not up to date; with `dry_run`, say which and why instead.

    All stages are planned before the first one runs, so that a mistake in the settings of the
    last one is reported at once.

    Raises
    ------
    click.ClickException
        If the recipe, a setting or an input cannot be used.
    """
    processes.refuse_several("run-all")
    session = ctx.find_root().ensure_object(Session)
    session.what = "run-all"
    lines = stage_lines(options)
    if dry_run:
        _plan(ctx, session, lines)
        _print_plan(session, lines)
        return
    workspace = Workspace(options.out)
    with session.hold_existing(workspace):
        _plan(ctx, session, lines)
    with session.hold(workspace):
        for row, line in lines:
            _invoke(ctx, row.command, line)
    screen.say(f"The report is in {options.out / 'report' / 'report.html'}")


def stage_lines(options: RunOptions) -> list[tuple[StageRow, list[str]]]:
    """Every stage with the arguments that its command gets, in order."""
    written = load_recipe(options.recipe, known_sections())
    recipe = written.with_sets(options.sets, "")
    for section in recipe.sections:
        if section not in {*COMMANDS, *written.sections}:
            known = suggestion(section, {*COMMANDS, *RunSettings.__dataclass_fields__})
            raise click.ClickException(f"--set: {section}: unknown section; {known}")
    for name in recipe.top:
        if name in COMMANDS:
            raise click.ClickException(f"--set: {name}: is a section; write {name}.key=value")
    settings = recipe.run_settings()
    values = stage_values(options.out) | demo.recipe_values(recipe, settings)
    own_seed = options.seed is not None or "seed" in recipe.overridden
    seed = settings.seed if options.seed is None else options.seed
    shared = ["--config", options.recipe, *(["--seed", str(seed)] if own_seed else [])]
    if options.device != "auto":
        shared += ["--device", options.device]
    return [(row, _line(row, values, options, shared)) for row in STAGES]


def _line(
    row: StageRow,
    values: Mapping[str, Value],
    options: RunOptions,
    shared: list[str],
) -> list[str]:
    line = [*row.command_line(values), "--out", str(options.out / row.directory), *shared]
    for assignment in options.sets:
        section, _, rest = assignment.partition(".")
        if section == row.command:
            line += ["--set", rest]
    return line


def _plan(ctx: click.Context, session: Session, lines: list[tuple[StageRow, list[str]]]) -> None:
    session.planning = True
    try:
        for row, line in lines:
            _invoke(ctx, row.command, line)
    finally:
        session.planning = False


def _invoke(ctx: click.Context, name: str, line: list[str]) -> None:
    root = ctx.find_root()
    group = root.command
    command = group.get_command(root, name) if isinstance(group, click.Group) else None
    if command is None:
        raise click.ClickException(f"`fmri {name}` is not installed: pip install 'fmri-cli[all]'")
    with command.make_context(name, list(line), parent=root) as stage_ctx:
        command.invoke(stage_ctx)


def _print_plan(session: Session, lines: list[tuple[StageRow, list[str]]]) -> None:
    for row, line in lines:
        directory = Path(line[line.index("--out") + 1])
        reasons = session.plan.get(real(directory), [])
        state = f"will run: {'; '.join(reasons)}" if reasons else "up to date"
        screen.stage_line(row.directory, state)
        given = (*row.arguments, *(name for key, name in row.options.items() if key in line))
        reads = dict.fromkeys(name.replace("_", " ") for name in given)
        screen.stage_line("", f"reads {', '.join(reads)}; writes {directory}")
        screen.stage_line("", shlex.join(["fmri", row.command, *line]))
