"""Folders that no test may change, made once."""

import pytest
from threadpoolctl import threadpool_limits

from fmri_instruct.prompts.instructions import build_instructions, write_instructions
from fmri_instruct.settings import MakeInstructionsSettings
from fmri_instruct.tasks.definitions import load_tasks

from .folders import made_up_rows, write_cohort, write_descriptors, write_tokens


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Arrays here are so small that threads only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tasks():
    return load_tasks()


@pytest.fixture(scope="session")
def rows():
    return made_up_rows()


@pytest.fixture(scope="session")
def cohort_dir(rows, tmp_path_factory):
    return write_cohort(rows, tmp_path_factory.mktemp("folders") / "cohort")


@pytest.fixture(scope="session")
def descriptors_dir(rows, tmp_path_factory):
    return write_descriptors(rows, tmp_path_factory.mktemp("folders") / "descriptors")


@pytest.fixture(scope="session")
def tokens_dir(rows, model, tmp_path_factory):
    """Tokens that bear the name of the model's tokenizer."""
    directory = tmp_path_factory.mktemp("folders") / "tokens"
    return write_tokens(rows, directory, tokenizer=model.brain_tokenizer.fingerprint)


@pytest.fixture(scope="session")
def instructions_dir(cohort_dir, descriptors_dir, tasks, tmp_path_factory):
    directory = tmp_path_factory.mktemp("instructions")
    settings = MakeInstructionsSettings(variants=2)
    built = build_instructions(cohort_dir, descriptors_dir, tasks, settings, seed=0)
    write_instructions(built, tasks, directory)
    return directory


@pytest.fixture(scope="session")
def model_dir(rows, tmp_path_factory):
    from .tiny_model import write_base, write_model

    root = tmp_path_factory.mktemp("models")
    base = write_base(root / "base")
    return write_model(base, root / "model", rows[0].bold.shape[1], len(rows))


@pytest.fixture(scope="session")
def model(model_dir):
    """A tiny language model that no test may train."""
    from fmri_llm.model.fmri_lm import FMRILM

    return FMRILM.from_pretrained(model_dir)
