import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from fmri_vqtok.errors import InputError
from fmri_vqtok.text_targets import embedding_table, read_text, text_features, token_stream


def test_the_table_is_the_input_embedding_of_the_language_model(language_model):
    model = AutoModelForCausalLM.from_pretrained(language_model)
    assert torch.equal(embedding_table(language_model), model.get_input_embeddings().weight)


def test_the_feature_of_a_text_is_its_mean_last_hidden_state(language_model):
    texts = ["the regions are calm", "the brain has many moods and moods"]
    tokenizer = AutoTokenizer.from_pretrained(language_model)
    model = AutoModelForCausalLM.from_pretrained(language_model).eval()
    features = text_features(language_model, texts, max_tokens=4)
    for text, feature in zip(texts, features, strict=True):
        ids = torch.tensor([tokenizer(text)["input_ids"][:4]])
        hidden = model(input_ids=ids, output_hidden_states=True).hidden_states[-1]
        assert torch.allclose(feature, hidden[0].mean(dim=0), atol=1e-6)


def test_the_stream_is_the_corpus_in_the_model_s_own_tokens(language_model, corpus):
    tokenizer = AutoTokenizer.from_pretrained(language_model)
    ids = token_stream(language_model, corpus)
    assert tokenizer.convert_ids_to_tokens(ids.tolist()) == corpus.read_text().split()


def test_the_texts_of_a_folder_are_read_in_the_order_of_their_names(tmp_path):
    for name, text in (("b.md", "second"), ("a.txt", "first"), ("c.py", "no prose")):
        (tmp_path / name).write_text(text)
    assert read_text(tmp_path) == "first\n\nsecond"


def test_a_corpus_without_text_is_refused(tmp_path):
    with pytest.raises(InputError, match="no text; give a text file"):
        read_text(tmp_path)
