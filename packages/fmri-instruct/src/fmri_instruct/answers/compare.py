"""Which of two scans is higher in something: the model's answers about each, compared.

A packed sequence holds one brain block, and all that hangs on it is for one scan: positions, masks,
the cached prefix, the measures that words read. So two scans are read in two passes, the same
question is asked of each, and the two answers are compared. The model itself never sees both scans.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fmri_instruct.answers.ask import ask_reader
from fmri_instruct.answers.probabilities import ModelReader, ScanReader

if TYPE_CHECKING:
    from fmri_llm.data.token_windows import ScanTokens
    from fmri_llm.model.fmri_lm import FMRILM

__all__ = ["ScanComparison", "chance_of_higher", "compare_readings", "compare_scans"]


@dataclass(frozen=True, kw_only=True)
class ScanComparison:
    """Which of two scans has the higher answer to a question.

    Parameters
    ----------
    question : str
        As the model was asked it of each scan.
    first, second : float
        Probability that the answer about this scan is the higher one, given that they differ; they
        sum to 1.
    answers : tuple of dict of str to float
        Probabilities of the answers about each scan.
    """

    question: str
    first: float
    second: float
    answers: tuple[dict[str, float], dict[str, float]]


def compare_scans(
    model: "FMRILM",
    first: "ScanTokens",
    second: "ScanTokens",
    question: str,
    answers: Sequence[str],
) -> ScanComparison:
    """Compare what a model answers about two scans.

    Parameters
    ----------
    model : FMRILM
        A tuned model.
    first, second : ScanTokens
        Such as `fmri_llm.data.token_windows.TokenWindows.scan` reads.
    question : str
        What is asked of each scan by itself.
    answers : sequence of str
        Its possible answers, from low to high.

    Returns
    -------
    ScanComparison

    Raises
    ------
    InputError
        If fewer than two different answers are given.

    Notes
    -----
    See `chance_of_higher`. With two answers the log odds of ``first`` are the difference of the log
    odds of the higher answer about each scan. What the model answers without looking at a scan is
    in both, and cancels.
    """
    return compare_readings(ModelReader(model), first, second, question, answers)


def compare_readings(
    reader: ScanReader,
    first: "ScanTokens",
    second: "ScanTokens",
    question: str,
    answers: Sequence[str],
) -> ScanComparison:
    """Compare the answers of any `ScanReader`; see `compare_scans`.

    Parameters
    ----------
    reader : ScanReader
        What answers.
    first, second : ScanTokens
        As for `compare_scans`.
    question : str
        As for `compare_scans`.
    answers : sequence of str
        As for `compare_scans`.

    Returns
    -------
    ScanComparison
    """
    asked = [ask_reader(reader, scan, question, (), answers) for scan in (first, second)]
    of_first, of_second = (each.probabilities for each in asked)
    chance = chance_of_higher(of_first, of_second, answers)
    return ScanComparison(
        question=asked[0].question, first=chance, second=1 - chance, answers=(of_first, of_second)
    )


def chance_of_higher(
    first: Mapping[str, float], second: Mapping[str, float], answers: Sequence[str]
) -> float:
    """Probability that the first of two answers is the higher one, given that they differ.

    Parameters
    ----------
    first, second : mapping of str to float
        Probabilities by answer, taken as independent of each other.
    answers : sequence of str
        From low to high.

    Returns
    -------
    float
        0.5 where both are certain of the same answer.

    Notes
    -----
    With two answers this is the model of Bradley & Terry (1952): the logistic function of the
    difference of the log odds.

    Examples
    --------
    >>> odds = chance_of_higher(
    ...     {"below": 0.2, "above": 0.8}, {"below": 0.5, "above": 0.5}, ["below", "above"]
    ... )
    >>> round(odds, 6)
    0.8
    """
    p, q = (np.array([each[answer] for answer in answers]) for each in (first, second))
    higher = float(p[1:] @ np.cumsum(q)[:-1])
    lower = float(q[1:] @ np.cumsum(p)[:-1])
    return 0.5 if higher + lower == 0 else higher / (higher + lower)
