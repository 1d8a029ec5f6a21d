"""Whether scans and the conversations about them fit into the positions of a base model."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fmri_instruct.prompts.context import with_context
from fmri_instruct.prompts.instructions import Instruction, read_instructions, read_tasks
from fmri_instruct.prompts.paraphrases import PromptBank, question_turn
from fmri_instruct.settings import EvaluateSettings
from fmri_instruct.tasks.definitions import Task
from fmri_llm.data.examples import TokenWindows, conversation_segment
from fmri_vqtok.formats.tokens import read_tokens_record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from fmri_llm.model.fmri_lm import FMRILM

SHORTER = "give shorter questions, or train with fewer windows of a scan (max_windows of fit-llm)"


def longest_conversation(
    tokenizer: "PreTrainedTokenizerBase",
    conversations: Sequence[Instruction],
    max_new_tokens: int = 0,
) -> int:
    """Count the tokens of the longest of some conversations, with context and last answer.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        That of the language model.
    conversations : sequence of Instruction
        May be none; then it is 0.
    max_new_tokens : int, default=0
        Longest answer that is generated in place of the known one of an open question.

    Returns
    -------
    int
    """
    lengths = [0]
    for conversation in conversations:
        asked, *replies = conversation.messages
        told = with_context(asked["content"], conversation.context)
        segment = conversation_segment(tokenizer, [{**asked, "content": told}, *replies])
        generated = max_new_tokens if conversation.paradigm == "open" else 0
        lengths.append(max(len(segment.ids), segment.n_given + generated))
    return max(lengths)


def check_held_out_length(
    model: "FMRILM", tokens_dir: Path, instructions_dir: Path, settings: EvaluateSettings
) -> None:
    """Refuse held-out scans and questions that the base has not enough positions for.

    Parameters
    ----------
    model : FMRILM
        The model that is to be asked.
    tokens_dir, instructions_dir : Path
        Of one cohort.
    settings : EvaluateSettings
        Wordings of the questions, longest generated description, and whether training and
        validation scans are asked about too.

    Raises
    ------
    InputError
        If a scan with a conversation about it is longer than the positions that the base knows.
    """
    from fmri_llm.model.checks import check_length

    asked = {"test": True, "train": settings.prior != "none", "validation": settings.calibrate}
    n_windows = max(
        TokenWindows.read(tokens_dir, split).most_windows(model.max_windows)
        for split, is_asked in asked.items()
        if is_asked
    )
    n_steps = read_tokens_record(tokens_dir)["n_steps"]
    held_out = read_instructions(instructions_dir, "test")
    longest = longest_conversation(
        model.text_tokenizer,
        [*held_out, *_in_wordings(held_out, read_tasks(instructions_dir), settings.wordings)],
        settings.max_new_tokens,
    )
    n_signal = n_steps * n_windows
    n_positions = model.n_brain_positions(n_signal) + longest
    check_length(n_positions, model.language_model.config, SHORTER)


def _in_wordings(
    conversations: Sequence[Instruction], tasks: Sequence[Task], n_wordings: int
) -> list[Instruction]:
    """Of each kind with probabilities, that with the longest context, in all held-out wordings."""
    by_name = {task.name: task for task in tasks}
    ordered = sorted(conversations, key=lambda each: len(each.context or ""))
    kinds = {(each.paradigm, str(each.task)): each for each in ordered if each.paradigm != "open"}
    return [
        replace(each, messages=[*question_turn(_prompt(bank, each, by_name)), each.messages[-1]])
        for each in kinds.values()
        for bank in PromptBank.load().held_out()[:n_wordings]
    ]


def _prompt(bank: PromptBank, asked: Instruction, tasks: dict[str, Task]) -> str:
    if isinstance(asked.task, str):
        return bank.single(tasks[asked.task], asked.candidates[asked.task])
    return bank.multi([tasks[name] for name in asked.task], asked.candidates)
