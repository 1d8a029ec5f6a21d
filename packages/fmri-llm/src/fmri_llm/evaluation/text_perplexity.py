"""Whether a language model still writes: its perplexity on held-out plain text."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from fmri_llm.base_model.language_model import input_embeddings
from fmri_llm.brain_input.signal_windows import spread

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

__all__ = ["TextPerplexity", "text_perplexity"]

FILE = "text-perplexity.json"

_ROWS = 4  # pieces of text at a time


@dataclass(frozen=True)
class TextPerplexity:
    """Perplexity of held-out plain text before and after training.

    Parameters
    ----------
    before : float
        Of the base as it was given.
    after : float
        Of the trained model.
    n_tokens : int
        Tokens that were predicted.
    """

    before: float
    after: float
    n_tokens: int

    @property
    def summary(self) -> str:
        """Both in one line."""
        return (
            f"perplexity of held-out text {self.before:.2f} before training, {self.after:.2f} after"
        )

    def write(self, directory: Path) -> None:
        """Write ``text-perplexity.json``."""
        text = json.dumps({"schema": 1, **asdict(self)}, indent=2) + "\n"
        (directory / FILE).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, directory: Path) -> TextPerplexity | None:
        """Read ``text-perplexity.json`` of a model's folder; None where it was not measured."""
        path = directory / FILE
        if not path.is_file():
            return None
        document = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{field.name: document[field.name] for field in fields(cls)})


@torch.no_grad()
def text_perplexity(
    language_model: PreTrainedModel | PeftModel, tokens: NDArray[np.integer], length: int, most: int
) -> tuple[float, int]:
    """Perplexity of pieces of text, of which every token but the first is predicted.

    Parameters
    ----------
    language_model : PreTrainedModel or PeftModel
        In evaluation mode.
    tokens : ndarray of int, shape (n,)
        Text of at least `length` tokens.
    length : int
        Tokens of a piece, at least 2.
    most : int
        Most tokens that are read; at least one piece is. Pieces are spread evenly over the text.

    Returns
    -------
    perplexity : float
        Exponential of the mean negative log-likelihood of a token.
    n_tokens : int
        Tokens that were predicted.
    """
    n_pieces = len(tokens) // length
    starts = length * np.asarray(spread(n_pieces, min(n_pieces, max(1, most // length))))
    pieces = np.stack([tokens[start : start + length] for start in starts]).astype(np.int64)
    device = input_embeddings(language_model).weight.device
    total = 0.0
    for rows in torch.from_numpy(pieces).to(device).split(_ROWS):
        logits = language_model(input_ids=rows, use_cache=False).logits[:, :-1]
        total += float(cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten(), reduction="sum"))
    n_tokens = len(pieces) * (length - 1)
    return float(np.exp(total / n_tokens)), n_tokens
