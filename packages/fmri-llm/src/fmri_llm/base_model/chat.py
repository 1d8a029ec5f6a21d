"""Chat messages as token ids: the prompt, and the answer with its end of turn."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from fmri_vqtok.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "SCAN_MARK",
    "Message",
    "Prompt",
    "answer_spans",
    "default_system_prompt",
    "encode",
    "encode_answers",
    "end_ids",
    "listed",
    "question",
    "render",
]

SCAN_MARK = "<fmri>"
"""Stands for the scan in a message's text; the brain block always comes first."""

Message = dict[str, str]
Prompt = str | Sequence[Message]

DATE = {
    "%d": "26", "%-d": "26", "%b": "Jul", "%B": "July", "%m": "07", "%-m": "7", "%Y": "2024",
    "%y": "24", "%A": "Friday", "%a": "Fri", "%j": "208", "%H": "12", "%I": "12", "%M": "00",
    "%S": "00", "%p": "PM", "%F": "2024-07-26", "%D": "07/26/24", "%x": "07/26/24",
    "%T": "12:00:00", "%X": "12:00:00", "%c": "Fri Jul 26 12:00:00 2024",
}  # fmt: skip
"""What templates that write the day into a prompt write on every day (Llama's own default day)."""

# A macro shadows the function of the same name that reads the clock.
_FIXED_CLOCK = (
    "{%- macro strftime_now(format) -%}{{- format"
    + "".join(f"|replace({code!r}, {text!r})" for code, text in DATE.items())
    + " -}}{%- endmacro -%}"
)

# A private-use character: no text holds it, so where it comes out is where the answer goes.
_ANSWER_SLOT = "\ue000"


def question(text: str) -> list[Message]:
    """One user turn that asks `text` about a scan."""
    return [{"role": "user", "content": f"{SCAN_MARK}\n{text}"}]


def listed(prompts: Prompt | Sequence[Prompt], n_scans: int) -> list[Prompt]:
    """List one prompt per scan, from such a list or from one that is asked of all."""
    if isinstance(prompts, str) or isinstance(prompts[0], dict):
        return [cast("Prompt", prompts)] * n_scans
    return list(cast("Sequence[Prompt]", prompts))


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
    before, after = _frame(tokenizer, _turns(tokenizer, messages))
    texts = [after.replace(_ANSWER_SLOT, answer.strip()) for answer in answers]
    return _ids(tokenizer, before), [_ids(tokenizer, text) for text in texts]


def answer_spans(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]
) -> list[tuple[int, int]]:
    """Characters of a conversation's last answer that each of its tokens stands for.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        With a Rust implementation, which alone knows where a token comes from.
    messages : sequence of {"role", "content"}
        As for `encode`, whose answer ids these are the spans of.

    Returns
    -------
    list of (int, int)
        First character and the one after the last; (0, 0) for a token of none of them.
    """
    _, after = _frame(tokenizer, _turns(tokenizer, messages[:-1]))
    answer = messages[-1]["content"].strip()
    text, first = after.replace(_ANSWER_SLOT, answer), after.index(_ANSWER_SLOT)
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    within = [
        (max(start - first, 0), min(end - first, len(answer)))
        for start, end in found["offset_mapping"]
    ]
    return [(start, end) if start < end else (0, 0) for start, end in within]


