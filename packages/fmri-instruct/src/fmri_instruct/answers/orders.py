"""Answers that do not depend on the order in which a prompt lists them.

Language models favour a position in the list. Every answer is therefore once at every position, and
its probabilities are averaged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fmri_instruct.answers.probabilities import ScanReader, choose, choose_in_turn, most_probable
from fmri_instruct.prompts.paraphrases import question_turn


@dataclass(frozen=True)
class Choice:
    """Probabilities of the answers to one question.

    Parameters
    ----------
    probabilities : dict of str to float
        By candidate, averaged over the orders; they sum to 1.
    first_named : float
        Share of the orders in which the answer that the prompt lists first was the most probable:
        one over the number of candidates where the order has no effect.
    by_order : tuple of dict of str to float
        Of each order, by candidate in that order.
    """

    probabilities: dict[str, float]
    first_named: float
    by_order: tuple[dict[str, float], ...]


def answer_orders(candidates: Sequence[str]) -> list[list[str]]:
    """Rotations of the sorted candidates: each is at each position once.

    Parameters
    ----------
    candidates : sequence of str
        In any order: it makes no difference.

    Returns
    -------
    list of list of str

    Examples
    --------
    >>> answer_orders(["below", "within", "above"])[1]
    ['below', 'within', 'above']
    """
    first = sorted(candidates)
    return [[*first[k:], *first[:k]] for k in range(len(first))]


def choose_over_orders(
    reader: ScanReader,
    scan: Any,
    write: Callable[[Sequence[str]], str],
    candidates: Sequence[str],
) -> Choice:
    """Probabilities of the answers to one question, averaged over the orders of a prompt.

    Parameters
    ----------
    reader : ScanReader
        The model.
    scan : object
        From `ScanReader.read`.
    write : callable
        Takes the candidates in an order, returns the user's turn that lists them so.
    candidates : sequence of str
        Possible answers.

    Returns
    -------
    Choice
    """
    orders = answer_orders(candidates)
    return _average(
        candidates,
        [[choose(reader, scan, question_turn(write(order)), order)] for order in orders],
    )


def choose_in_turn_over_orders(
    reader: ScanReader,
    scan: Any,
    write: Callable[[Mapping[str, Sequence[str]]], str],
    candidates: Mapping[str, Sequence[str]],
) -> dict[str, Choice]:
    """Probabilities of the answers to several questions in one turn, averaged over the orders.

    Parameters
    ----------
    reader : ScanReader
        The model.
    scan : object
        From `ScanReader.read`.
    write : callable
        Takes the candidates of every question in an order, returns the user's turn.
    candidates : mapping of str to sequence of str
        By question, its possible answers.

    Returns
    -------
    dict of str to Choice
        A question with fewer answers than another is asked in some of its orders more often; each
        order has the same weight.
    """
    orders = {name: answer_orders(options) for name, options in candidates.items()}
    found: dict[str, list[list[dict[str, float]]]] = {
        name: [[] for _ in each] for name, each in orders.items()
    }
    for turn in range(max(map(len, orders.values()))):
        listed = {name: each[turn % len(each)] for name, each in orders.items()}
        chosen = choose_in_turn(reader, scan, question_turn(write(listed)), [*listed.values()])
        for name, probabilities in zip(listed, chosen, strict=True):
            found[name][turn % len(orders[name])].append(probabilities)
    return {name: _average(candidates[name], each) for name, each in found.items()}


def mean_probabilities(
    rows: Sequence[Mapping[str, float]], candidates: Sequence[str]
) -> dict[str, float]:
    """Mean of several distributions over the same answers.

    Parameters
    ----------
    rows : sequence of mapping of str to float
        By candidate, at least one.
    candidates : sequence of str
        Order of the keys of the mean.

    Returns
    -------
    dict of str to float
        Sums to 1 where each row does.
    """
    return {answer: float(np.mean([row[answer] for row in rows])) for answer in candidates}


def _average(
    candidates: Sequence[str], by_order: Sequence[Sequence[Mapping[str, float]]]
) -> Choice:
    """Average within each order, then over the orders."""
    means = tuple(mean_probabilities(each, list(each[0])) for each in by_order)
    # Probabilities come in the order of the prompt, so that the first key is the first-named.
    first = [np.mean([most_probable(p) == next(iter(p)) for p in each]) for each in by_order]
    return Choice(mean_probabilities(means, candidates), float(np.mean(first)), means)
