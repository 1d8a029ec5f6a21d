"""Whether scans and the conversations about them fit into the positions of a base model."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fmri_instruct.prompts.context import with_context
from fmri_instruct.prompts.instructions import Instruction, read_instructions
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
    model: "FMRILM", tokens_dir: Path, instructions_dir: Path, max_new_tokens: int
) -> None:
    """Refuse held-out scans and questions that the base has not enough positions for.

    Parameters
    ----------
    model : FMRILM
        The model that is to be asked.
    tokens_dir, instructions_dir : Path
        Of one cohort.
    max_new_tokens : int
        Longest generated description.

    Raises
    ------
    InputError
        If a scan with a conversation about it is longer than the positions that the base knows.
    """
    from fmri_llm.model.checks import check_length

    windows = TokenWindows.read(tokens_dir, "test")
    n_steps = read_tokens_record(tokens_dir)["n_steps"]
    longest = longest_conversation(
        model.text_tokenizer, read_instructions(instructions_dir, "test"), max_new_tokens
    )
    n_signal = n_steps * windows.most_windows(model.max_windows)
    n_positions = model.n_brain_positions(n_signal) + longest
    check_length(n_positions, model.language_model.config, SHORTER)