def _turns(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[Message]:
    """Take the mark of the scan out, and write an empty system prompt where one is the default."""
    turns = [
        {
            "role": message["role"],
            "content": message["content"]
            .replace(f"{SCAN_MARK}\n", "")
            .replace(SCAN_MARK, "")
            .strip(),
        }
        for message in messages
    ]
    if turns and turns[0]["role"] != "system" and default_system_prompt(tokenizer):
        turns.insert(0, {"role": "system", "content": ""})
    return turns


def default_system_prompt(tokenizer: PreTrainedTokenizerBase) -> str:
    """System prompt that a chat template adds by default; empty if there is none."""
    return (
        ""
        if tokenizer.chat_template is None
        else _default_system(tokenizer, tokenizer.chat_template)
    )


@lru_cache(maxsize=8)
def _default_system(tokenizer: PreTrainedTokenizerBase, _template: str) -> str:
    mark = "\ue001"
    turn: Message = {"role": "user", "content": "?"}
    try:
        named = render(tokenizer, [{"role": "system", "content": mark}, turn])
    except InputError:
        return ""
    before, found, after = named.partition(mark)
    plain = render(tokenizer, [turn])
    if not found or not (plain.startswith(before) and plain.endswith(after)):
        return ""
    return plain[len(before) : len(plain) - len(after)].strip()


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    # Templates write their special tokens into the text; adding more would double them.
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _frame(tokenizer: PreTrainedTokenizerBase, turns: Sequence[Message]) -> tuple[str, str]:
    """Text before the answer, and the answer's slot with the end of its turn."""
    if tokenizer.chat_template is None:
        return _plain_frame(turns), f" {_ANSWER_SLOT}{_end_of_text(tokenizer)}"
    slot = {"role": "assistant", "content": _ANSWER_SLOT}
    before, found, after = render(tokenizer, [*turns, slot]).rpartition(_ANSWER_SLOT)
    if not found:
        raise InputError(
            "chat template: the assistant's answer does not come out of it; give a base model "
            "whose template writes all turns, or delete its chat template"
        )
    # What follows the end of turn (a line break) belongs to the next turn, which never comes.
    end = after.rstrip()
    return (
        before,
        f"{_ANSWER_SLOT}{end if _ends_a_turn(tokenizer, end) else _end_of_text(tokenizer)}",
    )


def render(tokenizer: PreTrainedTokenizerBase, turns: Sequence[Message]) -> str:
    """Text of a conversation by the chat template, the same on every day.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        With a chat template.
    turns : sequence of messages

    Raises
    ------
    InputError
        If the template refuses such turns or cannot be run.
    """
    template = tokenizer.get_chat_template()
    if "strftime_now" in template:
        template = _FIXED_CLOCK + template
    try:
        return str(
            tokenizer.apply_chat_template(list(turns), tokenize=False, chat_template=template)
        )
    except Exception as error:  # a template is a program and can fail in any way
        why = textwrap.shorten(str(error), 120, placeholder=" ...")
        raise InputError(
            f"chat template: it cannot be run on a question and its answer ({why}); give a base "
            "model whose template takes turns of user and assistant, or delete its chat template"
        ) from error


def _ends_a_turn(tokenizer: PreTrainedTokenizerBase, end: str) -> bool:
    """Whether a text ends with a token of its own, which no answer is written with."""
    ids = _ids(tokenizer, end)
    own = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    return bool(ids) and ids[-1] in own


def _end_of_text(tokenizer: PreTrainedTokenizerBase) -> str:
    """Text of the token that ends all text.

    Raises
    ------
    InputError
        If there is none, so that no answer could end.
    """
    end, number = tokenizer.eos_token, tokenizer.eos_token_id
    if end is not None and number is not None and _ids(tokenizer, str(end)) == [number]:
        return str(end)
    what = "has no end token" if end is None else f"does not read its end token {end!r} as one"
    raise InputError(
        f"text tokenizer: it {what}, so no answer could end; set eos_token in the "
        "tokenizer_config.json of the language model to a token that it has"
    )


def _plain_frame(turns: Sequence[Message]) -> str:
    names = {"user": "Question: ", "assistant": "Answer: "}
    lines = [names.get(turn["role"], "") + turn["content"] for turn in turns]
    return "\n".join([*lines, "Answer:"])


def end_ids(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Tokens that end an answer: the chat template's end of turn and the end of text."""
    _, answer = encode(tokenizer, [*question("?"), {"role": "assistant", "content": "."}])
    ends = {answer[-1]}
    return ends if tokenizer.eos_token_id is None else ends | {int(tokenizer.eos_token_id)}
