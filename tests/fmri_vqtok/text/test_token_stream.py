"""Plain text as tokens in a file: what is in it, that it is made once, and its memory."""

import errno
import io
import os
import tracemalloc

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from fmri_vqtok.errors import InputError
from fmri_vqtok.text.token_stream import token_stream


def test_the_stream_is_the_corpus_in_the_model_s_own_tokens(language_model, corpus):
    tokenizer = AutoTokenizer.from_pretrained(language_model)
    ids = token_stream(language_model, corpus).tokens
    assert tokenizer.convert_ids_to_tokens(ids.tolist()) == corpus.read_text().split()


def test_the_stream_stops_at_its_limit(tmp_path, language_model, corpus):
    everything = token_stream(language_model, corpus).tokens
    assert torch.equal(token_stream(language_model, corpus, limit=7).tokens, everything[:7])
    # What lies beyond the limit is not even read.
    for number in range(40):
        (tmp_path / f"{number:02}.txt").write_text("the brain")
    (tmp_path / "99.txt").write_bytes(b"\xff\xfe\xff")
    assert len(token_stream(language_model, tmp_path, limit=50).tokens) == 50
    with pytest.raises(InputError, match=r"99\.txt: cannot be read"):
        token_stream(language_model, tmp_path)


def test_memory_does_not_grow_with_the_tokens_of_a_corpus(tmp_path, language_model):
    with (tmp_path / "long.txt").open("w") as file:
        for _ in range(200):
            file.write("the brain has many moods " * 1000)
    tracemalloc.start()
    stream = token_stream(language_model, tmp_path / "long.txt").tokens
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(stream) == 1_000_000
    assert torch.equal(stream[-5:], stream[:5])
    # 16 texts of 65,536 characters as lists of whole numbers, and not 4 MB of tokens more.
    assert peak < 6_000_000


def test_a_corpus_whose_tokens_find_no_space_is_refused(language_model, corpus, monkeypatch):
    class Full(io.BytesIO):
        def write(self, _content):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", Full)
    with pytest.raises(InputError, match=r"No space left.*smaller corpus_limit"):
        token_stream(language_model, corpus, cache_dir=corpus)


def test_a_corpus_without_text_is_refused(tmp_path, language_model):
    with pytest.raises(InputError, match="no text; give a text file"):
        token_stream(language_model, tmp_path)


def entries(folder):
    return sorted(path for path in folder.iterdir() if path.suffix == ".int32")


def test_a_corpus_is_made_into_tokens_once(language_model, corpus, tmp_path, monkeypatch):
    first = token_stream(language_model, corpus, cache_dir=tmp_path)
    monkeypatch.setattr("fmri_vqtok.text.token_stream.read_corpus", lambda *_: 1 / 0)
    again = token_stream(language_model, corpus, cache_dir=tmp_path)
    assert torch.equal(first.tokens, again.tokens)
    assert first[1:] == again[1:]
    assert again.highest == int(first.tokens.max())
    assert len(entries(tmp_path)) == 1


def test_a_corpus_that_changed_is_read_again(language_model, corpus, tmp_path):
    before = token_stream(language_model, corpus, cache_dir=tmp_path)
    words = corpus.read_text().split()
    changed = corpus.stat().st_mtime_ns + 1
    corpus.write_text(" ".join([words[-1], *words[1:-1], words[0]]))
    os.utime(corpus, ns=(changed, changed))
    after = token_stream(language_model, corpus, cache_dir=tmp_path)
    assert after.tokens[0] == before.tokens[-1]
    assert after.digest != before.digest


def test_a_broken_file_of_tokens_is_made_anew(language_model, corpus, tmp_path, caplog):
    whole = token_stream(language_model, corpus, cache_dir=tmp_path).tokens.clone()
    (path,) = entries(tmp_path)
    np.zeros(len(whole), np.int32).tofile(path)
    assert torch.equal(token_stream(language_model, corpus, cache_dir=tmp_path).tokens, whole)
    assert "another digest than was written" in caplog.text


def test_a_data_set_of_the_hub_without_a_known_revision_leaves_nothing_in_the_cache(
    language_model, tmp_path
):
    with pytest.raises(InputError, match="data set nobody/nothing of the Hugging Face hub"):
        token_stream(language_model, "hf:nobody/nothing", cache_dir=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
