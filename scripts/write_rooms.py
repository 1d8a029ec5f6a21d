"""Write the rooms of each package into docs/architecture.md, and one picture a package.

The order of the rooms is that of the import contracts in pyproject.toml; what belongs into a room
is the first sentence of its docstring.
"""

import ast
import sys
import textwrap
import tomllib
from html import escape
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs" / "architecture.md"
BEGIN, END = "<!-- rooms: begin -->", "<!-- rooms: end -->"
PACKAGES = ("fmri_descriptors", "fmri_vqtok", "fmri_llm", "fmri_instruct", "fmri_cli")

WIDTH, GAP, LINE, LETTER = 900, 10, 15, 6.4
LABELLED = 'role="img" font-family="Helvetica, Arial, sans-serif" aria-labelledby="t d"'


class Room(NamedTuple):
    """A module or a folder of modules at the top of a package."""

    name: str
    purpose: str
    modules: tuple[str, ...]


def layers(package: str) -> list[list[Room]]:
    """Rooms of a package from the highest layer to the lowest."""
    document = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    for contract in document["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers" and contract.get("containers") == [package]:
            return [_rooms(package, layer) for layer in contract["layers"]]
    raise SystemExit(f"pyproject.toml: no layers contract of {package}")


def _rooms(package: str, layer: str) -> list[Room]:
    names = layer.replace("|", ":").replace("(", "").replace(")", "").split(":")
    return [room(package, name.strip()) for name in names]


def room(package: str, name: str) -> Room:
    """Read what is in a room."""
    top = REPOSITORY / "packages" / package.replace("_", "-") / "src" / package
    folder = top / name
    own = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    inside = sorted(path.stem for path in folder.glob("*.py")) if folder.is_dir() else []
    inside += sorted(f"{path.parent.name}/" for path in folder.glob("*/__init__.py"))
    docstring = ast.get_docstring(ast.parse(own.read_text(encoding="utf-8"))) or ""
    purpose = " ".join(docstring.split("\n\n")[0].split())
    return Room(name, purpose, tuple(stem for stem in inside if stem != "__init__"))


def picture(package: str, rows: list[list[Room]]) -> str:
    """Draw a package: a row a layer, each importing only what is below."""
    parts, top = [], 46
    for row in rows:
        width = (WIDTH - 40 - GAP * (len(row) - 1)) / len(row)
        fits = int((width - 20) / LETTER)
        texts = [textwrap.wrap(" · ".join(each.modules), max(fits, 12)) for each in row]
        height = 28 + LINE * max(len(lines) for lines in texts)
        for place, (each, lines) in enumerate(zip(row, texts, strict=True)):
            left = 30 + place * (width + GAP)
            parts.append(_box(each.name, lines, left, top, width, height))
        top += height + GAP
    described = "; ".join(", ".join(each.name for each in row) for row in rows)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 6}" {LABELLED}>',
        f'<title id="t">Rooms of {package}</title>',
        f'<desc id="d">From the highest layer to the lowest: {escape(described)}.</desc>',
        f'<rect width="{WIDTH}" height="{top + 6}" rx="10" fill="#ffffff"/>',
        f'<text x="30" y="28" font-size="17" font-weight="bold" fill="#1f2933">{package}</text>',
        f'<path d="M15 46 V{top - 12}" stroke="#52606d" stroke-width="1.6"/>',
        f'<path d="M11 {top - 18} L15 {top - 10} L19 {top - 18}z" fill="#52606d"/>',
        *parts,
        "</svg>",
        "",
    ])  # fmt: skip


def _box(name: str, lines: list[str], left: float, top: float, width: float, height: float) -> str:
    words = "".join(
        f'<text x="{left + 10:.1f}" y="{top + 36 + LINE * i}" font-size="11.5" fill="#52606d">'
        f"{escape(line)}</text>"
        for i, line in enumerate(lines)
    )
    return (
        f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{height}" rx="6" '
        'fill="#f0f4f8" stroke="#9fb3c8"/>'
        f'<text x="{left + 10:.1f}" y="{top + 19}" font-size="13.5" font-weight="bold" '
        f'fill="#1f2933">{name}</text>{words}'
    )


def section(package: str, rows: list[list[Room]]) -> str:
    """Heading, picture and table of a package."""
    table = "\n".join(f"| `{each.name}` | {each.purpose} |" for row in rows for each in row)
    return (
        f"### {package}\n\n```{{image}} rooms-{package}.svg\n:alt: Rooms of {package}\n"
        f":width: 100%\n```\n\n| room | what belongs there |\n|---|---|\n{table}\n"
    )


def pictures() -> dict[str, str]:
    """All pictures by file name."""
    return {f"rooms-{package}.svg": picture(package, layers(package)) for package in PACKAGES}


def page() -> str:
    """Return docs/architecture.md with today's rooms between its two marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    rooms = "\n".join(section(package, layers(package)) for package in PACKAGES)
    return f"{before}{BEGIN}\n\n{rooms}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    for name, drawn in pictures().items():
        (PAGE.parent / name).write_text(drawn, encoding="utf-8")
    sys.stdout.write(f"{PAGE.name}: {len(PACKAGES)} packages\n")
