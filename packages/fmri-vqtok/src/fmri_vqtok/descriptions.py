"""The JSON file beside an artefact that says what it is, with the version of its layout."""

import json
from pathlib import Path
from typing import Any

from fmri_vqtok.errors import InputError


def read_description(path: Path, newest: int, fix: str) -> dict[str, Any]:
    """Read the description of an artefact, if this version of the package can.

    Parameters
    ----------
    path : Path
        The JSON file; its key "schema" is the version of the layout.
    newest : int
        Newest layout that can be read.
    fix : str
        What to do if there is no such file.

    Raises
    ------
    InputError
        If the file is missing or of a newer layout.
    """
    if not path.is_file():
        raise InputError(f"{path.parent}: no {path.name}; {fix}")
    description = json.loads(path.read_text(encoding="utf-8"))
    found = description.get("schema")
    if not isinstance(found, int) or found > newest:
        raise InputError(
            f"{path}: schema {found}, but this version reads up to {newest}; upgrade fmri-vqtok"
        )
    return description
