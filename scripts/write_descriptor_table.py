"""Write the table of the 23 descriptors into docs/descriptors.md, from the registry."""

import sys
from pathlib import Path

from fmri_descriptors.registry import DESCRIPTORS, DescriptorRow

PAGE = Path(__file__).resolve().parents[1] / "docs" / "descriptors.md"
HEADER = (
    "| descriptor | domain | level | columns | what it is | unit |\n|---|---|---|---|---|---|\n"
)
_SUFFIX = {"networks": ".A", "pairs": ".A-B", "pairs_and_within": ".A-B", "patterns": ".A-B"}


def table() -> str:
    """One Markdown line a descriptor, in the order of the registry."""
    return HEADER + "".join(_line(row) for row in DESCRIPTORS)


def _line(row: DescriptorRow) -> str:
    column = f"`{row.column}{_SUFFIX.get(row.kind, '')}`"
    cells = (f"`{row.name}`", row.domain, row.level, column, row.formula, row.unit or "none")
    return f"| {' | '.join(cells)} |\n"


def with_table(page: str) -> str:
    """Replace the table of a page, which ends at the first empty line after it."""
    start = page.index(HEADER)
    end = page.index("\n\n", start) + 1
    return page[:start] + table() + page[end:]


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name}: {len(DESCRIPTORS)} descriptors\n")
