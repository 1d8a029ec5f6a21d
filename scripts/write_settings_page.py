"""Write docs/settings.md: every setting with its default and meaning, from the code."""

import sys
from collections.abc import Iterator
from pathlib import Path

from fmri_cli.run.pipeline import BESIDE, SETTINGS
from fmri_cli.settings.rows import SettingRow, setting_rows, settings_class

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
TOP = "fmri_cli.settings.recipes:RunSettings"
HEAD = """# Settings

Each stage has a section in the recipe, named after its command. A nested key is written with a dot
here and in `--set`, and as a nested mapping in a recipe. `fmri fit-tokenizer --help` prints the
table of that stage, and the help of every other prints its own. An empty default means that nothing
is set.

This page is made from the code by `scripts/write_settings_page.py`.
"""
OUTSIDE = "## Outside the sections\n"
OTHERS = """## Stages that are no part of a run

A recipe may have their sections too; `fmri run-all` leaves them alone.
"""


def page() -> str:
    """Return the whole page."""
    beside = [f"#{section(command)}" for command in BESIDE]
    stages = [section(command) for command in SETTINGS if command not in BESIDE]
    return "\n".join([HEAD, f"{OUTSIDE}\n{table(TOP)}", *stages, OTHERS, *beside])


def section(command: str) -> str:
    """Heading and table of a stage."""
    return f"## {command}\n\n{table(SETTINGS[command])}"


def table(place: str) -> str:
    """Markdown table of a settings class, given as `module:Class`."""
    rows = list(setting_rows(settings_class(place)))
    return "\n".join(lines(rows)) + "\n" if rows else "No settings.\n"


def lines(rows: list[SettingRow]) -> Iterator[str]:
    """One line a setting, below the head of the table."""
    yield "| key | default | meaning |"
    yield "|---|---|---|"
    for row in rows:
        default = f"`{row.default}`" if row.default else ""
        yield f"| `{row.key}` | {default} | {row.meaning.replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name}: {len(SETTINGS)} stages\n")
