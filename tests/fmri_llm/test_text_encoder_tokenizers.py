"""Tokenizers and positions of text encoders, on tiny random ones."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModel,
    BertConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
)

from fmri_llm.text_encoder import TextEncoderClassifier

WORDS = ("<s>", "<pad>", "</s>", "<unk>", *"abcdefgh")
TEXTS = ["a", "b c d e f g h", "c a", "h g f e d c b a"]
CLASSES = ["x", "y", "x", "y"]
POSITIONS = 12


def write_encoder(folder, config_class, **tokenizer_options):
    """Write an encoder of random weights over words that are letters; the folder."""
    words = Tokenizer(models.WordLevel({w: k for k, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", **tokenizer_options
    )
    tokenizer.save_pretrained(folder)
    config = config_class(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=POSITIONS, pad_token_id=1,
        initializer_range=1.0,  # random weights of the usual size make every text alike
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModel.from_config(config).save_pretrained(folder)
    return str(folder)


def fitted(folder):
    classifier = TextEncoderClassifier(folder, epochs=1, batch_size=4, learning_rate=1e-2)
    return classifier.fit(TEXTS, CLASSES)


@pytest.mark.parametrize(
    "options",
    [
        {"pad_token": "<pad>", "padding_side": "left", "truncation_side": "left"},
        {"eos_token": "</s>"},
        {},
    ],
    ids=["pads on the left", "has no pad token", "has neither pad nor end token"],
)
@pytest.mark.parametrize("config_class", [BertConfig, RobertaConfig])
def test_a_text_is_read_alike_alone_and_beside_a_longer_one_by_a_tokenizer_that(
    tmp_path, config_class, options
):
    classifier = fitted(write_encoder(tmp_path, config_class, **options))
    together = classifier.predict_proba(TEXTS)
    alone = np.concatenate([classifier.predict_proba([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert np.ptp(together[:, 0]) > 1e-3  # the texts do differ


@pytest.mark.parametrize(
    ("config_class", "n_read"),
    # RoBERTa counts positions from the one behind that of its padding token, which is 1.
    [(BertConfig, POSITIONS), (RobertaConfig, POSITIONS - 2)],
)
def test_as_many_tokens_are_read_as_there_are_positions_for(tmp_path, config_class, n_read):
    classifier = fitted(write_encoder(tmp_path, config_class, pad_token="<pad>"))
    letters = ["a"] * n_read
    most = classifier.predict_proba([" ".join(letters)])
    longer = classifier.predict_proba([" ".join([*letters, "h", "h"])])
    np.testing.assert_array_equal(longer, most)
    last = classifier.predict_proba([" ".join([*letters[:-1], "h"])])
    assert np.abs(last - most).max() > 1e-4
