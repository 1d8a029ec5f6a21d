"""Frozen text targets of any causal language model: embeddings, features and token streams."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from transformers import AutoModel

from fmri_vqtok.errors import InputError
from fmri_vqtok.language_models import load_model, load_text_tokenizer
from fmri_vqtok.reading import reading

TEXT_SUFFIXES = (".md", ".rst", ".txt")


@torch.no_grad()
def embedding_table(model_dir: Path) -> Tensor:
    """Input embeddings of the language model, shape (V, C), float32."""
    model = load_model(AutoModel, model_dir)
    table = cast("nn.Embedding", model.get_input_embeddings()).weight
    return table.detach().clone()


@torch.no_grad()
def text_features(model_dir: Path, texts: Sequence[str], max_tokens: int) -> Tensor:
    """Mean last hidden state of each text, shape (n, C), float32.

    Parameters
    ----------
    model_dir : Path
        Local folder of a transformers model with its tokenizer.
    texts : sequence of str
    max_tokens : int
        Tokens after the first ``max_tokens`` of a text are left out.
    """
    tokenizer = load_text_tokenizer(model_dir)
    model = load_model(AutoModel, model_dir)
    features = []
    for text in texts:
        ids = tokenizer(text, return_tensors="pt", truncation=True, max_length=max_tokens)
        features.append(model(input_ids=ids["input_ids"]).last_hidden_state[0].mean(dim=0))
    return torch.stack(features)


def read_text(path: Path) -> str:
    """Text of a file, or of all .txt, .md and .rst files of a folder in the order of their names.

    Raises
    ------
    InputError
        If there is no such path, no text in it, or a file that is not UTF-8.
    """
    files = [path] if path.is_file() else _text_files(path)
    text = "\n\n".join(map(_read_file, files))
    if not text.strip():
        raise InputError(f"{path}: no text; give a text file, or a folder of .txt, .md or .rst")
    return text


def token_stream(model_dir: Path, path: Path) -> Tensor:
    """Tokens of a text corpus by the language model's own tokenizer, shape (n,), int64."""
    tokenizer = load_text_tokenizer(model_dir)
    # The corpus is cut into sequences later, so its length beyond the model's limit is no fault.
    ids = tokenizer(read_text(path), add_special_tokens=False, verbose=False)["input_ids"]
    return torch.tensor(ids, dtype=torch.int64)


def _text_files(folder: Path) -> list[Path]:
    found = (file for file in folder.rglob("*") if file.suffix in TEXT_SUFFIXES)
    return sorted(file for file in found if file.is_file())


def _read_file(file: Path) -> str:
    with reading(file, "give plain text in UTF-8"):
        return file.read_text(encoding="utf-8")
