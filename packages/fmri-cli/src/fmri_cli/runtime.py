"""What a stage runs on: quiet libraries, repeatable arithmetic, and which versions of what."""

import io
import os
import platform
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import click
from packaging.requirements import Requirement

OURS = "fmri-"
LIBRARIES = (
    "accelerate",
    "bctpy",
    "brainspace",
    "datasets",
    "nilearn",
    "numpy",
    "pandas",
    "peft",
    "pyarrow",
    "safetensors",
    "scikit-learn",
    "scipy",
    "tokenizers",
    "torch",
    "transformers",
)

_QUIET = {
    # Our own bar is the only one: these libraries would draw theirs through it.
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    # cuBLAS reads this when it is first loaded; without it its sums are not repeatable.
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}


def quieten_libraries() -> None:
    """Set, before they are imported, what makes libraries quiet; what the user set stays."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)


def encode_anything() -> None:
    """Let the screen spell out letters that its encoding lacks, instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def stay_offline() -> None:
    """Forbid the Hugging Face libraries the network, unless the user decided otherwise."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")


def seed_globals(seed: int) -> None:
    """Seed the global generators, for libraries that take no seed of their own.

    Then a stage gives the same whether stages ran before it in this process or not.
    """
    import numpy as np

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the global generator is what such libraries use


def choose_device(wanted: str) -> str:
    """Turn `auto`, `cpu` or `cuda` into the device that torch is to use.

    On `cuda`, a process that a launcher started gets the GPU of its LOCAL_RANK.

    Raises
    ------
    click.ClickException
        If `cuda` is asked for and torch sees none.
    """
    import torch

    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise click.ClickException(
            "--device: cuda, but torch sees no CUDA device; give cpu or auto"
        )
    if wanted == "cpu" or not available:
        return "cpu"
    torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    return "cuda"


@contextmanager
def repeatable_torch(seed: int, device: str) -> Iterator[None]:
    """Let torch use only algorithms whose result is the same in every run.

    On CUDA an operation without such an algorithm warns instead of failing.
    """
    import torch

    before = torch.are_deterministic_algorithms_enabled()
    warned_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(mode=True, warn_only=device != "cpu")
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=before, warn_only=warned_only)


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the libraries whose numbers end up in artefacts."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def our_packages(distribution: str) -> dict[str, str]:
    """Versions of one of our packages and of those of our packages that it builds on."""
    found: dict[str, str] = {}
    waiting = [distribution]
    while waiting:
        name = waiting.pop()
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        found[name] = version
        names = [Requirement(line).name.lower() for line in metadata.requires(name) or []]
        waiting += [other for other in names if other.startswith(OURS) and other not in found]
    return found


def machine() -> dict[str, Any]:
    """Platform and number of threads, on which the last digits of sums can depend."""
    return {
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
    }
