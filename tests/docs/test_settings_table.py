"""The directive that shows a settings dataclass."""

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest


@dataclass(frozen=True)
class Inner:
    """Inside.

    Parameters
    ----------
    low, high : float
        Limits, in Hz,
        both included.
    """

    low: float = 0.5
    high: float = 1.0


@dataclass(frozen=True)
class Outer:
    """Outside.

    Attributes
    ----------
    inner : Inner
    names : tuple of str
        ``a|b``, or others.
    chosen : str or None
        The one.
    """

    inner: Inner = field(default_factory=Inner)
    names: tuple[str, ...] = ("a", "b")
    chosen: str | None = None


@dataclass(frozen=True)
class Silent:
    """No field is explained."""

    key: int = 1


@pytest.fixture(scope="module")
def settings_table(repository: Path) -> ModuleType:
    """The module of the directive."""
    path = repository / "docs" / "settings_table.py"
    spec = importlib.util.spec_from_file_location("settings_table", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_fields_come_with_dotted_key_default_and_meaning(settings_table: ModuleType) -> None:
    assert list(settings_table.field_rows(Outer)) == [
        ("inner.low", "`0.5`", "Limits, in Hz, both included."),
        ("inner.high", "`1.0`", "Limits, in Hz, both included."),
        ("names", "`[a, b]`", "`a\\|b`, or others."),
        ("chosen", "none", "The one."),
    ]


def test_a_field_that_its_class_does_not_explain_stops_the_build(
    settings_table: ModuleType,
) -> None:
    with pytest.raises(KeyError, match="key"):
        list(settings_table.field_rows(Silent))
