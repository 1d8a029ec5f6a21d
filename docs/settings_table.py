"""The directive `settings`: a table of a settings dataclass, read from the class itself.

So a key, a default or a meaning in the documentation cannot differ from the code.
"""

import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

# A field of a numpydoc section: `name : type` or `a, b`, then its indented meaning.
_FIELD = re.compile(r"^(\w+(?:, \w+)*)(?: :.*)?\n((?: {4}.*\n?)*)", re.MULTILINE)


class SettingsTable(SphinxDirective):
    """Key, default and meaning of every field of `module:Class`, nested ones with a dot."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Build the table as a Markdown table, so that code in meanings stays code."""
        module, _, name = self.arguments[0].partition(":")
        rows = field_rows(getattr(importlib.import_module(module), name))
        lines = ["| key | default | meaning |", "|---|---|---|"]
        lines += [f"| `{key}` | {default} | {meaning} |" for key, default, meaning in rows]
        holder = nodes.container()
        self.state.nested_parse(StringList(lines, self.arguments[0]), 0, holder)
        return holder.children


def field_rows(settings_class: type, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Key, default and meaning of each field; a nested dataclass gives its own fields."""
    meanings = field_meanings(settings_class.__doc__ or "")
    for field in dataclasses.fields(settings_class):
        default = default_of(field)
        if dataclasses.is_dataclass(default):
            yield from field_rows(type(default), f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", shown(default), meanings[field.name]


def field_meanings(docstring: str) -> dict[str, str]:
    """Read what a numpydoc docstring says of each field, as one line each."""
    text = inspect.cleandoc(docstring)
    return {
        name: " ".join(meaning.replace("``", "`").replace("|", "\\|").split())
        for names, meaning in _FIELD.findall(text)
        for name in names.split(", ")
    }


def default_of(field: dataclasses.Field) -> Any:
    """Return the default, made where it has a factory."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def shown(default: Any) -> str:
    """Write a default as a recipe would."""
    if default is None or default == ():
        return "none"
    if isinstance(default, tuple):
        return f"`[{', '.join(str(item) for item in default)}]`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("settings", SettingsTable)
    return {"parallel_read_safe": True}
