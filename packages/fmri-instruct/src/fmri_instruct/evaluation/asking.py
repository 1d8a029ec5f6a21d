"""A model asked about many scans, each of which is read once for all questions about it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fmri_instruct.answers.corrections import Correction, Corrections
from fmri_instruct.answers.parsing import parse_answers
from fmri_instruct.answers.probabilities import ScanReader, most_probable
from fmri_instruct.answers.wordings import WordedChoice, ask_one, ask_several
from fmri_instruct.prompts.instructions import Instruction
from fmri_instruct.scoring.answer_table import ScanAnswer
from fmri_instruct.tasks.definitions import Task
from fmri_llm.data.token_windows import TokenWindows
from fmri_vqtok.errors import InputError

__all__ = ["Interview", "Keep", "one_scan_each", "with_probabilities"]

Keep = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class Interview:
    """A model, and how it is asked.

    Parameters
    ----------
    reader : ScanReader
        The model.
    tasks : mapping of str to Task
        By name.
    corrections : Corrections
        Wordings, and what is taken out of the answers.
    max_new_tokens : int
        Longest generated description.
    progress : callable
        Called after each conversation.
    on_read : callable
        Called with the name of each scan and with what the reader made of it.
    """

    reader: ScanReader
    tasks: Mapping[str, Task]
    corrections: Corrections
    max_new_tokens: int
    progress: Callable[[], None]
    on_read: Callable[[str, Any], None] = lambda _scan_id, _scan: None

    def read(self, scan_ids: Sequence[str], tokens_dir: Path, split: str) -> None:
        """Read scans that nothing is asked about, for `on_read`.

        Parameters
        ----------
        scan_ids : sequence of str
            Scans of the split.
        tokens_dir : Path
            Brain tokens of the cohort.
        split : str
            The split of the scans.

        Raises
        ------
        InputError
            If a scan has no tokens.
        """
        windows = TokenWindows.read(tokens_dir, split)
        for scan_id in scan_ids:
            self._read(scan_id, windows, split)
            self.progress()

    def answers(
        self,
        conversations: Sequence[Instruction],
        tokens_dir: Path,
        split: str,
        keep: Keep = lambda _row: None,
    ) -> Iterator[ScanAnswer]:
        """Answers to conversations, in their order.

        Parameters
        ----------
        conversations : sequence of Instruction
            Those about a scan one after another.
        tokens_dir : Path
            Brain tokens of the cohort.
        split : str
            The split of the scans.
        keep : callable, optional
            Takes the prediction of each prompt, as ``predictions.jsonl`` holds it.

        Yields
        ------
        ScanAnswer

        Raises
        ------
        InputError
            If a scan has no tokens.
        """
        windows = TokenWindows.read(tokens_dir, split)
        scan_id, scan = None, None
        for conversation in conversations:
            if conversation.scan_id != scan_id:
                scan_id = conversation.scan_id
                scan = self._read(scan_id, windows, split)
            truth = conversation.answer
            for task, answer in self._ask(scan, conversation, keep):
                yield ScanAnswer(
                    scan_id=conversation.scan_id,
                    subject=conversation.subject,
                    task=task,
                    truth=truth if isinstance(truth, str) else truth[task],
                    **answer,
                )
            self.progress()

    def _read(self, scan_id: str, windows: TokenWindows, split: str) -> Any:
        if scan_id not in windows.by_scan:
            raise InputError(f"{scan_id}: asked about, but has no {split} tokens; tokenize it")
        scan = self.reader.read(windows.scan(scan_id))
        self.on_read(scan_id, scan)
        return scan

    def _ask(
        self, scan: Any, conversation: Instruction, keep: Keep
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Name of each task of a conversation, with what the model answers to it."""
        asked = [self.tasks[name] for name in names_of(conversation)]
        n_wordings = self.corrections.wordings
        if conversation.paradigm == "open":
            prompt = conversation.messages[:-1]
            text = self.reader.describe(scan, prompt, self.max_new_tokens)
            for name, answer in parse_answers(text, asked).items():
                about = {"paradigm": "open", "probabilities": None, "text": text}
                yield name, {"answer": answer, **about}
            return
        if conversation.paradigm == "multi":
            several = ask_several(self.reader, scan, asked, n_wordings)
            found = [(name, "multi", choice) for name, choice in several.items()]
        else:
            [task] = asked
            ask = partial(
                ask_one, self.reader, scan, task.questions[0], task.candidates, n_wordings
            )
            found = [(task.name, "single", ask())]
            if conversation.context:
                found.append((task.name, "context", ask(told=conversation.context)))
        for name, paradigm, choice in found:
            about = {"scan_id": conversation.scan_id, "paradigm": paradigm, "task": name}
            for row in _predictions(choice):
                keep({**about, **row})
            correction = self.corrections.of(name, paradigm)
            yield name, {"paradigm": paradigm, **_answer(choice, correction)}


def with_probabilities(
    conversations: Iterable[Instruction], tasks: Sequence[Task], wanted: set[str]
) -> list[Instruction]:
    """Conversations about some tasks that give probabilities, one of each kind about each scan.

    Parameters
    ----------
    conversations : iterable of Instruction
        Training scans have several of a kind, which differ in wording.
    tasks : sequence of Task
        All tasks, in the order in which held-out scans are asked several.
    wanted : set of str
        Names of the tasks.

    Returns
    -------
    list of Instruction
        As held-out scans are asked.
    """
    place = {task.name: k for k, task in enumerate(tasks)}
    kinds: dict[tuple[str, str, frozenset[str]], Instruction] = {}
    for each in conversations:
        names = names_of(each)
        if each.paradigm != "open" and wanted.intersection(names):
            ordered = (
                each.task if isinstance(each.task, str) else sorted(names, key=place.__getitem__)
            )
            kinds.setdefault(
                (each.scan_id, each.paradigm, frozenset(names)), replace(each, task=ordered)
            )
    return list(kinds.values())


def one_scan_each(conversations: Sequence[Instruction], most: int, seed: int) -> list[Instruction]:
    """Conversations about one drawn scan of each of some drawn subjects.

    Parameters
    ----------
    conversations : sequence of Instruction
        About scans of one split.
    most : int
        Most subjects.
    seed : int
        Of the draws.

    Returns
    -------
    list of Instruction
        In the order given.
    """
    scans: dict[str, set[str]] = {}
    for each in conversations:
        scans.setdefault(each.subject, set()).add(each.scan_id)
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(sorted(scans))[:most]
    chosen = {str(rng.choice(sorted(scans[subject]))) for subject in drawn}
    return [each for each in conversations if each.scan_id in chosen]


def names_of(conversation: Instruction) -> list[str]:
    """Names of the tasks that a conversation asks about, in order."""
    return [conversation.task] if isinstance(conversation.task, str) else conversation.task


def _predictions(choice: WordedChoice) -> Iterator[dict[str, Any]]:
    for wording, each in enumerate(choice.by_wording):
        for probabilities in each.by_order:
            yield {
                "wording": wording,
                "order": list(probabilities),
                "probabilities": list(probabilities.values()),
            }


def _answer(choice: WordedChoice, correction: Correction) -> dict[str, Any]:
    probabilities = correction.apply(choice.probabilities)
    return {
        "answer": most_probable(probabilities),
        "probabilities": probabilities,
        "first_named": choice.first_named,
        "by_wording": [correction.apply(each.probabilities) for each in choice.by_wording],
    }
