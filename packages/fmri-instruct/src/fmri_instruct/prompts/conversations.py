"""Conversations about one scan: what is asked, in which words, and the reply."""

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from fmri_instruct.prompts.context import with_context
from fmri_instruct.prompts.paraphrases import PromptBank, described, numbered, question_turn
from fmri_instruct.prompts.verification import verify_prompt
from fmri_instruct.settings import MakeInstructionsSettings, Paradigm
from fmri_instruct.tasks.definitions import Task
from fmri_instruct.tasks.separate_turns import turns_of

__all__ = ["Instruction", "LabelledScan", "converse"]


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One conversation about one scan.

    Parameters
    ----------
    id : str
        Unique name: scan, paradigm, task, copy.
    scan_id : str
        The scan in place of ``<fmri>``.
    subject : str
        Whose scan it is.
    task : str or list of str
        Task name; a list in the order asked for ``multi`` and ``open``.
    paradigm : str
        ``single``, ``multi`` or ``open``.
    messages : list of dict
        The user's turn and the assistant's, each ``{"role": ..., "content": ...}``.
    answer : str or dict
        True answer; by task name for ``multi`` and ``open``.
    candidates : dict
        By task name, the possible answers in the order in which the prompt lists them.
    context : str or None
        What may be told beside the scan. Some prompts of training scans tell it.
    """

    id: str
    scan_id: str
    subject: str
    task: str | list[str]
    paradigm: str
    messages: list[dict[str, str]]
    answer: str | dict[str, str]
    candidates: dict[str, list[str]]
    context: str | None = None


@dataclass(frozen=True)
class LabelledScan:
    """A scan with its true answers.

    Parameters
    ----------
    scan_id, subject : str
        Who was scanned.
    answers : mapping of str to str
        True answer by task name.
    tasks : sequence of Task
        Those that the scan has an answer to.
    context : mapping of str to str or None
        By task name, what may be told beside the scan.
    """

    scan_id: str
    subject: str
    answers: Mapping[str, str]
    tasks: Sequence[Task]
    context: Mapping[str, str | None]


def converse(
    scan: LabelledScan,
    split: str,
    bank: PromptBank,
    settings: MakeInstructionsSettings,
    seed: int,
) -> Iterator[Instruction]:
    """All conversations about one scan.

    Parameters
    ----------
    scan : LabelledScan
        What they are about.
    split : str
        ``train``, ``validation`` or ``test``.
    bank : PromptBank
        Wordings.
    settings : MakeInstructionsSettings
        Paradigms and how many of each.
    seed : int
        Run seed.

    Yields
    ------
    Instruction
    """
    training = split == "train"
    writers: dict[str, Callable[..., Instruction]] = {
        "single": partial(_single, context_share=settings.context_share),
        "multi": _multi,
        "open": _open,
    }
    for paradigm in settings.paradigms:
        for asked in _questions(scan.tasks, paradigm):
            for copy in range(settings.variants if training else 1):
                name = "+".join(task.name for task in asked)
                rng = _rng(seed, scan.scan_id, paradigm, name, str(copy))
                yield writers[paradigm](
                    f"{scan.scan_id}/{paradigm}/{name}/{copy}", scan, asked, bank, rng, training
                )


def _questions(tasks: Sequence[Task], paradigm: str) -> Iterator[list[Task]]:
    """Tasks that go into one conversation; several questions need at least two of them."""
    if paradigm == "single":
        yield from ([task] for task in tasks)
        return
    fewest = 2 if paradigm == "multi" else 1
    yield from (turn for turn in turns_of(tasks) if len(turn) >= fewest)


def _single(
    name: str,
    scan: LabelledScan,
    asked: list[Task],
    bank: PromptBank,
    rng: random.Random,
    training: bool,
    *,
    context_share: float,
) -> Instruction:
    task = asked[0]
    context = scan.context[task.name]
    order = _shuffled(task.candidates, rng)
    prompt = bank.single(task, order, rng if training else None)
    told = with_context(prompt, context)
    verify_prompt(told, "single", asked, name)  # held-out scans are asked with it too
    if context and training and rng.random() < context_share:
        prompt = told
    answer = scan.answers[task.name]
    return Instruction(
        id=name,
        scan_id=scan.scan_id,
        subject=scan.subject,
        task=task.name,
        paradigm="single",
        messages=_messages(prompt, answer, "single", asked, name),
        answer=answer,
        candidates={task.name: order},
        context=context,
    )


def _multi(
    name: str,
    scan: LabelledScan,
    asked: list[Task],
    bank: PromptBank,
    rng: random.Random,
    training: bool,
) -> Instruction:
    # Held-out scans keep the order of the tasks file, so that their scores can be compared.
    asked = _shuffled(asked, rng) if training else asked
    order = {task.name: _shuffled(task.candidates, rng) for task in asked}
    prompt = bank.multi(asked, order, rng if training else None)
    reply = numbered([scan.answers[task.name] for task in asked])
    messages = _messages(prompt, reply, "multi", asked, name)
    return _several("multi", name, scan, asked, order, messages)


def _open(
    name: str,
    scan: LabelledScan,
    asked: list[Task],
    bank: PromptBank,
    rng: random.Random,
    training: bool,
) -> Instruction:
    asked = _shuffled(asked, rng) if training else asked
    prompt = bank.open(asked, rng if training else None)
    reply = described(asked, scan.answers, rng if training else None)
    order = {task.name: list(task.candidates) for task in asked}
    messages = _messages(prompt, reply, "open", asked, name)
    return _several("open", name, scan, asked, order, messages)


def _several(
    paradigm: str,
    name: str,
    scan: LabelledScan,
    asked: list[Task],
    order: dict[str, list[str]],
    messages: list[dict[str, str]],
) -> Instruction:
    return Instruction(
        id=name,
        scan_id=scan.scan_id,
        subject=scan.subject,
        task=[task.name for task in asked],
        paradigm=paradigm,
        messages=messages,
        answer={task.name: scan.answers[task.name] for task in asked},
        candidates=order,
    )


def _messages(
    prompt: str, reply: str, paradigm: Paradigm, asked: Sequence[Task], name: str
) -> list[dict[str, str]]:
    verify_prompt(prompt, paradigm, asked, name)
    return [*question_turn(prompt), {"role": "assistant", "content": reply}]


def _shuffled(items: Sequence[Any], rng: random.Random) -> list[Any]:
    return rng.sample(list(items), len(items))


def _rng(seed: int, *names: str) -> random.Random:
    digest = hashlib.sha256("\0".join((str(seed), *names)).encode()).digest()
    return random.Random(digest)  # noqa: S311 - wordings, not secrets
