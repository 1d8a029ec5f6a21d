"""Training examples: the brain tokens of a scan with the text that goes with them.

A plan is a dataset whose example i is a pure function of the seed and i, so that a run that was
killed and goes on sees what it would have seen. B examples, W time steps, N regions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fmri_llm.base_model import chat
from fmri_llm.data.captions import DESCRIBE_PROMPTS
from fmri_llm.data.token_windows import ScanTokens, TokenWindows
from fmri_llm.packing import sequences
from fmri_llm.packing.sequences import TextSegment
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.captions import Caption

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "DESCRIBE_PROMPTS",
    "Example",
    "InstructionPlan",
    "PretrainingPlan",
    "TokenWindows",
    "collate",
    "conversation_segment",
    "token_lengths",
]


class Example(NamedTuple):
    """One training example before it is put into a batch.

    Attributes
    ----------
    codes : ndarray of int, shape (W, N)
        Of all windows of a scan that are shown, one after the other.
    present : ndarray of bool, shape (N,)
    segments : list of TextSegment
    follows : ndarray of bool, shape (W,), optional
        Steps that are targets of next-step prediction; all but the first by default.
    """

    codes: np.ndarray
    present: np.ndarray
    segments: list[TextSegment]
    follows: np.ndarray | None = None


def collate(examples: Sequence[Example]) -> dict[str, Tensor]:
    """Batch of examples in the form that `FMRILM.forward` takes.

    Scans with fewer steps than the longest are filled up with steps that nothing looks at.
    """
    n_steps = max(len(e.codes) for e in examples)
    own = [np.ones(len(e.codes), dtype=bool) for e in examples]
    follows = [
        mask if e.follows is None else e.follows for e, mask in zip(examples, own, strict=True)
    ]
    return {
        "codes": _stacked([e.codes for e in examples], n_steps).long(),
        "present": torch.from_numpy(np.stack([e.present for e in examples])).bool(),
        "steps": _stacked(own, n_steps),
        "follows": _stacked(follows, n_steps),
        **sequences.pack([e.segments for e in examples])._asdict(),
    }


def _stacked(rows: Sequence[np.ndarray], length: int) -> Tensor:
    """Rows as one tensor, filled up with zeros along their first axis."""
    missing = [length - len(row) for row in rows]
    filled = [
        np.pad(row, [(0, n), *[(0, 0)] * (row.ndim - 1)])
        for row, n in zip(rows, missing, strict=True)
    ]
    return torch.from_numpy(np.stack(filled))


class PretrainingPlan(Dataset):
    """Examples of stage 2: a scan, caption sentences about it, and a piece of plain text.

    Scans take turns, and the domains of a scan's caption take turns with them.

    Parameters
    ----------
    windows : TokenWindows
    captions : dict of dict of str
        From `fmri_vqtok.formats.captions.read_captions`; a plain text is taken as a `Caption`
        without known sentences.
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
    max_windows : int, optional
        Most windows of a scan that are shown; all by default.

    Raises
    ------
    InputError
        If a scan has no caption.
    """

    def __init__(  # noqa: PLR0913 - what an example is made of, each named
        self,
        windows: TokenWindows,
        captions: Mapping[str, Mapping[str, str]],
        corpus: np.ndarray,
        tokenizer: PreTrainedTokenizerBase,
        *,
        text_tokens: int,
        corpus_tokens: int,
        n_examples: int,
        seed: int,
        max_windows: int | None = None,
    ) -> None:
        self.windows = windows
        self.corpus = corpus
        self.tokenizer = tokenizer
        self.text_tokens = text_tokens
        self.corpus_tokens = corpus_tokens
        self.n_examples = n_examples
        self.seed = seed
        self.max_windows = max_windows
        self.captions = {scan_id: _domains(captions, scan_id) for scan_id in windows.by_scan}

    def __len__(self) -> int:
        return self.n_examples

    def __getitem__(self, index: int) -> Example:
        _check_index(index, self.n_examples)
        n_scans = len(self.windows.scan_ids)
        scan_number = _in_rounds(self.seed, index, n_scans)
        random = np.random.default_rng([self.seed, index])
        described = self._described(scan_number, index // n_scans, random)
        scan = self.windows.scan(self.windows.scan_ids[scan_number], self.max_windows)
        return _about(scan, [described, self._plain(random)])

    def never_told(self) -> tuple[int, int]:
        """Sentences of the captions that no target has room for, and sentences in all."""
        captions = [text for texts in self.captions.values() for text in texts.values()]
        n_told = sum(len(self._told(caption)) for caption in captions)
        n_sentences = sum(len(caption.sentences) for caption in captions)
        return n_sentences - n_told, n_sentences

    def _told(self, caption: Caption) -> set[int]:
        lengths = self._lengths(caption)
        return {
            start + k for start in caption.starts for k in range(self._n_fitting(lengths[start:]))
        }

    def _described(
        self, scan_number: int, round_number: int, random: np.random.Generator
    ) -> TextSegment:
        """Question for one domain and a run of sentences that answers it (F2T)."""
        texts = self.captions[self.windows.scan_ids[scan_number]]
        turn = _in_rounds(self.seed, round_number, len(texts)) + scan_number
        domain = sorted(texts)[turn % len(texts)]
        answer = self._run_from(texts[domain], int(random.choice(texts[domain].starts)))
        return conversation_segment(
            self.tokenizer,
            [*chat.question(DESCRIBE_PROMPTS[domain]), {"role": "assistant", "content": answer}],
        )

    def _run_from(self, caption: Caption, start: int) -> str:
        """Sentences from one that stands alone on, as many as there is room for."""
        n_fitting = self._n_fitting(self._lengths(caption)[start:])
        return " ".join(s.text for s in caption.sentences[start : start + n_fitting])

    def _lengths(self, caption: Caption) -> list[int]:
        return token_lengths(self.tokenizer, [sentence.text for sentence in caption.sentences])

    def _n_fitting(self, lengths: Sequence[int]) -> int:
        return max(int((np.cumsum(lengths) <= self.text_tokens).sum()), 1)

    def _plain(self, random: np.random.Generator) -> TextSegment:
        """Piece of the corpus, which does not see the scan (T2T)."""
        start = int(random.integers(len(self.corpus) - self.corpus_tokens + 1))
        ids = self.corpus[start : start + self.corpus_tokens].tolist()
        return TextSegment(ids=ids, sees_brain=False)


class InstructionPlan(Dataset):
    """Examples of instruction tuning: a conversation about a scan, and that scan.

    Parameters
    ----------
    windows : TokenWindows
    conversations : sequence of {"scan_id", "messages"}
        The last message is the assistant's, and the only one that is a target.
    tokenizer : PreTrainedTokenizerBase
        That of the language model.
    n_examples : int
    seed : int
    max_windows : int, optional
        Most windows of a scan that are shown; all by default.

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
        max_windows: int | None = None,
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
        self.max_windows = max_windows

    def __len__(self) -> int:
        return self.n_examples

    def __getitem__(self, index: int) -> Example:
        _check_index(index, self.n_examples)
        conversation = self.conversations[_in_rounds(self.seed, index, len(self.conversations))]
        scan = self.windows.scan(conversation["scan_id"], self.max_windows)
        return _about(scan, [conversation_segment(self.tokenizer, conversation["messages"])])


def _about(scan: ScanTokens, segments: list[TextSegment]) -> Example:
    return Example(scan.codes, scan.present, segments, scan.follows)


def conversation_segment(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[chat.Message]
) -> TextSegment:
    """Text segment of a conversation whose last answer is the target."""
    prompt, answer = chat.encode(tokenizer, messages)
    return TextSegment(ids=prompt + answer, n_given=len(prompt))


def token_lengths(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[int]:
    """Count the tokens of each text."""
    return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]


def _domains(captions: Mapping[str, Mapping[str, str]], scan_id: str) -> dict[str, Caption]:
    texts = captions.get(scan_id, {})
    found = {
        domain: text if isinstance(text, Caption) else Caption(text)
        for domain, text in texts.items()
        if domain in DESCRIBE_PROMPTS and text.strip()
    }
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
