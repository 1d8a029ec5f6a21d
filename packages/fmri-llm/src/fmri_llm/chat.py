"""Turn chat messages into token ids: what the model reads, and what it shall answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fmri_vqtok.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["SCAN_MARK", "Message", "encode", "encode_answers", "end_ids", "question"]

SCAN_MARK = "<fmri>"
"""Stands for the scan in a message's text; the brain block always comes first."""

Message = dict[str, str]

# A private-use character: no text holds it, so where it comes out is where the answer goes.
_ANSWER_SLOT = "\ue000"


def question(text: str) -> list[Message]:
    """One user turn that asks `text` about a scan."""
    return [{"role": "user", "content": f"{SCAN_MARK}\n{text}"}]


def encode(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]
) -> tuple[list[int], list[int]]:
    """Token ids of a conversation's prompt and of its last answer.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        The base model's own tokenizer. Its chat template is used; without one the text is
        ``Question: ...`` and ``Answer: ...`` on two lines.
    messages : sequence of {"role", "content"}
        The last one is the assistant's; ``<fmri>`` in a text is dropped.

    Returns
    -------
    prompt_ids, answer_ids : list of int
        The answer includes the end of the turn, so that its likelihood is that of the whole
        answer and not of all texts that begin with it.

    Raises
    ------
    InputError
        If the last message is not the assistant's.
    """
    if not messages or messages[-1]["role"] != "assistant":
        last = messages[-1]["role"] if messages else "nothing"
        msg = f"messages: the last turn is {last!r}; end with the assistant's answer"
        raise InputError(msg)
    prompt_ids, answers = encode_answers(tokenizer, messages[:-1], [messages[-1]["content"]])
    return prompt_ids, answers[0]


def encode_answers(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], answers: Sequence[str]
) -> tuple[list[int], list[list[int]]]:
    """Token ids of a prompt and of each of its possible answers.

    Prompt and answers are tokenised apart, so the prompt's ids are the same whatever follows:
    a prefix that is computed once then serves every answer.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
    messages : sequence of {"role", "content"}
        Everything before the answer.
    answers : sequence of str

    Returns
    -------
    prompt_ids : list of int
    answer_ids : list of list of int
        One list per answer, each with its end of turn.
    """
    turns = [{"role": m["role"], "content": _without_scan(m["content"])} for m in messages]
    before, after = _frame(tokenizer, turns)
    return _ids(tokenizer, before), [_ids(tokenizer, _fill(after, text)) for text in answers]


def _without_scan(text: str) -> str:
    return text.replace(f"{SCAN_MARK}\n", "").replace(SCAN_MARK, "").strip()


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    # Templates write their special tokens into the text; adding more would double them.
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _fill(after: str, answer: str) -> str:
    return after.replace(_ANSWER_SLOT, answer.strip())


def _frame(tokenizer: PreTrainedTokenizerBase, turns: Sequence[Message]) -> tuple[str, str]:
    """Text before the answer, and the answer's slot with the end of its turn."""
    if tokenizer.chat_template is None:
        return _plain_frame(turns), f" {_ANSWER_SLOT}{tokenizer.eos_token}"
    slot = {"role": "assistant", "content": _ANSWER_SLOT}
    text = tokenizer.apply_chat_template([*turns, slot], tokenize=False)
    before, _, after = str(text).rpartition(_ANSWER_SLOT)
    # What follows the end of turn (a line break) belongs to the next turn, which never comes.
    return before, _ANSWER_SLOT + after.rstrip()


def _plain_frame(turns: Sequence[Message]) -> str:
    names = {"user": "Question: ", "assistant": "Answer: "}
    lines = [names.get(turn["role"], "") + turn["content"] for turn in turns]
    return "\n".join([*lines, "Answer:"])


def end_ids(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Tokens that end an answer: the chat template's end of turn and the end of text."""
    _, answer = encode(tokenizer, [*question("?"), {"role": "assistant", "content": "."}])
    ends = {answer[-1]}
    return ends if tokenizer.eos_token_id is None else ends | {int(tokenizer.eos_token_id)}
