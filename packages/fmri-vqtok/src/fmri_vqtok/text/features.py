"""Frozen text targets of any causal language model: embeddings and features."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.captions import split_sentences
from fmri_vqtok.text.cache import cached_tensor, model_fingerprint

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CPU_TOKENS, GPU_TOKENS = 1024, 16_384
"""Tokens per batch, with padding; larger batches are no faster on a CPU."""


def embedding_table(model_dir: Path, *, cache_dir: Path | None = None) -> Tensor:
    """Input embeddings of the language model, as it sees its tokens; shape (V, C), float32.

    Computed once for a model, then read from the cache without loading it.

    Parameters
    ----------
    model_dir : Path
        Local folder of a transformers model.
    cache_dir : Path, optional
        In place of the user's cache; see `fmri_vqtok.text.cache`.

    Raises
    ------
    InputError
        If there is no such model, or its embeddings and hidden states differ in width.
    """
    about = {"kind": "embeddings", "model": model_fingerprint(model_dir)}
    return cached_tensor(about, lambda: _embeddings(model_dir), cache_dir)


def text_features(
    model_dir: Path,
    texts: Sequence[str | Sequence[str]],
    max_tokens: int,
    *,
    device: str = "cpu",
    cache_dir: Path | None = None,
) -> Tensor:
    """Mean last hidden state over all tokens of each text, shape (n, C), float32.

    A text of more tokens than are read at a time is read in pieces of whole sentences, and a longer
    sentence in several pieces: nothing is left out.

    Computed once for a model, these texts and ``max_tokens``, then read from the cache without
    loading the model.

    Parameters
    ----------
    model_dir : Path
        Local folder of a transformers model with its tokenizer.
    texts : sequence of str or of sequences of str
        Texts, or the sentences of each.
    max_tokens : int
        Most tokens that the model reads at a time; fewer if it takes fewer.
    device : str, default="cpu"
        Where the model runs.
    cache_dir : Path, optional
        In place of the user's cache; see `fmri_vqtok.text.cache`.

    Raises
    ------
    InputError
        If there is no such model, it cannot read text as needed, its tokenizer is another model's,
        or a text has no words that it knows.
    """
    sentences = [split_sentences(t) or [t] if isinstance(t, str) else list(t) for t in texts]
    about = {
        "kind": "features",
        "model": model_fingerprint(model_dir),
        "texts": sentences,
        "max_tokens": max_tokens,
    }
    return cached_tensor(
        about, lambda: _features(model_dir, sentences, max_tokens, device), cache_dir
    )


@torch.no_grad()
def _embeddings(model_dir: Path) -> Tensor:
    from transformers import AutoModel

    from fmri_vqtok.text.models import load_model

    model = load_model(AutoModel, model_dir)
    embeddings = cast("nn.Embedding", model.get_input_embeddings())
    # Through the module and not from its weights: some models (Gemma) scale the embeddings.
    ids = torch.arange(embeddings.num_embeddings)
    table = torch.cat([embeddings(some) for some in ids.split(GPU_TOKENS)])
    width = model.config.get_text_config().hidden_size
    if table.shape[1] != width:
        raise InputError(
            f"language model {model_dir}: embeddings of width {table.shape[1]}, but hidden states "
            f"of width {width}; give a model where they are equal"
        )
    return table


@torch.no_grad()
def _features(
    model_dir: Path, texts: Sequence[Sequence[str]], max_tokens: int, device: str
) -> Tensor:
    from transformers import AutoModel

    from fmri_vqtok.text.models import (
        check_token_ids,
        load_model,
        load_text_tokenizer,
        most_positions,
        probe_text_model,
    )

    model = load_model(AutoModel, model_dir)
    tokenizer = load_text_tokenizer(model_dir)
    most = min(max_tokens, most_positions(model) or max_tokens)
    by_text = [_pieces(tokenizer, sentences, most, model_dir) for sentences in texts]
    pieces = [piece for own in by_text for piece in own]
    check_token_ids(max(int(piece.max()) for piece in pieces), model, model_dir)
    probe_text_model(model, max(pieces, key=len), model_dir)
    sums = _hidden_sums(cast("nn.Module", model).to(device), pieces, device)
    owners = torch.tensor([k for k, own in enumerate(by_text) for _ in own])
    lengths = torch.tensor([float(len(piece)) for piece in pieces])
    totals = torch.zeros(len(texts)).index_add(0, owners, lengths)
    return torch.zeros(len(texts), sums.shape[1]).index_add(0, owners, sums) / totals[:, None]


def _hidden_sums(model: nn.Module, rows: Sequence[Tensor], device: str) -> Tensor:
    """Sum of the last hidden states over the tokens of each row, shape (n, C)."""
    sums: dict[int, Tensor] = {}
    for batch in _padded_batches(rows, CPU_TOKENS if device == "cpu" else GPU_TOKENS):
        ids = pad_sequence([rows[k] for k in batch], batch_first=True).to(device)
        lengths = torch.tensor([len(rows[k]) for k in batch], device=device)
        # Padding is on the right, which a causal model does not attend to.
        attention_mask = torch.arange(ids.shape[1], device=device) < lengths[:, None]
        hidden = model(input_ids=ids, attention_mask=attention_mask.long()).last_hidden_state
        found = hidden.float().masked_fill(~attention_mask[..., None], 0.0).sum(dim=1)
        sums |= dict(zip(batch, found.cpu(), strict=True))
    return torch.stack([sums[k] for k in range(len(rows))])


def _pieces(
    tokenizer: "PreTrainedTokenizerBase", sentences: Sequence[str], most: int, model_dir: Path
) -> list[Tensor]:
    """Token ids of a text in pieces of at most `most`, cut between sentences where possible."""
    lengths = map(len, tokenizer(list(sentences), add_special_tokens=False)["input_ids"])
    room = max(1, most - tokenizer.num_special_tokens_to_add())
    groups: list[list[str]] = []
    free = 0
    for sentence, length in zip(sentences, lengths, strict=True):
        if not groups or length > free:
            groups.append([])
            free = room
        groups[-1].append(sentence)
        free -= length
    rows = tokenizer([" ".join(group) for group in groups], verbose=False)["input_ids"]
    _check_words(tokenizer, sentences, rows, model_dir)
    return [
        torch.tensor(row[start : start + most], dtype=torch.int64)
        for row in rows
        for start in range(0, len(row), most)
    ]


def _check_words(
    tokenizer: "PreTrainedTokenizerBase",
    sentences: Sequence[str],
    rows: Sequence[Sequence[int]],
    model_dir: Path,
) -> None:
    ids = {token for row in rows for token in row}
    if not ids:
        raise InputError(
            f"text {' '.join(sentences)!r}: no tokens in it; give each text some words"
        )
    if ids - set(tokenizer.all_special_ids) <= {tokenizer.unk_token_id}:
        raise InputError(
            f"text tokenizer of language model {model_dir}: knows no word of "
            f"{' '.join(sentences)[:60]!r}; give the tokenizer that belongs to the model"
        )


def _padded_batches(rows: Sequence[Tensor], most: int) -> Iterator[list[int]]:
    """Group rows of similar length to batches of at most `most` tokens; yield their indices."""
    batch: list[int] = []
    for place in sorted(range(len(rows)), key=lambda k: len(rows[k])):
        if batch and len(rows[place]) * (len(batch) + 1) > most:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
