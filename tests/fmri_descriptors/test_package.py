import re
import subprocess
import sys
from pathlib import Path

import pytest

import fmri_descriptors

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "packages/fmri-descriptors/README.md").read_text(encoding="utf-8")
HEAVY = {"torch", "transformers", "nilearn", "sklearn", "pandas", "datasets", "brainspace", "bct"}


def imported_by(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import fmri_descriptors",
        "import fmri_descriptors.commands, fmri_descriptors.settings, fmri_descriptors.errors",
    ],
)
def test_importing_is_free(statement):
    assert not imported_by(statement) & (HEAVY | {"numpy"})


def test_every_public_name_can_be_imported():
    for name in fmri_descriptors.__all__:
        assert getattr(fmri_descriptors, name) is not None


def test_the_readmes_example_runs_without_torch():
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    assert sum(bool(line) for line in example.splitlines()) <= 10
    code = example + "\nimport sys; assert 'torch' not in sys.modules"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert len(run.stdout.strip().splitlines()) == 23


def test_the_readme_gives_the_licence_and_its_reason():
    assert "GPL-3.0-or-later, because it builds on [bctpy]" in README
