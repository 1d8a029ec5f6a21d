"""Signal tokens: where they start, and which token is whose."""

import pytest
import torch

from fmri_llm.brain_input.connector import Connector

from ..tiny import N_REGIONS, N_STEPS, WIDTH, random_codes, stir, tiny_tokenizer


@pytest.fixture(scope="module")
def text_embeddings():
    with torch.no_grad():
        return tiny_tokenizer("llama").text_embeddings(random_codes(2))


@pytest.mark.parametrize("hidden_width", [0, 7])
@torch.no_grad()
def test_it_starts_as_the_embeddings_of_stage_one_times_one_number(text_embeddings, hidden_width):
    tokens = Connector(N_REGIONS, WIDTH, hidden_width, scale=0.37)(text_embeddings)
    assert torch.equal(tokens, torch.tensor(0.37) * text_embeddings.flatten(1, 2))


@torch.no_grad()
def test_tokens_are_in_time_major_order(text_embeddings):
    connector = Connector(N_REGIONS, WIDTH, 7, scale=0.37)
    stir(connector)
    tokens = connector(text_embeddings)
    for step in range(N_STEPS):
        own = connector(text_embeddings[:, step : step + 1])
        place = slice(step * N_REGIONS, (step + 1) * N_REGIONS)
        torch.testing.assert_close(tokens[:, place], own)


@torch.no_grad()
def test_regions_in_another_order_with_their_embeddings_are_the_same_tokens(text_embeddings):
    connector = Connector(N_REGIONS, WIDTH, 7, scale=0.37)
    stir(connector)
    order = torch.tensor([3, 0, 4, 1, 2])
    before = connector(text_embeddings).unflatten(1, (N_STEPS, N_REGIONS))
    connector.region.copy_(connector.region[order].clone())
    after = connector(text_embeddings[:, :, order]).unflatten(1, (N_STEPS, N_REGIONS))
    torch.testing.assert_close(after, before[:, :, order])
    assert not torch.allclose(after, before)
