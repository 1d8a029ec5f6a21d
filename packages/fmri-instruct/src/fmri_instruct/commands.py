"""Stages as commands: `make-instructions`, `tune`, `evaluate`, `evaluate-folds`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fmri_instruct.settings import (
    EvaluateFoldsSettings,
    EvaluateSettings,
    MakeInstructionsSettings,
    TuneSettings,
)

if TYPE_CHECKING:
    from fmri_instruct.tasks.definitions import Task
    from fmri_vqtok.stage import Context, Stage

FOLDER = click.Path(path_type=Path)


@click.command("make-instructions")
@click.argument("cohort", type=FOLDER)
@click.argument("descriptors", type=FOLDER)
@click.option(
    "--tasks",
    type=FOLDER,
    help="Tasks file (YAML), or the name of a ready one, such as ukb. Left out: the demo's.",
)
@click.option(
    "--paraphrase-with",
    metavar="URL",
    help="OpenAI-compatible endpoint, up to /v1, whose model rewords the questions of training "
    "scans; the model is make-instructions.paraphrase.model. Nothing of a scan or person is sent.",
)
@click.pass_obj
def make_instructions(
    context: "Context",
    cohort: Path,
    descriptors: Path,
    tasks: Path | None,
    paraphrase_with: str | None,
) -> None:
    """Write questions and answers about the scans of a cohort, in three paradigms."""
    from fmri_instruct.tasks.definitions import load_tasks
    from fmri_instruct.tasks.ready import find_tasks

    # Checked at once: a mistake in the questions would else show after the stages before.
    load_tasks(tasks)
    context.run(
        _make_instructions,
        MakeInstructionsSettings,
        cohort=cohort,
        descriptors=descriptors,
        tasks=find_tasks(tasks),
        paraphrase_with=paraphrase_with,
    )


@click.command("tune")
@click.argument("model", type=FOLDER)
@click.argument("tokens", type=FOLDER)
@click.argument("instructions", type=FOLDER)
@click.pass_obj
def tune(context: "Context", model: Path, tokens: Path, instructions: Path) -> None:
    """Tune a language model on the instructions of the training scans."""
    context.run(
        _tune, TuneSettings, resumable=True, model=model, tokens=tokens, instructions=instructions
    )


@click.command("evaluate")
@click.argument("model", type=FOLDER)
@click.argument("tokens", type=FOLDER)
@click.argument("instructions", type=FOLDER)
@click.argument("cohort", type=FOLDER)
@click.option(
    "--descriptors", type=FOLDER, help="Descriptors of the cohort, for a baseline that sees them."
)
@click.pass_obj
def evaluate(
    context: "Context",
    model: Path,
    tokens: Path,
    instructions: Path,
    cohort: Path,
    descriptors: Path | None,
) -> None:
    """Score a model on held-out subjects, with baselines beside every score."""
    context.run(
        _evaluate,
        EvaluateSettings,
        model=model,
        tokens=tokens,
        instructions=instructions,
        cohort=cohort,
        descriptors=descriptors,
    )


@click.command("evaluate-folds")
@click.argument("evaluations", type=FOLDER, nargs=-1, required=True)
@click.pass_obj
def evaluate_folds(context: "Context", evaluations: tuple[Path, ...]) -> None:
    """Score the held-out subjects of several runs together.

    EVALUATIONS are the folders `evaluation` of runs that differ in cohort.fold alone.
    """
    context.run(_evaluate_folds, EvaluateFoldsSettings, evaluations=list(evaluations))


def _make_instructions(
    stage: "Stage[MakeInstructionsSettings]",
    cohort: Path,
    descriptors: Path,
    tasks: Path,
    paraphrase_with: str | None = None,
) -> str:
    from fmri_instruct.prompts.instructions import build_instructions, write_instructions
    from fmri_instruct.tasks.definitions import load_tasks
    from fmri_instruct.tasks.fitting import fit_tasks

    wanted = load_tasks(tasks)
    asked = fit_tasks(wanted, cohort, descriptors)
    asked, reworded = _reworded(stage, asked, paraphrase_with)
    made = build_instructions(cohort, descriptors, asked, stage.settings, stage.seed)
    write_instructions(made, asked, stage.directory)
    sizes = ", ".join(f"{len(rows)} {split}" for split, rows in made.splits.items())
    missing = sum(split["missing"] for task in made.counts.values() for split in task.values())
    names = {task.name for task in asked}
    absent = ", ".join(task.name for task in wanted if task.name not in names)
    without = f" (not in this cohort: {absent})" if absent else ""
    count = "1 task" if len(asked) == 1 else f"{len(asked)} tasks"
    return f"{count}{without}; conversations: {sizes}; {missing} missing labels left out{reworded}"


def _reworded(
    stage: "Stage[MakeInstructionsSettings]", tasks: "tuple[Task, ...]", url: str | None
) -> "tuple[tuple[Task, ...], str]":
    """Tasks with the wordings of a language model, if one is asked for, and what came of it."""
    from collections import Counter

    from fmri_instruct.prompts.endpoint import ask_endpoint
    from fmri_instruct.prompts.more_questions import with_more_questions
    from fmri_vqtok.errors import InputError

    settings = stage.settings.paraphrase
    address = url or (settings and settings.base_url)
    if settings is None or not address:
        if url or settings:
            missing = "paraphrase.base_url" if settings else "paraphrase.model"
            raise InputError(
                f"make-instructions.{missing}: not given; --paraphrase-with needs the address of "
                "an endpoint and the name of a model"
            )
        return tasks, ""
    more, total = [], Counter[str]()
    for task in tasks:
        reworded, outcome = with_more_questions(
            task,
            settings.wordings,
            lambda messages: ask_endpoint(address, messages, settings, stage.seed),
            [other for other in tasks if other is not task],
        )
        more.append(reworded)
        total += outcome
    stage.note(paraphrases=dict(total))
    refused = total.total() - total["kept"]
    return tuple(more), f"; {total['kept']} more wordings of questions, {refused} refused"


def _tune(stage: "Stage[TuneSettings]", model: Path, tokens: Path, instructions: Path) -> str:
    from fmri_instruct.tuning.tune import tune as tune_model

    records = tune_model(
        model,
        tokens,
        instructions,
        stage.directory,
        stage.settings,
        seed=stage.seed,
        device=stage.device,
        progress=stage.progress,
        note=stage.note,
    )
    last = {record.split: record.value for record in records if record.name == "total"}
    return ", ".join(f"{split} loss {value:.3f} nats" for split, value in sorted(last.items()))


def _evaluate(
    stage: "Stage[EvaluateSettings]",
    model: Path,
    tokens: Path,
    instructions: Path,
    cohort: Path,
    descriptors: Path | None,
) -> str:
    from fmri_instruct.evaluation.evaluate import evaluate as evaluate_model
    from fmri_llm.model.fmri_lm import FMRILM
    from fmri_vqtok.formats.json_files import JsonLines

    loaded = FMRILM.from_pretrained(model).to(stage.device)
    with JsonLines(stage.directory / "predictions.jsonl") as predictions:
        results = evaluate_model(
            loaded,
            tokens,
            instructions,
            cohort,
            stage.settings,
            descriptors_dir=descriptors,
            seed=stage.seed,
            progress=stage.progress,
            keep=predictions.write,
        )
    results.write(stage.directory)
    return results.summary()


def _evaluate_folds(stage: "Stage[EvaluateFoldsSettings]", evaluations: list[Path]) -> str:
    from fmri_instruct.evaluation.folds import evaluate_folds as pool

    results = pool(evaluations, stage.settings, seed=stage.seed)
    results.write(stage.directory)
    n_subjects = sum(fold["n_subjects"] for fold in results.scores["folds"])
    return f"{len(evaluations)} folds, {n_subjects} subjects; {results.summary()}"
