"""What every test shares: no model hub, a quiet tokenizer library, one converted language model."""

import os
from pathlib import Path

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
