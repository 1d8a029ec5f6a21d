import itertools
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    OPTConfig,
    Qwen3Config,
    RobertaConfig,
    T5Config,
)

from fmri_vqtok.errors import InputError
from fmri_vqtok.text.cache import cached_tensor, model_fingerprint
from fmri_vqtok.text.features import CPU_TOKENS, embedding_table, text_features
from fmri_vqtok.text.models import load_model, probe_text_model

TEXTS = [
    "the regions are calm",
    "the brain has many moods and moods",
    "many",
    "the regions have many regions and the brain has many moods",
]
SIZES = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 8,
}  # fmt: skip
ARCHITECTURES = {
    "gpt2": lambda v: GPT2Config(vocab_size=v, n_embd=16, n_layer=2, n_head=2, n_positions=32),
    "llama": lambda v: LlamaConfig(vocab_size=v, **SIZES),
    "qwen3": lambda v: Qwen3Config(vocab_size=v, **SIZES),
    "gemma3": lambda v: Gemma3TextConfig(vocab_size=v, sliding_window=4, **SIZES),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory, language_model):
    """Function that saves a random model of a configuration with a word tokenizer, once."""
    folders = {}

    def make(name, config=None, kind=AutoModelForCausalLM, pad_token_id=None):
        if name not in folders:
            tokenizer = AutoTokenizer.from_pretrained(language_model)
            folders[name] = tmp_path_factory.mktemp(name)
            tokenizer.save_pretrained(folders[name])
            with torch.random.fork_rng():
                torch.manual_seed(0)
                n_words = len(tokenizer)
                chosen = config(n_words) if config else ARCHITECTURES[name](n_words)
                special = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": pad_token_id}
                chosen.update(special)
                kind.from_config(chosen).save_pretrained(folders[name])
        return folders[name]

    return make


@pytest.fixture
def model_copy(tmp_path, language_model):
    return shutil.copytree(language_model, tmp_path / "language-model")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_table_holds_the_models_input_embeddings(made, name):
    model = AutoModelForCausalLM.from_pretrained(made(name))
    embeddings = model.get_input_embeddings()
    table = embedding_table(made(name))
    assert torch.equal(table, embeddings(torch.arange(len(table))))
    # Gemma scales what it looks up by the root of its width.
    factor = 4.0 if name == "gemma3" else 1.0
    assert torch.allclose(table, factor * embeddings.weight, rtol=1e-2)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_feature_of_a_text_is_its_mean_last_hidden_state(made, name):
    tokenizer = AutoTokenizer.from_pretrained(made(name))
    model = AutoModelForCausalLM.from_pretrained(made(name)).eval()
    features = text_features(made(name), TEXTS, max_tokens=32)
    for text, feature in zip(TEXTS, features, strict=True):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        hidden = model(input_ids=ids, output_hidden_states=True).hidden_states[-1]
        assert torch.allclose(feature, hidden[0].mean(dim=0), atol=1e-5)


@pytest.mark.parametrize(
    ("sentences", "pieces"),
    [
        (["the brain has", "many moods", "and moods"], ["the brain has many moods", "and moods"]),
        (["the brain", "has many moods and many regions and moods"],
         ["the brain", "has many moods and many", "regions and moods"]),
    ],
)  # fmt: skip
def test_a_long_text_is_read_in_pieces_of_whole_sentences_and_nothing_is_left_out(
    language_model, sentences, pieces
):
    by_piece = text_features(language_model, pieces, max_tokens=50)
    lengths = torch.tensor([[float(len(piece.split()))] for piece in pieces])
    found = text_features(language_model, [sentences], max_tokens=5)
    expected = (lengths * by_piece).sum(dim=0) / lengths.sum()
    assert torch.allclose(found[0], expected, atol=1e-6)


def test_a_text_is_cut_at_its_own_sentences_where_none_are_given(language_model):
    text = "The brain has 1.5 moods. The regions have many moods."
    sentences = ["The brain has 1.5 moods.", "The regions have many moods."]
    found, given = (text_features(language_model, [t], 7) for t in (text, sentences))
    assert torch.equal(found, given)


