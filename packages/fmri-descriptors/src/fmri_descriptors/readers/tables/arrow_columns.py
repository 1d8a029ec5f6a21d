"""Columns of Arrow and Parquet files as plain cells: categories by name, numbers, texts."""

import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fmri_descriptors.utils.cells import present_cell

if TYPE_CHECKING:
    from pyarrow import DataType, Schema

Cell = str | float | None


def plain_columns(schema: "Schema") -> dict[str, Callable[[Any], Cell]]:
    """Return, by column of single values, what turns its cells into a text, a number or None.

    A category (a dictionary-encoded column, as pandas writes it, or a `ClassLabel` of `datasets`)
    is its name, and -1 of a `ClassLabel` is missing; a truth value is ``true`` or ``false``; a
    date or time is its ISO 8601 text.

    Parameters
    ----------
    schema : Schema
        With the metadata of `datasets`, if it wrote the file.
    """
    names = _class_names(schema)
    found: dict[str, Callable[[Any], Cell]] = {}
    for field in schema:
        turn = _named(names[field.name]) if field.name in names else _turn(field.type)
        if turn is not None and not _is_index(field.name):
            found[field.name] = turn
    return found


def dropped_columns(schema: "Schema") -> dict[str, str]:
    """Return, by column that holds no single values, why it can be no phenotype."""
    plain = plain_columns(schema)
    return {
        field.name: "an index of pandas" if _is_index(field.name) else f"holds {field.type}"
        for field in schema
        if field.name not in plain
    }


def _is_index(name: str) -> bool:
    return name.startswith("__index_level_")


def _class_names(schema: "Schema") -> dict[str, list[str]]:
    written = (schema.metadata or {}).get(b"huggingface")
    try:
        features = json.loads(written or b"{}").get("info", {}).get("features") or {}
    except (ValueError, AttributeError):
        return {}
    return {
        name: list(map(str, feature["names"]))
        for name, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
    }


def _named(names: list[str]) -> Callable[[Any], Cell]:
    def turn(code: Any) -> Cell:
        return names[code] if isinstance(code, int) and 0 <= code < len(names) else None

    return turn


def _turn(kind: "DataType") -> Callable[[Any], Cell] | None:
    import pyarrow as pa

    is_ = pa.types
    if is_.is_dictionary(kind):
        return None if _turn(kind.value_type) is None else _category
    if is_.is_integer(kind) or is_.is_floating(kind) or is_.is_decimal(kind):
        return _number
    texts = (is_.is_string, is_.is_large_string, is_.is_string_view, is_.is_boolean, is_.is_null)
    return _text if any(test(kind) for test in (*texts, is_.is_temporal)) else None


def _number(value: Any) -> Cell:
    return float(value) if value is not None and math.isfinite(value) else None


def _text(value: Any) -> Cell:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _category(value: Any) -> Cell:
    if isinstance(value, float):
        return _number(value)
    return _text(value)


def label(cells: Mapping[str, Cell], name: str) -> str | None:
    """Return a cell as the label of somebody or something; a whole number without decimals."""
    value = cells.get(name)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return present_cell(value)
