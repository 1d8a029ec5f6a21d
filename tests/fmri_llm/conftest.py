"""Tiny random language models of four architectures, and the packaged one."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from fmri_llm.model.fmri_lm import FMRILM
from fmri_llm.settings import BrainInputSettings

from .tiny import (
    ARCHITECTURES,
    MEASURES,
    PACKAGED,
    random_codes,
    random_filters,
    stir,
    tiny_config,
    tiny_tokenizer,
    word_tokenizer,
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Compute on one thread: these tensors are too small to be worth sharing out."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """Folder of a tiny random language model of a given architecture."""
    made = {}

    def folder(architecture):
        if architecture not in made:
            made[architecture] = tmp_path_factory.mktemp(architecture)
            tokenizer = word_tokenizer()
            torch.manual_seed(0)
            config = tiny_config(architecture, len(tokenizer))
            # Random weights of the usual size leave attention almost uniform and effects tiny.
            config.initializer_range = 0.3
            model = AutoModelForCausalLM.from_config(config)
            model.save_pretrained(made[architecture])
            tokenizer.save_pretrained(made[architecture])
        return made[architecture]

    return folder


@pytest.fixture(scope="session")
def make_model(tiny_folder):
    """Make a fresh model of an architecture, with trained-looking adapters and head."""

    def make(architecture="llama", *, attention="sdpa", base_training="adapters", seed=1, **brain):
        model = FMRILM.from_base(
            tiny_folder(architecture),
            tiny_tokenizer(architecture),
            name=architecture,
            filters=random_filters(),
            brain=BrainInputSettings(**brain),
            measures=MEASURES,
            attention=attention,
            base_training=base_training,
            seed=seed,
        )
        stir(model, seed)
        return model

    return make


@pytest.fixture(scope="session", params=ARCHITECTURES)
def any_model(request, make_model):
    """One model of each architecture; not to be trained."""
    return make_model(request.param)


@pytest.fixture(scope="session")
def tiny_model(make_model):
    """One tiny Llama; not to be trained."""
    return make_model("llama")


@pytest.fixture(scope="session")
def packaged_model(smollm2):
    """The packaged model with a tiny brain tokenizer; not to be trained."""
    model = FMRILM.from_base(smollm2, tiny_tokenizer(PACKAGED, 576), name=PACKAGED)
    stir(model)
    return model


@pytest.fixture
def codes():
    """Random codes of two windows (2, W, N)."""
    return random_codes(2)
