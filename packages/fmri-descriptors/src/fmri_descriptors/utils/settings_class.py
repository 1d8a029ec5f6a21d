"""Frozen settings whose types say what is allowed; a wrong value is one line for the user."""

import dataclasses
from collections.abc import Mapping
from functools import wraps
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from fmri_descriptors.errors import InputError

Class = TypeVar("Class")

_CONFIG = ConfigDict(allow_inf_nan=False, extra="forbid")
_FIXES = {
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "too_short": "at least {min_length}",
    "string_too_short": "a text",
    "string_pattern_mismatch": "a text",
}


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field, Field)
)
def settings_class(cls: type[Class]) -> type[Class]:
    """Make a class a frozen pydantic dataclass that raises `InputError` instead of pydantic's own.

    Ranges and choices belong to the types of its fields; ``__post_init__`` compares fields.
    """
    checked: Any = dataclass(frozen=True, kw_only=True, config=_CONFIG)(cls)
    validate = checked.__init__

    @wraps(validate)
    def init(self: Class, **values: Any) -> None:
        try:
            validate(self, **values)
        except ValidationError as error:
            raise InputError(explained(error)) from error

    checked.__init__ = init
    return checked


def explained(error: ValidationError) -> str:
    """Return the first fault as one line: ``key: value; give …``."""
    first: Mapping[str, Any] = error.errors()[0]
    context = first.get("ctx", {})
    if isinstance(context.get("error"), Exception):
        return str(context["error"])  # raised by a `__post_init__`, which names its fields
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "unexpected_keyword_argument":
        return f"{key}: unknown key; leave it out"
    if first["type"].startswith("missing"):
        return f"{key}: has no value; give one"
    fix = _FIXES.get(first["type"], first["msg"].removeprefix("Input should be ")).format(**context)
    return f"{key}: {first['input']!r}; give {fix}"
