"""From a mapping to a frozen dataclass, strictly: an error names the key, its value and the fix."""

import dataclasses
import difflib
import json
import math
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import click

Settings = TypeVar("Settings")
Origin = Callable[[str], str]
"""Tells, for a dotted key, where it was written: `demo.yaml: ` or `--set: `, or nothing."""

_LONGEST_SHOWN = 120  # characters of a key or value that a message repeats

_EXPECTED = {
    "bool_type": "true or false",
    "float_type": "a number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "int_from_float": "an integer",
    "int_type": "an integer",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "string_pattern_mismatch": "a text",
    "string_too_short": "a text",
    "string_type": "text (put it in quotes)",
    "too_short": "at least {min_length}",
    "tuple_type": "a list",
}


def parse_settings(
    settings_class: type[Settings], mapping: Mapping[str, Any], section: str, origin: Origin
) -> Settings:
    """Parse one section into the types that its dataclass declares and no others.

    Parameters
    ----------
    settings_class
        Frozen dataclass; fields may be dataclasses themselves.
    mapping
        Values by field name; absent fields keep their defaults.
    section
        Name of the section, put before keys in messages; empty for the top level.
    origin
        Where a dotted key comes from.

    Raises
    ------
    click.ClickException
        For an unknown key, a value of the wrong type, or one that the dataclass refuses.
    """
    from pydantic import TypeAdapter, ValidationError

    check_keys(settings_class, mapping, section, origin)
    try:
        # In JSON mode strict still means that a list becomes a tuple and 1 a float.
        return TypeAdapter(settings_class).validate_json(json.dumps(mapping), strict=True)
    except ValidationError as error:
        raise click.ClickException(_explain(error.errors()[0], section, origin)) from error
    except TypeError as error:
        msg = f"{origin(section)}{section}: {error}; put the value in quotes"
        raise click.ClickException(msg) from error


def dump_settings(settings: Any) -> dict[str, Any]:
    """Turn settings into plain JSON values, by field name."""
    return json.loads(json.dumps(dataclasses.asdict(settings), sort_keys=True))


def check_keys(
    settings_class: type, mapping: Mapping[str, Any], section: str, origin: Origin
) -> None:
    """Raise a ClickException for the first key, at any depth, that the dataclass does not have."""
    hints = typing.get_type_hints(settings_class)
    fields = [field.name for field in dataclasses.fields(settings_class)]
    for key, value in mapping.items():
        where = _dotted(section, key)
        if key not in fields:
            msg = f"{origin(where)}{short(where)}: unknown key; {suggestion(str(key), fields)}"
            raise click.ClickException(msg)
        nested = _dataclass_in(hints[key])
        for item in value if isinstance(value, list) else [value]:
            if nested is not None and isinstance(item, Mapping):
                check_keys(nested, item, where, origin)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that a mistyped one is closest to, or None if none is close."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    return close[0] if close else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean …?` with the nearest known word, or the list of all if none is close."""
    known = sorted(known)
    close = nearest(word, known)
    return f"known are: {', '.join(known)}" if close is None else f"did you mean '{close}'?"


def short(text: str) -> str:
    """Text as it is, or its beginning where it would fill the screen."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _dataclass_in(hint: Any) -> type | None:
    for candidate in (hint, *typing.get_args(hint)):
        if dataclasses.is_dataclass(candidate) and isinstance(candidate, type):
            return candidate
    return None


def _explain(error: Mapping[str, Any], section: str, origin: Origin) -> str:
    where = _dotted(section, *error["loc"])
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, Exception):
        # The dataclass names its own field first, "rank: 0; give at least 1", and a nested one
        # may name itself too, "lora.rank: 0; …".
        nested = f"{where.rpartition('.')[2]}."
        message = _dotted(where, str(cause).removeprefix(nested))
        return f"{origin(message.partition(':')[0])}{message}"
    if error["type"] in {"missing", "missing_argument", "missing_keyword_only_argument"}:
        return f"{origin(where)}{where}: has no value; give one"
    if error["type"] in {"dataclass_type", "dict_type"}:
        return f"{origin(where)}{where}: {_show(error['input'])}; give a mapping of settings"
    expected = _expected(error)
    return f"{origin(where)}{where}: {_show(error['input'])}; give {expected}"


def _expected(error: Mapping[str, Any]) -> str:
    context = error.get("ctx", {})
    if error["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        return f"{context['expected']}; {nearest(str(error['input']), choices)}"
    if context.get("lt") == math.inf:
        return "a finite number"
    known = _EXPECTED.get(error["type"])
    return known.format(**context) if known else error["msg"].removeprefix("Input should be ")


def _dotted(*parts: Any) -> str:
    return ".".join(str(part) for part in parts if str(part))


def _show(value: Any) -> str:
    return short(json.dumps(value, ensure_ascii=False))
