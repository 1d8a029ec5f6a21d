"""Instruction tuning: one brain block, several conversations about it, answers as targets."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from torch.utils.data import Dataset

from fmri_instruct.prompts.instructions import Instruction, read_instructions
from fmri_instruct.prompts.lengths import SHORTER, longest_conversation
from fmri_instruct.tuning.answer_measures import learn_answers
from fmri_instruct.tuning.wanted_answers import Chances, wanted_answers
from fmri_llm.data.examples import (
    Example,
    TokenWindows,
    choice_segments,
    conversation_segment,
    noise_seed,
)
from fmri_llm.settings import LossWeights
from fmri_vqtok.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from fmri_instruct.settings import TuneSettings
    from fmri_llm.model.fmri_lm import FMRILM
    from fmri_llm.packing.sequences import TextSegment
    from fmri_vqtok.training.log import LossRecord

Progress = Callable[[int, int], None]


class PackedConversations(Dataset):
    """Training examples: a scan and several conversations about it.

    Example i depends on the seed and i alone, so a resumed run sees the same examples. Scans come
    in shuffled epochs; their conversations are drawn. No two conversations of an example are of the
    same paradigm about the same tasks, so that one pass trains several paradigms.

    Parameters
    ----------
    windows : TokenWindows
        Brain tokens of one split.
    instructions : sequence of Instruction
        Of the same split.
    tokenizer : PreTrainedTokenizerBase
        That of the language model.
    conversations : int
        Most conversations in an example.
    n_examples : int
        Length.
    seed : int
        Seed of the draws.
    chances : mapping of (scan, task) to mapping of str to float, optional
        Probability that each answer to a single question should have; 1 for the true one where it
        is not given.

    Raises
    ------
    InputError
        If a scan that is asked about has no tokens.
    """

    def __init__(
        self,
        windows: TokenWindows,
        instructions: Sequence[Instruction],
        tokenizer: "PreTrainedTokenizerBase",
        *,
        conversations: int,
        n_examples: int,
        seed: int,
        chances: Chances = MappingProxyType({}),
    ) -> None:
        self.windows = windows
        self.tokenizer = tokenizer
        self.conversations = conversations
        self.n_examples = n_examples
        self.seed = seed
        self.chances = chances
        self.by_scan = _by_scan(instructions)
        self.scan_ids = sorted(self.by_scan)
        for scan_id in self.scan_ids:
            if scan_id not in windows.by_scan:
                raise InputError(f"{scan_id}: has instructions but no tokens; tokenize this cohort")

    def __len__(self) -> int:
        return self.n_examples

    def __getitem__(self, index: int) -> Example:
        if not 0 <= index < self.n_examples:
            raise IndexError(index)
        epoch, place = divmod(index, len(self.scan_ids))
        order = np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.scan_ids))
        scan_id = self.scan_ids[order[place]]
        rng = np.random.default_rng([self.seed, 1, index])
        drawn = self._draw(self.by_scan[scan_id], rng)
        segments: list[TextSegment] = []
        for each in drawn:
            segments += self._segments(each, len(segments))
        return Example(self.windows.scan(scan_id), segments, noise_seed(self.seed, index))

    def longest_conversation(self) -> int:
        """Tokens of the longest conversation about any scan."""
        kinds = (kind for kinds in self.by_scan.values() for kind in kinds)
        return longest_conversation(self.tokenizer, [each for kind in kinds for each in kind])

    def _segments(self, asked: Instruction, place: int) -> "list[TextSegment]":
        """Text segments of a conversation: of a single question, with all its possible answers."""
        if not isinstance(asked.task, str):
            return [conversation_segment(self.tokenizer, asked.messages)]
        wanted = self.chances.get((asked.scan_id, asked.task), {asked.answer: 1.0})
        # In the order of the prompt.
        chances = {answer: wanted.get(answer, 0.0) for answer in asked.candidates[asked.task]}
        return choice_segments(self.tokenizer, asked.messages[:-1], chances, place)

    def _draw(
        self, kinds: Sequence[Sequence[Instruction]], rng: np.random.Generator
    ) -> list[Instruction]:
        n_drawn = min(self.conversations, len(kinds))
        chosen = [kinds[k] for k in rng.permutation(len(kinds))[:n_drawn]]
        return [variants[int(rng.integers(len(variants)))] for variants in chosen]


def tune(  # noqa: PLR0913 - what the stage reads and writes, each named
    model_dir: Path,
    tokens_dir: Path,
    instructions_dir: Path,
    directory: Path,
    settings: "TuneSettings",
    *,
    seed: int,
    device: str = "cpu",
    progress: Progress = lambda _done, _total: None,
    note: Callable[..., None] = lambda **_facts: None,
) -> list["LossRecord"]:
    """Tune a language model on the instructions of the training scans (paper, section 3.4).

    Parameters
    ----------
    model_dir : Path
        Folder of the model to start from.
    tokens_dir : Path
        Brain tokens of the cohort.
    instructions_dir : Path
        Instructions about it. Those of training scans are learned from, those of validation scans
        scored, and those of test scans not opened.
    directory : Path
        Where the tuned model and ``losses.csv`` are written. Checkpoints are kept in its folder
        ``checkpoints``; training resumes from them.
    settings : TuneSettings
        Length, rates and packing.
    seed : int
        Seed of the examples.
    device : str, default="cpu"
        ``cpu`` or ``cuda``.
    progress : callable, optional
        ``progress(done, total)`` after each step.
    note : callable, optional
        Called with facts by name: windows of the training scans, those that are not shown, and how
        fast training was.

    Returns
    -------
    list of LossRecord
        Losses by name.

    Raises
    ------
    InputError
        If the parts do not belong together, or a scan and a conversation about it are longer than
        the positions that the base model knows.
    """
    from fmri_llm.model.fmri_lm import FMRILM
    from fmri_llm.training import checks, fit
    from fmri_vqtok.digest import digest
    from fmri_vqtok.formats.tokens import read_tokens_record
    from fmri_vqtok.tokens.dataset import check_tokens_of

    model = FMRILM.from_pretrained(model_dir)
    record = read_tokens_record(tokens_dir)
    checks.check_order(record["order_hash"], model.brain_tokenizer.order_hash)
    check_tokens_of(tokens_dir, model.brain_tokenizer)

    instructions = {
        split: read_instructions(instructions_dir, split) for split in ("train", "validation")
    }
    windows = {split: TokenWindows.read(tokens_dir, split) for split in instructions}
    chances, sources = wanted_answers(
        model, windows["train"], instructions["train"], settings.distillation, seed
    )

    learned = learn_answers(model, windows["train"], instructions["train"])

    def plan(split: str, n_examples: int) -> PackedConversations:
        return PackedConversations(
            windows[split],
            instructions[split],
            model.text_tokenizer,
            conversations=settings.conversations,
            n_examples=n_examples,
            seed=seed,
            chances=chances if split == "train" else {},
        )

    train = plan("train", settings.loop.steps * settings.loop.batch_size)
    validation = plan("validation", settings.validation_examples)
    _check_lengths(model, (train, validation), record["n_steps"])
    note(
        windows_left_out=train.windows.n_left_out(model.max_windows),
        windows=len(train.windows),
        soft_targets=sources,
        answers_read=learned,
    )
    return fit.fine_tune(
        model,
        train,
        validation if validation.scan_ids else None,
        settings.loop,
        directory,
        weights=LossWeights(
            f2t=1.0, f2f=0.0, t2t=0.0, questions=settings.token_weight, choices=1.0
        ),
        seed=seed,
        identity={
            "tokens": record,
            "instructions": digest(vars(each) for rows in instructions.values() for each in rows),
            "conversations": settings.conversations,
            "distillation": settings.distillation,
        },
        device=device,
        progress=progress,
        note=note,
    )


def _check_lengths(model: "FMRILM", plans: Sequence[PackedConversations], n_steps: int) -> None:
    """Refuse scans and conversations that the base has not enough positions for."""
    from fmri_llm.model.checks import check_length

    for plan in plans:
        n_signal = n_steps * plan.windows.most_windows(model.max_windows)
        longest = model.n_brain_positions(n_signal) + plan.longest_conversation()
        check_length(longest, model.language_model.config, SHORTER)


def _by_scan(instructions: Sequence[Instruction]) -> dict[str, list[list[Instruction]]]:
    """By scan, the wordings of each kind of conversation: one paradigm about the same tasks."""
    kinds: dict[str, dict[tuple[str, frozenset[str]], list[Instruction]]] = {}
    for each in instructions:
        asked = frozenset([each.task] if isinstance(each.task, str) else each.task)
        by_kind = kinds.setdefault(each.scan_id, {})
        by_kind.setdefault((each.paradigm, asked), []).append(each)
    return {scan_id: list(by_kind.values()) for scan_id, by_kind in kinds.items()}
