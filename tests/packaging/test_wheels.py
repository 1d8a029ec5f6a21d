"""Each package is built as a wheel and used alone in a clean environment."""

import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

UV = os.environ.get("UV") or shutil.which("uv") or "uv"

PACKAGES = {
    "fmri-descriptors": "fmri_descriptors",
    "fmri-vqtok": "fmri_vqtok",
    "fmri-llm": "fmri_llm",
    "fmri-instruct": "fmri_instruct",
    "fmri-cli": "fmri_cli",
}

ABSENT = {
    "fmri-descriptors": ["torch", "transformers", "fmri_vqtok"],
    "fmri-vqtok": ["nilearn", "transformers", "datasets", "fmri_descriptors"],
    "fmri-llm": ["nilearn", "fmri_descriptors", "fmri_instruct"],
    "fmri-instruct": ["nilearn", "fmri_descriptors", "fmri_cli"],
    "fmri-cli": ["torch", "transformers", "fmri_descriptors", "fmri_vqtok"],
}

# A first real use of each package with nothing else installed; that of the descriptors is the
# example of their README.
USES = {
    "fmri-vqtok": """
import torch
from fmri_vqtok import FMRITokenizer, FMRITokenizerConfig
tokenizer = FMRITokenizer(FMRITokenizerConfig.preset("tiny", n_regions=7))
signal = torch.randn(2, tokenizer.config.n_frames, 7)
codes = tokenizer.encode(signal).codes
assert tokenizer.decode(codes).shape == signal.shape
from importlib.util import find_spec
from fmri_vqtok.evaluation.region_order import known_orders
assert len(known_orders(450)[0]) == 450
assert find_spec("brainmarks.models.fmri_vqtok") and not find_spec("brainmarks.models.registry")
""",
    "fmri-llm": """
from fmri_llm import FMRILM
assert callable(FMRILM.from_pretrained)
""",
    "fmri-instruct": """
from fmri_instruct import PromptBank, evaluate, load_tasks, tune
task = load_tasks()[0]
prompt = PromptBank.load().single(task, task.candidates)
assert all(answer in prompt for answer in task.candidates)
assert callable(evaluate) and callable(tune)
""",
    "fmri-cli": """
import subprocess, sys
from pathlib import Path
fmri = Path(sys.executable).with_name("fmri")
help_page = subprocess.run([fmri, "--help"], capture_output=True, text=True, check=True)
assert "run-all" in help_page.stdout, help_page
doctor = subprocess.run([fmri, "doctor"], capture_output=True, text=True)
assert doctor.returncode == 0, doctor
assert "torch: not installed" in doctor.stdout, doctor
""",
}


def first_example(page: Path) -> str:
    """The first Python block of a page."""
    [example, *_] = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    return example


def _run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("VIRTUAL_ENV", "PYTHON"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}")
    return done


@pytest.fixture(scope="session")
def wheels(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the wheel of every package, built from the checkout."""
    folder = tmp_path_factory.mktemp("wheels")
    _run(UV, "build", "--all-packages", "--wheel", "--out-dir", folder, cwd=repository)
    return folder


@pytest.fixture(params=PACKAGES)
def alone(
    request: pytest.FixtureRequest, wheels: Path, repository: Path, tmp_path: Path
) -> tuple[str, Path]:
    """One package installed from its wheel, with its requirements and nothing else."""
    package = request.param
    environment = tmp_path / "environment"
    _run(UV, "venv", environment, cwd=repository)
    wheel = next(wheels.glob(f"{PACKAGES[package]}-*.whl"))
    python = environment / "bin" / "python"
    # Run in the checkout, so that its `exclude-newer` fixes the versions here too.
    _run(UV, "pip", "install", "--python", python, "--find-links", wheels, wheel, cwd=repository)
    return package, python


@pytest.mark.slow
def test_a_wheel_alone_imports_and_does_its_first_job_without_the_other_packages(
    alone: tuple[str, Path], repository: Path, tmp_path: Path
):
    package, python = alone
    readme = repository / "packages" / package / "README.md"
    use = USES.get(package) or first_example(readme)
    check = [
        "import importlib.util",
        f"found = [m for m in {ABSENT[package]!r} if importlib.util.find_spec(m)]",
        "assert not found, found",
        f"import {PACKAGES[package]}",
    ]
    done = _run(python, "-c", "\n".join(check) + "\n" + use, cwd=tmp_path)
    assert done.returncode == 0


def test_the_tokenizers_wheel_adds_one_module_to_brainmarks_and_shadows_nothing_of_it(
    wheels: Path,
):
    [wheel] = wheels.glob("fmri_vqtok-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    # An `__init__.py` would hide the suite's own modules: it is a namespace package.
    assert [n for n in names if n.startswith("brainmarks/")] == ["brainmarks/models/fmri_vqtok.py"]
