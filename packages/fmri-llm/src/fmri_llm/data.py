"""Training examples: windows of brain tokens with the text that goes with them.

A plan is a dataset whose example i is a pure function of the seed and i, so that a run that was
killed and goes on sees what it would have seen. B examples, W time steps, N regions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fmri_llm import chat, sequences
from fmri_llm.sequences import TextSegment
from fmri_vqtok.errors import InputError
from fmri_vqtok.reading import read_description, read_rows, read_splits

if TYPE_CHECKING:
    import datasets
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "DESCRIBE_PROMPTS",
    "Example",
    "InstructionPlan",
    "PretrainingPlan",
    "TokenWindows",
    "collate",
    "conversation_segment",
    "read_captions",
    "read_tokens_record",
    "split_sentences",
    "token_lengths",
]

TOKENS_SCHEMA = 1
TOKENS_FIX = "give the folder that tokenize wrote"
DESCRIBE_PROMPTS: Mapping[str, str] = {
    "FC": "Describe the functional connectivity of this scan.",
    "gradients": "Describe the functional gradients of this scan.",
    "ICA": "Describe the independent components of this scan.",
    "graph": "Describe the graph measures of this scan.",
}
"""What is asked for the captions of each domain."""

Captions = dict[str, dict[str, str]]


class Example(NamedTuple):
    """One training example before it is put into a batch.

    Attributes
    ----------
    codes : ndarray of int, shape (W, N)
    present : ndarray of bool, shape (N,)
    segments : list of TextSegment
    """

    codes: np.ndarray
    present: np.ndarray
    segments: list[TextSegment]


def collate(examples: Sequence[Example]) -> dict[str, Tensor]:
    """Batch of examples in the form that `FMRILM.forward` takes."""
    return {
        "codes": torch.from_numpy(np.stack([e.codes for e in examples])).long(),
        "present": torch.from_numpy(np.stack([e.present for e in examples])).bool(),
        **sequences.pack([e.segments for e in examples])._asdict(),
    }


def read_tokens_record(directory: Path) -> dict[str, Any]:
    """Read ``tokens.json``: schema, fingerprints, order hash and sizes of a tokens folder.

    Raises
    ------
    InputError
        If there is none or a broken one, or its schema is newer than this package knows.
    """
    return read_description(
        directory / "tokens.json",
        TOKENS_SCHEMA,
        TOKENS_FIX,
        keys=("order_hash", "n_codes", "n_steps", "n_regions"),
        package="fmri-llm",
    )


class TokenWindows:
    """Windows of brain tokens of one split, by number and by scan.

    Parameters
    ----------
    table : datasets.Dataset
        Columns scan_id, window, codes (W, N) and mask (N,), which is False for a region
        without signal.
    """

    def __init__(self, table: datasets.Dataset) -> None:
        self._table = table.with_format("numpy", columns=["codes", "mask"])
        self.scan_ids: list[str] = list(table["scan_id"])
        self.by_scan: dict[str, list[int]] = {}
        for number, scan_id in enumerate(self.scan_ids):
            self.by_scan.setdefault(scan_id, []).append(number)

    @classmethod
    def read(cls, directory: Path, split: str) -> TokenWindows:
        """Windows of a split of a tokens folder; none if the folder lacks the split.

        Raises
        ------
        InputError
            If the folder holds no tokens, or broken ones.
        """
        tables = read_splits(directory, ["scan_id", "codes", "mask"], TOKENS_FIX)
        return cls(tables[split] if split in tables else next(iter(tables.values())).select([]))

    def __len__(self) -> int:
        return len(self.scan_ids)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Codes (W, N) and present regions (N,) of a window."""
        row = self._table[number]
        return np.asarray(row["codes"]), np.asarray(row["mask"], dtype=bool)


def read_captions(path: Path) -> Captions:
    """Captions by scan and domain; a rewritten text goes before the template's.

    Parameters
    ----------
    path : Path
        A ``captions.jsonl``.

    Returns
    -------
    dict of dict of str
        ``captions[scan_id][domain]``.

    Raises
    ------
    InputError
        If there is no such file, or a broken one.
    """
    keys = ("scan_id", "domain", "text", "source")
    rows = read_rows(path, "give the folder that describe wrote", keys=keys)
    captions: Captions = {}
    for row in sorted(rows, key=lambda row: row["source"] == "rewritten"):
        captions.setdefault(row["scan_id"], {})[row["domain"]] = row["text"]
    return captions


