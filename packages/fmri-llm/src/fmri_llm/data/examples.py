"""Training examples: the brain tokens of a scan with the text that goes with them.

Example i of a dataset is a pure function of the seed and i, so that a resumed run sees the same
examples. B examples, W time steps, N regions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from fmri_llm.base_model import chat
from fmri_llm.brain_input.scans import BrainScans
from fmri_llm.data.captions import DESCRIBE_PROMPTS
from fmri_llm.data.feature_questions import FeatureQuestion, FeatureQuestions
from fmri_llm.data.template_words import TemplateWords
from fmri_llm.data.token_windows import ScanTokens, TokenWindows
from fmri_llm.packing import sequences
from fmri_llm.packing.sequences import TEXT_LOSSES, TextSegment
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.captions import Caption

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "DESCRIBE_PROMPTS",
    "Example",
    "PretrainingDataset",
    "TokenWindows",
    "choice_segments",
    "collate",
    "conversation_segment",
    "noise_seed",
    "scans_of",
    "token_lengths",
]


LEVELS_ONLY = 0.5
"""Share of the examples, from the first one, that ask only whether measures are above or below
average. Questions that compare measures or judge statements come after it: a model that finds the
measure which words name learns them faster."""


class Example(NamedTuple):
    """One training example before it is put into a batch.

    Attributes
    ----------
    scan : ScanTokens
    segments : list of TextSegment
    noise_seed : int
        Seed of the noise that its features get in training.
    """

    scan: ScanTokens
    segments: list[TextSegment]
    noise_seed: int


def collate(examples: Sequence[Example]) -> dict[str, Tensor]:
    """Batch of examples as keyword arguments of `FMRILM.forward`.

    Scans with fewer steps than the longest are padded with steps that nothing attends to.
    """
    batch = scans_of([e.scan for e in examples])
    given = {name: value for name, value in vars(batch).items() if value is not None}
    seeds = torch.tensor([example.noise_seed for example in examples])
    text = sequences.pack([example.segments for example in examples])
    return {**given, "noise_seeds": seeds, **text._asdict()}


def scans_of(rows: Sequence[ScanTokens]) -> BrainScans:
    """Batch of scans; a shorter one is padded with steps that nothing attends to."""

    def stacked(name: str) -> Tensor | None:
        values = [getattr(row, name) for row in rows]
        has_all = all(value is not None for value in values)
        return torch.from_numpy(np.stack(values)) if has_all else None

    return BrainScans.of(
        _padded([row.codes for row in rows]),
        stacked("region_mask"),
        _padded([np.ones(len(row.codes), dtype=bool) for row in rows]),
        _padded([row.new_steps for row in rows]),
        stacked("log_amplitude"),
        stacked("spectrum"),
        stacked("covariance"),
    )


def _padded(rows: Sequence[np.ndarray]) -> Tensor:
    """Rows as one tensor, padded with zeros along their first axis."""
    return pad_sequence([torch.from_numpy(row) for row in rows], batch_first=True)


def noise_seed(seed: int, index: int) -> int:
    """Seed of the noise of an example, which depends on the run's seed and its index alone."""
    return int(np.random.default_rng([seed, index, 2]).integers(2**40))


