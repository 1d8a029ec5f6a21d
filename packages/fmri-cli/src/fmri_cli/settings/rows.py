"""Settings dataclasses as tables: key, default and meaning, read from the classes themselves."""

import dataclasses
import importlib
import inspect
import re
import types
import typing
from collections.abc import Iterator
from typing import Any, NamedTuple

# A field of a numpydoc section: `name : type` or `a, b`, then its indented meaning.
_FIELD = re.compile(r"^(\w+(?:, \w+)*)(?: :.*)?\n((?: {4}.*\n?)*)", re.MULTILINE)


class SettingRow(NamedTuple):
    """One setting: its dotted key, its default as a recipe writes it, and what it means."""

    key: str
    default: str
    meaning: str


def settings_class(place: str) -> type:
    """Class of a `module:Class`, imported when it is asked for."""
    module, _, name = place.partition(":")
    found: type = getattr(importlib.import_module(module), name)
    return found


def setting_rows(settings: type, prefix: str = "") -> Iterator[SettingRow]:
    """Key, default and meaning of each field; a nested dataclass gives its own fields.

    Raises
    ------
    KeyError
        If the docstring of a class does not explain a field.
    """
    meanings = _meanings(settings.__doc__ or "")
    hints = typing.get_type_hints(settings)
    for field in dataclasses.fields(settings):
        default = _default(field)
        nested = type(default) if dataclasses.is_dataclass(default) else None
        if nested is None:
            yield SettingRow(f"{prefix}{field.name}", _written(default), meanings[field.name])
            nested = _optional(hints[field.name])
        if nested is not None:
            yield from setting_rows(nested, f"{prefix}{field.name}.")


def _optional(hint: Any) -> type | None:
    """Dataclass of a `Settings | None`; None for any other type."""
    members = typing.get_args(hint) if isinstance(hint, types.UnionType) else ()
    found = [member for member in members if dataclasses.is_dataclass(member)]
    return found[0] if len(found) == 1 and isinstance(found[0], type) else None


def _meanings(docstring: str) -> dict[str, str]:
    text = inspect.cleandoc(docstring)
    return {
        name: " ".join(meaning.replace("``", "`").split())
        for names, meaning in _FIELD.findall(text)
        for name in names.split(", ")
    }


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _written(default: Any) -> str:
    """Write a default as a recipe would; empty for one that is not set."""
    if default is dataclasses.MISSING or default is None or default in ((), ""):
        return ""
    if isinstance(default, tuple):
        return f"[{', '.join(str(item) for item in default)}]"
    return str(default).lower() if isinstance(default, bool) else str(default)
