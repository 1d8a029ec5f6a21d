"""Questions as a tuned model is asked them: in held-out wordings and all orders of the answers.

`fmri ask` and `fmri evaluate` ask through this module alone, so that they give the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from fmri_instruct.answers.orders import (
    Choice,
    choose_in_turn_over_orders,
    choose_over_orders,
    mean_probabilities,
)
from fmri_instruct.answers.probabilities import ScanReader
from fmri_instruct.prompts.context import with_context
from fmri_instruct.prompts.paraphrases import PromptBank
from fmri_instruct.tasks.definitions import Task
from fmri_vqtok.errors import InputError

__all__ = ["WordedChoice", "ask_one", "ask_several", "held_out_banks"]


@dataclass(frozen=True)
class WordedChoice:
    """Probabilities of the answers to one question that was asked in several wordings.

    Parameters
    ----------
    probabilities : dict of str to float
        By candidate, averaged over wordings and orders; they sum to 1.
    by_wording : tuple of Choice
        Of each wording.
    """

    probabilities: dict[str, float]
    by_wording: tuple[Choice, ...]

    @property
    def first_named(self) -> float:
        """Share of the prompts in which the answer listed first was the most probable."""
        return float(np.mean([choice.first_named for choice in self.by_wording]))


def ask_one(
    reader: ScanReader,
    scan: Any,
    question: str,
    candidates: Sequence[str],
    n_wordings: int,
    told: str | None = None,
) -> WordedChoice:
    """Ask one question about a scan.

    Parameters
    ----------
    reader : ScanReader
        The model.
    scan : object
        From `ScanReader.read`.
    question : str
        The question; the words around it differ between wordings.
    candidates : sequence of str
        Possible answers, in any order.
    n_wordings : int
        Held-out wordings that are averaged over.
    told : str or None, default=None
        What the prompt tells beside the scan; see `fmri_instruct.prompts.context`.

    Returns
    -------
    WordedChoice
    """

    def written(bank: PromptBank, order: Sequence[str]) -> str:
        return with_context(bank.ask(question, order), told)

    return _over_wordings(
        [
            choose_over_orders(reader, scan, partial(written, bank), candidates)
            for bank in held_out_banks(n_wordings)
        ],
        candidates,
    )


def ask_several(
    reader: ScanReader, scan: Any, tasks: Sequence[Task], n_wordings: int
) -> dict[str, WordedChoice]:
    """Ask the questions of several tasks about a scan in one turn.

    Parameters
    ----------
    reader, scan, n_wordings
        As for `ask_one`.
    tasks : sequence of Task
        What is asked, in order.

    Returns
    -------
    dict of str to WordedChoice
        By task name.
    """
    candidates = {task.name: task.candidates for task in tasks}
    found = [
        choose_in_turn_over_orders(reader, scan, partial(bank.multi, tasks), candidates)
        for bank in held_out_banks(n_wordings)
    ]
    return {
        name: _over_wordings([each[name] for each in found], options)
        for name, options in candidates.items()
    }


def held_out_banks(n_wordings: int) -> list[PromptBank]:
    """Prompt banks of the package's first held-out wordings.

    Parameters
    ----------
    n_wordings : int
        How many.

    Returns
    -------
    list of PromptBank

    Raises
    ------
    InputError
        If there are not so many.
    """
    banks = _banks()
    if n_wordings > len(banks):
        raise InputError(
            f"wordings: {n_wordings}; there are {len(banks)} held-out wordings, give at most these"
        )
    return banks[:n_wordings]


@cache
def _banks() -> list[PromptBank]:
    return PromptBank.load().held_out()


def _over_wordings(choices: Sequence[Choice], candidates: Sequence[str]) -> WordedChoice:
    means = mean_probabilities([choice.probabilities for choice in choices], candidates)
    return WordedChoice(means, tuple(choices))