class PretrainingDataset(Dataset):
    """Examples of stage 2: a scan, caption sentences about it, and a piece of plain text.

    The scans are shuffled in each epoch, and the domain of a scan's caption changes with the epoch.

    Parameters
    ----------
    windows : TokenWindows
    captions : dict of dict of str
        From `fmri_vqtok.formats.captions.read_captions`; a plain text is taken as a `Caption`
        without known sentences.
    corpus : ndarray of int, shape (n,)
        Plain text as tokens of the language model; it may be mapped from a file.
    tokenizer : PreTrainedTokenizerBase
        That of the language model.
    text_tokens : int
        Most tokens of consecutive caption sentences; a longer single sentence is kept.
    corpus_tokens : int
        Length of the piece of plain text.
    n_examples : int
    seed : int
    questions : FeatureQuestions, optional
    n_questions : int
        Questions about the measures of the scan in an example.
    losses : collection of str
        Which of `fmri_llm.packing.sequences.TEXT_LOSSES` an example has text for; all by default.
    template : TemplateWords, optional
        Weights of the words of captions; equal by default.

    Raises
    ------
    InputError
        If a scan has no caption, or words are weighted and the tokenizer does not say where in a
        text its tokens are.
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
        questions: FeatureQuestions | None = None,
        n_questions: int = 0,
        losses: Collection[str] = TEXT_LOSSES,
        template: TemplateWords | None = None,
    ) -> None:
        if template is not None and not tokenizer.is_fast:
            raise InputError(
                "template_weight: needs a text tokenizer that says where its tokens are (a "
                "tokenizer.json), which this language model has not; give 1"
            )
        self.windows = windows
        self.corpus = corpus
        self.tokenizer = tokenizer
        self.text_tokens = text_tokens
        self.corpus_tokens = corpus_tokens
        self.n_examples = n_examples
        self.seed = seed
        self.questions = questions
        self.n_questions = n_questions
        self.losses = losses
        self.template = template
        self.captions = {scan_id: _domains(captions, scan_id) for scan_id in windows.by_scan}

    def __len__(self) -> int:
        return self.n_examples

    def __getitem__(self, index: int) -> Example:
        if not 0 <= index < self.n_examples:
            raise IndexError(index)
        n_scans = len(self.windows.scan_ids)
        scan_number = _shuffled(self.seed, index, n_scans)
        random = np.random.default_rng([self.seed, index])
        scan_id = self.windows.scan_ids[scan_number]
        segments = []
        if "f2t" in self.losses:
            segments.append(self._described(scan_number, index // n_scans, random))
        if "t2t" in self.losses:
            segments.append(self._plain(random))
        if "questions" in self.losses or "choices" in self.losses:
            easy = index < LEVELS_ONLY * self.n_examples
            for each in self._asked(scan_id, random, levels_only=easy):
                segments += self._question_segments(each, len(segments))
        return Example(self.windows.scan(scan_id), segments, noise_seed(self.seed, index))

    def sentence_counts(self) -> tuple[int, int]:
        """Sentences of the captions that fit into no target, and all sentences."""
        captions = [text for texts in self.captions.values() for text in texts.values()]
        n_in_targets = sum(len(self._in_targets(caption)) for caption in captions)
        n_sentences = sum(len(caption.sentences) for caption in captions)
        return n_sentences - n_in_targets, n_sentences

    def _in_targets(self, caption: Caption) -> set[int]:
        """Find the sentences that some target holds; their indices."""
        lengths = self._lengths(caption)
        return {
            start + k for start in caption.starts for k in range(self._n_fitting(lengths[start:]))
        }

    def _described(self, scan_number: int, epoch: int, random: np.random.Generator) -> TextSegment:
        """Question about one domain and consecutive sentences that answer it (F2T)."""
        texts = self.captions[self.windows.scan_ids[scan_number]]
        place = _shuffled(self.seed, epoch, len(texts)) + scan_number
        domain = sorted(texts)[place % len(texts)]
        sentences = self._run_from(texts[domain], int(random.choice(texts[domain].starts)))
        answer = {"role": "assistant", "content": " ".join(sentences)}
        messages = [*chat.question(DESCRIBE_PROMPTS[domain]), answer]
        weights = None
        if self.template is not None:
            spans = chat.answer_spans(self.tokenizer, messages)
            weights = self.template.token_weights(domain, sentences, spans)
        return conversation_segment(self.tokenizer, messages, weights=weights)

    def _asked(
        self, scan_id: str, random: np.random.Generator, *, levels_only: bool
    ) -> list[FeatureQuestion]:
        """Questions about the measures of a scan."""
        if self.questions is None:
            return []
        others = self.windows.scan_ids
        drawn = (
            self.questions.draw(scan_id, random, others, levels_only=levels_only)
            for _ in range(self.n_questions)
        )
        return [each for each in drawn if each is not None]

    def _question_segments(self, asked: FeatureQuestion, place: int) -> list[TextSegment]:
        """Segments of a question: with every possible answer, or with the right one alone."""
        messages = chat.question(asked.text)
        if "choices" in self.losses:
            chances = {option: float(option == asked.answer) for option in asked.options}
            return choice_segments(self.tokenizer, messages, chances, place)
        answered = [*messages, {"role": "assistant", "content": asked.answer}]
        return [conversation_segment(self.tokenizer, answered, loss="questions")]

    def _run_from(self, caption: Caption, start: int) -> list[str]:
        """As many sentences as fit, from one that makes sense by itself."""
        n_fitting = self._n_fitting(self._lengths(caption)[start:])
        return [s.text for s in caption.sentences[start : start + n_fitting]]

    def _lengths(self, caption: Caption) -> list[int]:
        return token_lengths(self.tokenizer, [sentence.text for sentence in caption.sentences])

    def _n_fitting(self, lengths: Sequence[int]) -> int:
        return max(int((np.cumsum(lengths) <= self.text_tokens).sum()), 1)

    def _plain(self, random: np.random.Generator) -> TextSegment:
        """Piece of the corpus, which does not attend to the scan (T2T)."""
        start = int(random.integers(len(self.corpus) - self.corpus_tokens + 1))
        ids = self.corpus[start : start + self.corpus_tokens].tolist()
        return TextSegment(ids=ids, sees_brain=False, loss="t2t")


def conversation_segment(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[chat.Message],
    loss: str = "f2t",
    weights: Sequence[float] | None = None,
) -> TextSegment:
    """Text segment of a conversation whose last answer is the target, of this loss.

    Weights are those of the answer's tokens; 1 by default.
    """
    prompt, answer = chat.encode(tokenizer, messages)
    of_all = None if weights is None else [0.0] * len(prompt) + list(weights)
    return TextSegment(ids=prompt + answer, n_given=len(prompt), loss=loss, weights=of_all)


def choice_segments(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[chat.Message],
    chances: Mapping[str, float],
    place: int,
) -> list[TextSegment]:
    """Text segments of a question and of all its possible answers, for the loss "choices".

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
    messages : sequence of messages
        Everything before the answer.
    chances : mapping of str to float
        By answer, the probability that it should have; they sum to 1.
    place : int
        Place of the first segment among those of its example.

    Returns
    -------
    list of TextSegment
        The prompt without its last token, and for each answer that token with the answer. So the
        last token of the prompt predicts the first one of each.
    """
    prompt, answers = chat.encode_answers(tokenizer, messages, list(chances))
    segments = [TextSegment(ids=prompt[:-1], n_given=len(prompt) - 1)]
    for ids, chance in zip(answers, chances.values(), strict=True):
        segments.append(
            TextSegment(
                ids=[prompt[-1], *ids],
                n_given=1,
                continues=place,
                loss="choices",
                weights=[0.0] + [chance / len(ids)] * len(ids),
            )
        )
    return segments


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


def _shuffled(seed: int, index: int, n: int) -> int:
    """Item at `index` of shuffled epochs over n items."""
    epoch, place = divmod(index, n)
    return int(_order(seed, epoch, n)[place])


@lru_cache(maxsize=8)
def _order(seed: int, epoch: int, n: int) -> np.ndarray:
    # A third number keeps this stream apart from that of the examples, [seed, index].
    return np.random.default_rng([seed, epoch, 1]).permutation(n)
