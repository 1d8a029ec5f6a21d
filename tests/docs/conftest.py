"""The texts that the tests of this folder hold to the code."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def pages(repository: Path) -> dict[str, str]:
    """Every page of prose at the root and in docs/, by its name."""
    found = [*repository.glob("*.md"), *(repository / "docs").glob("*.md")]
    return {
        path.relative_to(repository).as_posix(): path.read_text(encoding="utf-8") for path in found
    }
