"""Commands found in the installed packages, each loaded only when it is used."""

import copy
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from fmri_cli.run.context import Context, Session
from fmri_cli.run.pipeline import COMMANDS, SETTINGS, row_of
from fmri_cli.settings.recipes import Recipe, load_recipe
from fmri_cli.settings.rows import setting_rows, settings_class

GROUP = "fmri.commands"
"""Entry points of commands that make a stage: they are handed a `Context`."""

PLAIN_GROUP = "fmri.plain_commands"
"""Entry points of commands that make no stage, such as one that prints; they run as they are."""


class CommandGroup(click.Group):
    """`fmri`: its own commands, and the stages of whatever packages are installed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Stages in the order of a run, other stages, plain commands, the group's own commands."""
        others = sorted(set(stage_entry_points()) - set(COMMANDS))
        plain = sorted(plain_entry_points())
        return [*COMMANDS, *others, *plain, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Command of a name; one that cannot be loaded is replaced by one that says why."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        plain = plain_entry_points().get(cmd_name)
        entry_point = plain or stage_entry_points().get(cmd_name)
        if entry_point is None:
            known = row_of(cmd_name) is not None
            return _refusing(cmd_name, "is not installed", "install") if known else None
        try:
            command = entry_point.load()
        except ImportError as error:
            return _unusable(cmd_name, entry_point, error)
        if plain is not None:
            return _plain_command(command)
        distribution = entry_point.dist.name if entry_point.dist else ""
        return stage_command(cmd_name, command, distribution)


def stage_entry_points() -> dict[str, metadata.EntryPoint]:
    """Entry points of stage commands, by the command's name."""
    return {point.name: point for point in metadata.entry_points(group=GROUP)}


def plain_entry_points() -> dict[str, metadata.EntryPoint]:
    """Entry points of commands that make no stage, by the command's name."""
    return {point.name: point for point in metadata.entry_points(group=PLAIN_GROUP)}


def known_sections() -> set[str]:
    """Sections that a recipe may have: one for each stage there is, a part of a run or not."""
    return {*SETTINGS, *stage_entry_points()}


def debug_option() -> Callable[..., Any]:
    """`--debug`, which every command has."""

    def switch_on(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value:
            ctx.find_root().ensure_object(Session).debug = True

    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=switch_on,
        help="Show the traceback of an error.",
    )


def shared_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that stages and `run-all` have in common."""
    options = (
        click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change a setting."),
        click.option("--seed", type=int, help="Seed of the run, before the recipe's."),
        click.option(
            "--device",
            type=click.Choice(["auto", "cpu", "cuda"]),
            default="auto",
            show_default=True,
            help="Where torch computes.",
        ),
        debug_option(),
    )
    for option in reversed(options):
        function = option(function)
    return function


def stage_command(name: str, command: click.Command, distribution: str) -> click.Command:
    """Command of a package with the options of a stage, run inside a `Context`."""

    @click.option(
        "--out", type=click.Path(path_type=Path, file_okay=False), help="Directory to write."
    )
    @click.option("--config", metavar="FILE", help="Recipe whose section to use.")
    @shared_options
    @click.pass_context
    def in_context(
        ctx: click.Context,
        /,
        out: Path | None,
        config: str | None,
        sets: tuple[str, ...],
        seed: int | None,
        device: str,
        **arguments: Any,
    ) -> None:
        session = ctx.find_root().ensure_object(Session)
        session.what = session.what or name
        recipe = load_recipe(config, known_sections()) if config else Recipe()
        recipe = recipe.with_sets(sets, name)
        ctx.obj = Context(
            session=session,
            command=name,
            distribution=distribution,
            out=out,
            recipe=recipe,
            seed=recipe.run_settings().seed if seed is None else seed,
            device=device,
        )
        if command.callback is not None:
            ctx.invoke(command.callback, **arguments)

    whole = copy.copy(command)
    whole.epilog = None
    whole.__class__ = StageCommand
    whole.params = [*command.params, *reversed(in_context.__click_params__)]  # type: ignore[attr-defined]
    whole.callback = in_context
    return whole


class StageCommand(click.Command):
    """Command of a stage, whose help also lists its settings."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the settings with defaults and meanings after the options."""
        super().format_epilog(ctx, formatter)
        place = SETTINGS.get(self.name or "")
        if place is None:
            return
        rows = [
            (f"{row.key}={row.default}" if row.default else row.key, row.meaning)
            for row in setting_rows(settings_class(place))
        ]
        if rows:
            with formatter.section(f"Settings (--set KEY=VALUE, or section {self.name}: of FILE)"):
                formatter.write_dl(rows)


def _plain_command(command: click.Command) -> click.Command:
    """Command of a package as it is, with `--debug`."""
    whole = copy.copy(command)
    whole.params = [*command.params]
    return debug_option()(whole)


def _unusable(name: str, point: metadata.EntryPoint, error: ImportError) -> click.Command:
    package = point.dist.name if point.dist else point.value
    return _refusing(name, f"of {package} cannot be loaded ({error})", "install --upgrade")


def _refusing(name: str, problem: str, pip: str) -> click.Command:
    row = row_of(name)
    extra = row.extra if row else "all"
    message = f"`fmri {name}` {problem}: pip {pip} 'fmri-cli[{extra}]'"

    def refuse(**_: Any) -> None:
        raise click.ClickException(message)

    return click.Command(
        name,
        callback=refuse,
        short_help="(not installed)",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
