"""What every test shares: no model hub, a quiet tokenizer library, one converted language model."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # one test process a core

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """Folder of the packaged SmolLM2-135M-Instruct, converted once into the user's cache."""
    from fmri_llm.base_model import locate

    return locate.resolve("smollm2-135m-instruct")


class LocalHub(NamedTuple):
    """A model hub on this machine.

    Attributes
    ----------
    address : str
    folder : Path
        What it was given, by repository.
    environment : dict of str
        Of a process that knows no other hub.
    """

    address: str
    folder: Path
    environment: dict[str, str]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    """A hub that answers as long as the test runs."""
    folder = tmp_path / "hub"
    command = [sys.executable, str(Path(__file__).with_name("local_hub.py")), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        address = server.stdout.readline().strip()
        environment = {
            **os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "0", "NO_PROXY": "*", "no_proxy": "*",
        }  # fmt: skip
        yield LocalHub(address, folder, environment)
        server.terminate()
