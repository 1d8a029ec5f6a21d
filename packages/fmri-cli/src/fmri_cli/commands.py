"""The commands of this package: `run-all`, `report`, `ask`, `doctor`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from fmri_cli.plugins import debug_option, shared_options
from fmri_cli.run import base_model
from fmri_cli.run.context import Context
from fmri_cli.run.stage import Stage


@click.command("run-all", short_help="All stages that are not up to date.")
@click.argument("recipe", required=False)
@click.option("--demo", is_flag=True, help="Run the built-in demo; the same as the recipe `demo`.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Directory of the run.",
)
@click.option("--dry-run", is_flag=True, help="Say what would run and why; write nothing.")
@shared_options
@click.pass_context
def run_all(
    ctx: click.Context,
    /,
    recipe: str | None,
    out: Path,
    sets: tuple[str, ...],
    seed: int | None,
    device: str,
    *,
    demo: bool,
    dry_run: bool,
) -> None:
    """Make every stage of RECIPE, or of the demo, that is not up to date.

    Keys of --set begin with the stage's command: fit-tokenizer.loop.steps=200.
    """
    from fmri_cli.run_all import RunOptions, run_all
    from fmri_cli.runtime import stay_offline

    if demo == (recipe is not None):
        raise click.UsageError("Give either a RECIPE or --demo.")
    if demo:
        stay_offline()
    options = RunOptions(recipe=recipe or "demo", out=out, sets=sets, seed=seed, device=device)
    run_all(ctx, options, dry_run=dry_run)


@click.command("report", short_help="Write report.html about a run.")
@click.argument("run", type=click.Path(path_type=Path))
@click.pass_obj
def report(context: Context, run: Path) -> None:
    """Write report.html about the stages of RUN (into RUN/report unless --out is given)."""
    from fmri_cli.ask import require_stages
    from fmri_cli.report.settings import ReportSettings
    from fmri_cli.run.pipeline import STAGES
    from fmri_cli.run.records import requests_of

    stages = [run / row.directory for row in STAGES if row.command != "report"]
    if not context.session.planning:
        require_stages(run, *(stage.name for stage in stages))
    requests = requests_of(stages)
    context = replace(context, out=context.out or run / "report")
    context.run(
        _report,
        ReportSettings,
        stages=stages,
        settings=requests["settings"],
        seeds=requests["seeds"],
        packages=requests["packages"],
    )


def _report(stage: Stage, stages: list[Path], **_requests: dict[str, Any]) -> str:
    from fmri_cli.report import write_report

    return write_report(stages[0].parent, stage.directory, stage.settings, progress=stage.progress)


@click.command("ask", short_help="Answer a question about a held-out scan.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("scan")
@click.argument("question")
@click.option("--answers", metavar="A,B", help="Possible answers, separated by commas.")
@debug_option()
def ask(run: Path, scan: str, question: str, answers: str | None) -> None:
    """Answer QUESTION about SCAN, a held-out scan of RUN, with the answers' probabilities."""
    from fmri_cli.ask import answer_lines
    from fmri_cli.screen import say

    choices = tuple(part.strip() for part in (answers or "").split(",") if part.strip())
    for line in answer_lines(run, scan, question, choices):
        say(line)


@click.command("doctor", short_help="Say whether this machine is ready.")
@click.option("--json", "for_program", is_flag=True, help="Print JSON, for a program.")
@click.option(
    "--language-model",
    default=base_model.DEMO,
    metavar="NAME",
    help="Base language model to probe: packaged model, folder or Hugging Face hub id.",
)
@debug_option()
@click.pass_context
def doctor(ctx: click.Context, /, *, for_program: bool, language_model: str) -> None:
    """Look at versions, devices, kernels, demo files, base and folders; exit with 1 for a problem.

    Every line is ok, a note or a problem, with what to do about it.
    """
    from fmri_cli.doctor import as_json, examine, is_ready, screen_lines
    from fmri_cli.screen import say

    findings = examine(language_model)
    for line in as_json(findings).splitlines() if for_program else screen_lines(findings):
        say(line)
    ctx.exit(0 if is_ready(findings) else 1)