class PretrainingPlan(Dataset):
    """Examples of stage 2: a window, caption sentences of its scan, and a piece of plain text.

    Parameters
    ----------
    windows : TokenWindows
    captions : dict of dict of str
        From `read_captions`.
    corpus : ndarray of int, shape (n,)
        Plain text as tokens of the language model.
    tokenizer : PreTrainedTokenizerBase
        That of the language model.
    text_tokens : int
        Longest run of caption sentences; a longer single sentence is kept whole.
    corpus_tokens : int
        Length of the piece of plain text.
    n_examples : int
    seed : int

    Raises
    ------
    InputError
        If a scan has no caption.
    """

    def __init__(
        self,
        windows: TokenWindows,
        captions: Captions,
        corpus: np.ndarray,
        tokenizer: PreTrainedTokenizerBase,
        *,
        text_tokens: int,
        corpus_tokens: int,
        n_examples: int,
        seed: int,
    ) -> None:
        self.windows = windows
        self.corpus = corpus
        self.tokenizer = tokenizer
        self.text_tokens = text_tokens
        self.corpus_tokens = corpus_tokens
        self.n_examples = n_examples
        self.seed = seed
        self.captions = {scan_id: _domains(captions, scan_id) for scan_id in windows.by_scan}

    def __len__(self) -> int:
        return self.n_examples

    def __getitem__(self, index: int) -> Example:
        _check_index(index, self.n_examples)
        window = _in_rounds(self.seed, index, len(self.windows))
        codes, present = self.windows[window]
        random = np.random.default_rng([self.seed, index])
        described = self._described(self.windows.scan_ids[window], random)
        return Example(codes, present, [described, self._plain(random)])

    def _described(self, scan_id: str, random: np.random.Generator) -> TextSegment:
        """Question for one domain and a run of sentences that answers it (F2T)."""
        texts = self.captions[scan_id]
        domain = str(random.choice(sorted(texts)))
        sentences = split_sentences(texts[domain])
        start = int(random.integers(len(sentences)))
        text = self._run_that_fits(sentences[start:])
        return conversation_segment(
            self.tokenizer,
            [*chat.question(DESCRIBE_PROMPTS[domain]), {"role": "assistant", "content": text}],
        )

    def _run_that_fits(self, sentences: Sequence[str]) -> str:
        lengths = token_lengths(self.tokenizer, sentences)
        n_fitting = int((np.cumsum(lengths) <= self.text_tokens).sum())
        return " ".join(sentences[: max(n_fitting, 1)])

    def _plain(self, random: np.random.Generator) -> TextSegment:
        """Piece of the corpus, which does not see the scan (T2T)."""
        start = int(random.integers(len(self.corpus) - self.corpus_tokens + 1))
        ids = self.corpus[start : start + self.corpus_tokens].tolist()
        return TextSegment(ids=ids, sees_brain=False)


class InstructionPlan(Dataset):
    """Examples of instruction tuning: a conversation about a scan, and a window of that scan.

    Parameters
    ----------
    windows : TokenWindows
    conversations : sequence of {"scan_id", "messages"}
        The last message is the assistant's, and the only one that is a target.
    tokenizer : PreTrainedTokenizerBase
        That of the language model.
    n_examples : int
    seed : int

    Raises
    ------
    InputError
        If there is no conversation, or one about a scan without windows.
    """

    def __init__(
        self,
        windows: TokenWindows,
        conversations: Sequence[Mapping[str, Any]],
        tokenizer: PreTrainedTokenizerBase,
        *,
        n_examples: int,
        seed: int,
    ) -> None:
        if not conversations:
            msg = "instructions: no conversation to tune on; make instructions for these scans"
            raise InputError(msg)
        for conversation in conversations:
            if conversation["scan_id"] not in windows.by_scan:
                msg = (
                    f"instructions: scan {conversation['scan_id']!r} has no tokens; make them of "
                    "the same cohort and split"
                )
                raise InputError(msg)
        self.windows = windows
        self.conversations = conversations
        self.tokenizer = tokenizer
        self.n_examples = n_examples
        self.seed = seed

    def __len__(self) -> int:
        return self.n_examples

    def __getitem__(self, index: int) -> Example:
        _check_index(index, self.n_examples)
        conversation = self.conversations[_in_rounds(self.seed, index, len(self.conversations))]
        random = np.random.default_rng([self.seed, index])
        window = int(random.choice(self.windows.by_scan[conversation["scan_id"]]))
        codes, present = self.windows[window]
        return Example(
            codes, present, [conversation_segment(self.tokenizer, conversation["messages"])]
        )


def conversation_segment(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[chat.Message]
) -> TextSegment:
    """Text segment of a conversation whose last answer is the target."""
    prompt, answer = chat.encode(tokenizer, messages)
    return TextSegment(ids=prompt + answer, n_given=len(prompt))


def split_sentences(text: str) -> list[str]:
    """Sentences of a paragraph; a decimal point ends none."""
    return [s for s in re.split(r"(?<=[.!?])\s+(?=[A-Z])", text.strip()) if s]


def token_lengths(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[int]:
    """Count the tokens of each text."""
    return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]


def _domains(captions: Captions, scan_id: str) -> dict[str, str]:
    texts = captions.get(scan_id, {})
    found = {domain: texts[domain] for domain in DESCRIBE_PROMPTS if texts.get(domain, "").strip()}
    if not found:
        msg = f"captions.jsonl: no text about scan {scan_id!r}; describe the same cohort"
        raise InputError(msg)
    return found


def _check_index(index: int, n_examples: int) -> None:
    if not 0 <= index < n_examples:
        raise IndexError(index)


def _in_rounds(seed: int, index: int, n: int) -> int:
    """Draw all of n numbers once, in a new order each round: the one at `index`."""
    return int(_order(seed, index // n, n)[index % n])


@lru_cache(maxsize=8)
def _order(seed: int, round_number: int, n: int) -> np.ndarray:
    # A third number keeps this stream apart from that of the examples, [seed, index].
    return np.random.default_rng([seed, round_number, 1]).permutation(n)
