"""Perplexity of plain text: closed forms, and the loss of transformers."""

import numpy as np
import pytest
import torch

from fmri_llm.evaluation.text_perplexity import TextPerplexity, text_perplexity


@pytest.fixture
def tokens():
    return np.random.default_rng(0).integers(0, 256, size=50, dtype=np.int32)


def test_a_model_for_which_all_words_are_alike_has_the_perplexity_of_its_vocabulary(
    make_model, tokens
):
    base = make_model("llama").language_model
    torch.nn.init.zeros_(base.get_output_embeddings().weight)
    perplexity, n_tokens = text_perplexity(base, tokens, length=10, most=50)
    assert perplexity == pytest.approx(base.config.vocab_size, rel=1e-5)
    assert n_tokens == 5 * 9


def test_it_is_the_exponential_of_the_loss_of_transformers(tiny_model, tokens):
    rows = torch.from_numpy(tokens[:50].reshape(5, 10)).long()
    with torch.no_grad():
        loss = float(tiny_model.language_model(input_ids=rows, labels=rows).loss)
    perplexity, _ = text_perplexity(tiny_model.language_model, tokens, length=10, most=50)
    assert perplexity == pytest.approx(np.exp(loss), rel=1e-5)


def test_fewer_pieces_are_spread_from_the_start_of_the_text_to_its_end(tiny_model, tokens):
    both = np.concatenate([tokens[:10], tokens[40:50]])
    spread_out = text_perplexity(tiny_model.language_model, tokens, length=10, most=25)
    assert spread_out == text_perplexity(tiny_model.language_model, both, length=10, most=20)


def test_what_is_written_is_read(tmp_path):
    found = TextPerplexity(before=12.5, after=13.25, n_tokens=90)
    found.write(tmp_path)
    assert TextPerplexity.read(tmp_path) == found
