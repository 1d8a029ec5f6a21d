"""Frozen text targets of any causal language model: embeddings, features and token streams."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, PreTrainedModel

from fmri_vqtok.errors import InputError
from fmri_vqtok.quiet import quiet_transformers

TEXT_SUFFIXES = (".md", ".rst", ".txt")


@torch.no_grad()
def embedding_table(model_dir: Path) -> Tensor:
    """Input embeddings of the language model, shape (V, C), float32."""
    model = _load(model_dir)
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
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    model = _load(model_dir)
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
        If there is no such path, or no text in it.
    """
    files = [path] if path.is_file() else _text_files(path)
    text = "\n\n".join(file.read_text(encoding="utf-8") for file in files)
    if not text.strip():
        raise InputError(f"{path}: no text; give a text file, or a folder of .txt, .md or .rst")
    return text


def token_stream(model_dir: Path, path: Path) -> Tensor:
    """Tokens of a text corpus by the language model's own tokenizer, shape (n,), int64."""
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    # The corpus is cut into sequences later, so its length beyond the model's limit is no fault.
    ids = tokenizer(read_text(path), add_special_tokens=False, verbose=False)["input_ids"]
    return torch.tensor(ids, dtype=torch.int64)


def _load(model_dir: Path) -> PreTrainedModel:
    with quiet_transformers():
        model: PreTrainedModel = AutoModel.from_pretrained(model_dir, dtype=torch.float32)
    return model.eval()


def _text_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix in TEXT_SUFFIXES)