def test_batched_texts_have_the_features_of_single_texts(language_model):
    # More than one batch, of rows of different length.
    texts = [f"{text} and {' '.join(TEXTS[:k])}" for k in range(4) for text in TEXTS] * 10
    assert sum(len(text.split()) for text in texts) > 1.5 * CPU_TOKENS
    together = text_features(language_model, texts, 50)
    alone = [text_features(language_model, [text], 50)[0] for text in texts[:16]]
    assert torch.allclose(together[:16], torch.stack(alone), atol=1e-5)


def test_embeddings_of_another_width_than_the_hidden_states_are_refused(made):
    def config(n_words):
        return OPTConfig(
            vocab_size=n_words, hidden_size=16, word_embed_proj_dim=8, ffn_dim=16,
            num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=32,
        )  # fmt: skip

    with pytest.raises(InputError, match="embeddings of width 8, but hidden states of width 16"):
        embedding_table(made("opt", config))


def test_a_model_with_few_positions_reads_a_long_text_in_pieces(made):
    found = text_features(made("gpt2"), ["the " * 40], max_tokens=33)
    pieces = text_features(made("gpt2"), ["the " * 32, "the " * 8], max_tokens=33)
    expected = (32 * pieces[0] + 8 * pieces[1]) / 40
    assert torch.allclose(found[0], expected, atol=1e-6)


def test_an_encoder_that_counts_positions_behind_its_padding_reads_in_pieces(made):
    def config(n_words):
        return RobertaConfig(
            vocab_size=n_words, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16, max_position_embeddings=34, pad_token_id=1,
        )  # fmt: skip

    folder = made("roberta", config, kind=AutoModel, pad_token_id=1)
    assert text_features(folder, ["the " * 40], max_tokens=64).isfinite().all()


def altered(folder, change):
    """The same model with other weights."""
    weights = load_file(folder / "model.safetensors")
    for name in weights:
        change(name, weights[name])
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_model_whose_hidden_states_are_not_finite_is_refused(model_copy):
    def overflow(name, weight):
        if name.endswith("norm.weight"):
            weight.fill_(3e38)

    with pytest.raises(InputError, match="hidden states are not finite; give the folder of a"):
        text_features(altered(model_copy, overflow), ["the brain"], 9)


def test_a_model_that_reads_a_text_otherwise_beside_another_is_refused(language_model, monkeypatch):
    model = load_model(AutoModel, language_model)
    plain = model.forward

    def blind(input_ids, attention_mask):
        # As a model that looks at the batch: all rows move with the longest one.
        out = plain(input_ids=input_ids, attention_mask=attention_mask)
        out.last_hidden_state = out.last_hidden_state + attention_mask.shape[1]
        return out

    monkeypatch.setattr(model, "forward", blind)
    with pytest.raises(InputError, match="other hidden states beside a longer one than alone"):
        probe_text_model(model, torch.arange(8), language_model)


def test_a_model_that_needs_more_than_a_text_is_refused(made):
    def config(n_words):
        return T5Config(
            vocab_size=n_words, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2,
            decoder_start_token_id=0,
        )  # fmt: skip

    folder = made("t5", config, kind=AutoModel)
    with pytest.raises(
        InputError, match=r"cannot read a text .*; give the folder of a causal lang"
    ):
        text_features(folder, ["the brain"], 9)


def test_a_tokenizer_with_more_words_than_the_model_is_refused(model_copy):
    tokenizer = AutoTokenizer.from_pretrained(model_copy)
    tokenizer.add_tokens(["hippocampus"])
    tokenizer.save_pretrained(model_copy)
    with pytest.raises(InputError, match=r"has embeddings of .* tokens; give the tokenizer that"):
        text_features(model_copy, ["the hippocampus"], 9)


def test_a_tokenizer_that_knows_no_word_is_refused(language_model):
    with pytest.raises(InputError, match="knows no word of 'Amygdala'; give the tokenizer that"):
        text_features(language_model, ["the brain", "Amygdala"], 9)


