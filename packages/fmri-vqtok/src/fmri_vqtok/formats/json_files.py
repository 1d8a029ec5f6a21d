"""JSON and JSON lines: checked when read, and the same bytes for the same content."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.reading import reading


def read_description(
    path: Path, newest: int, fix: str, *, keys: Sequence[str] = (), package: str = "fmri-vqtok"
) -> dict[str, Any]:
    """Read the JSON file that describes an artefact, if this version of the package can.

    Parameters
    ----------
    path : Path
        The JSON file; its key "schema" is the version of the layout.
    newest : int
        Newest layout that can be read.
    fix : str
        What to do if there is no such file, or it describes something else.
    keys : sequence of str, optional
        What else has to be in it.
    package : str, default="fmri-vqtok"
        What to upgrade if the layout is newer.

    Raises
    ------
    InputError
        If the file is missing, broken, of a newer layout, or lacks a key.
    """
    if not path.is_file():
        raise InputError(f"{path.parent}: no {path.name}; {fix}")
    with reading(path, fix):
        description = json.loads(path.read_text(encoding="utf-8"))
    _check_keys(description, ["schema"], path, fix)
    found = description["schema"]
    if not isinstance(found, int) or found > newest:
        raise InputError(
            f"{path}: schema {found}, but this version reads up to {newest}; upgrade {package}"
        )
    _check_keys(description, keys, path, fix)
    return description


def read_json_lines(path: Path, fix: str, *, keys: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Rows of a file with one JSON mapping per line.

    Parameters
    ----------
    path : Path
    fix : str
        What to do if it cannot be read.
    keys : sequence of str, optional
        What each row has to have.

    Raises
    ------
    InputError
        If the file is missing or broken, or a row lacks a key.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; {fix}")
    rows = []
    with reading(path, fix):
        # Not splitlines: a model may write U+2028, which JSON leaves as it is.
        lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, start=1):
        if line:
            with reading(f"{path}, line {number}", fix):
                row = json.loads(line)
            _check_keys(row, keys, f"{path}, line {number}", fix)
            rows.append(row)
    return rows


def write_json(document: Mapping[str, Any], path: Path) -> None:
    """Write a mapping as indented JSON with sorted keys."""
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def write_json_lines(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write mappings with sorted keys, one per line."""
    with JsonLines(path) as file:
        for row in rows:
            file.write(row)


class JsonLines:
    """A file that mappings are written to one by one, as `write_json_lines` writes them.

    Parameters
    ----------
    path : Path
        It is emptied when the context is entered.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> "JsonLines":
        self._file = self.path.open("w", encoding="utf-8", newline="\n")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, row: Mapping[str, Any]) -> None:
        """Write one mapping, with sorted keys."""
        line = json.dumps(row, sort_keys=True, ensure_ascii=False, allow_nan=False)
        self._file.write(f"{line}\n")


def _check_keys(found: object, keys: Sequence[str], thing: object, fix: str) -> None:
    if not isinstance(found, dict):
        raise InputError(f"{thing}: a {type(found).__name__} instead of a mapping; {fix}")
    for key in keys:
        if key not in found:
            raise InputError(f"{thing}: no '{key}' in it; {fix}")
