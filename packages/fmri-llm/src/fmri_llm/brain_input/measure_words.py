"""What text calls a measure of a scan, and its low and high values, as input embeddings of a base.

M measures, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from fmri_llm.base_model.phrases import mean_embeddings, phrase_ids
from fmri_llm.packing.recent_words import N_WORDS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["LEVELS", "MeasureWords", "measure_words"]

LEVELS = ("below", "above")
"""Words for a low and a high value of a measure, next to the average."""


class MeasureWords(NamedTuple):
    """Input embeddings of words that reading starts from.

    Attributes
    ----------
    names : Tensor, shape (M, D)
        Of each measure's name: the mean over its tokens.
    n_tokens : tuple of int, length M
        Tokens of each name.
    directions : Tensor, shape (M, D)
        From the word for a low value of each to the word for a high one.
    """

    names: Tensor
    n_tokens: tuple[int, ...]
    directions: Tensor


def measure_words(
    table: nn.Embedding,
    tokenizer: PreTrainedTokenizerBase,
    names: Sequence[str],
    ends: Sequence[tuple[str, str]],
) -> MeasureWords:
    """Embed the names of measures; of a long name, its last words.

    Parameters
    ----------
    table : torch.nn.Embedding
    tokenizer : PreTrainedTokenizerBase
    names : sequence of str, length M
    ends : sequence of (str, str), length M
        Words for a low value of each, and for a high one.
    """
    ids = [each[-N_WORDS:] for each in phrase_ids(tokenizer, names)]
    low, high = (
        mean_embeddings(table, phrase_ids(tokenizer, [words[k] for words in ends])) for k in (0, 1)
    )
    return MeasureWords(mean_embeddings(table, ids), tuple(map(len, ids)), high - low)
