"""Settings as the help and the documentation list them."""

from dataclasses import dataclass, field

import pytest

from fmri_cli.main import main
from fmri_cli.run.pipeline import SETTINGS
from fmri_cli.settings.rows import setting_rows, settings_class


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
    more : Inner or None
        Not used if not given.
    """

    inner: Inner = field(default_factory=Inner)
    names: tuple[str, ...] = ("a", "b")
    chosen: str | None = None
    more: Inner | None = None


@dataclass(frozen=True)
class Silent:
    """No field is explained."""

    key: int = 1


def test_fields_come_with_dotted_key_default_and_meaning():
    assert list(setting_rows(Outer)) == [
        ("inner.low", "0.5", "Limits, in Hz, both included."),
        ("inner.high", "1.0", "Limits, in Hz, both included."),
        ("names", "[a, b]", "`a|b`, or others."),
        ("chosen", "", "The one."),
        ("more", "", "Not used if not given."),
        ("more.low", "0.5", "Limits, in Hz, both included."),
        ("more.high", "1.0", "Limits, in Hz, both included."),
    ]


def test_a_field_that_its_class_does_not_explain_is_a_fault():
    with pytest.raises(KeyError, match="key"):
        list(setting_rows(Silent))


@pytest.mark.parametrize("command", SETTINGS)
def test_the_help_of_a_stage_lists_its_settings_with_default_and_meaning(capsys, command):
    assert main([command, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for key, default, meaning in setting_rows(settings_class(SETTINGS[command])):
        name = f"{key}={default}" if default else key
        beginning = " ".join(meaning.split()[:3])
        assert f"{name} {beginning}" in shown