def test_a_text_without_words_is_refused(language_model):
    with pytest.raises(InputError, match="text '': no tokens in it"):
        text_features(language_model, ["the brain", ""], max_tokens=5)


SECOND_CALL = """
import sys
from pathlib import Path
import torch
from fmri_vqtok.text.features import embedding_table, text_features
model, cache, out = map(Path, sys.argv[1:])
features = text_features(model, ["the brain", "many moods"], 5, cache_dir=cache)
torch.save((embedding_table(model, cache_dir=cache), features), out)
print("transformers" in sys.modules)
"""


def test_the_second_call_loads_no_model(tmp_path, language_model):
    cache, out = tmp_path / "cache", tmp_path / "out.pt"
    table = embedding_table(language_model, cache_dir=cache)
    features = text_features(language_model, ["the brain", "many moods"], 5, cache_dir=cache)
    command = [sys.executable, "-c", SECOND_CALL, language_model, cache, out]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    again = torch.load(out)
    assert torch.equal(again[0], table)
    assert torch.equal(again[1], features)


def test_another_text_length_or_model_is_another_entry(tmp_path, language_model, model_copy):
    weights = load_file(model_copy / "model.safetensors")
    weights["model.embed_tokens.weight"] += 1.0
    save_file(weights, model_copy / "model.safetensors", metadata={"format": "pt"})
    cache = tmp_path / "cache"
    calls = [
        (language_model, ["the brain"], 5),
        (language_model, ["the moods"], 5),
        (language_model, ["the brain", "the moods"], 5),
        (language_model, ["the brain"], 1),
        (model_copy, ["the brain"], 5),
    ]
    first = [text_features(*call, cache_dir=cache) for call in calls]
    assert len(list(cache.iterdir())) == len(calls)
    for one, other in itertools.pairwise(first):
        assert one.shape != other.shape or not torch.allclose(one, other)
    again = [text_features(*call, cache_dir=cache) for call in calls]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_model_is_known_by_its_files_and_not_by_its_place(language_model, model_copy):
    assert model_fingerprint(model_copy) == model_fingerprint(language_model)
    (model_copy / "notes.md").write_text("mine")
    assert model_fingerprint(model_copy) == model_fingerprint(language_model)
    text = (model_copy / "config.json").read_text()
    (model_copy / "config.json").write_text(text.replace('"silu"', '"gelu"'))
    assert model_fingerprint(model_copy) != model_fingerprint(language_model)


def compute_ones():
    return torch.ones(3, 2)


def cut_off(content):
    return content[: len(content) // 2]


def one_bit_turned(content):
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("harm", [cut_off, one_bit_turned, lambda _content: b""])
def test_a_broken_entry_is_computed_anew(tmp_path, caplog, harm):
    cached_tensor({"kind": "ones"}, compute_ones, tmp_path)
    [entry] = tmp_path.iterdir()
    entry.write_bytes(harm(entry.read_bytes()))
    assert torch.equal(cached_tensor({"kind": "ones"}, compute_ones, tmp_path), torch.ones(3, 2))
    assert "computed anew" in caplog.text
    zeros = cached_tensor({"kind": "ones"}, lambda: torch.zeros(1), tmp_path)
    assert torch.equal(zeros, torch.ones(3, 2))


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    made = cached_tensor({"kind": "ones"}, compute_ones, tmp_path / "file")
    assert torch.equal(made, torch.ones(3, 2))
    assert "cannot be written" in caplog.text


def test_writers_at_the_same_time_leave_one_whole_entry_and_nothing_else(tmp_path):
    all_computed = Barrier(8)

    def write(number):
        def compute():
            all_computed.wait()
            return torch.full((1000, 50), float(number))

        return cached_tensor({"kind": "numbers"}, compute, tmp_path)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]
    entry = cached_tensor({"kind": "numbers"}, lambda: torch.zeros(1), tmp_path)
    assert entry.shape == (1000, 50)
    assert (entry == entry[0, 0]).all()
