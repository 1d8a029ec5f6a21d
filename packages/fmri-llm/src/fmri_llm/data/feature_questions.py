"""Questions about the measures of a scan: a curriculum that needs no label.

The descriptors of a cohort give a z-score of each measure of each scan. From them come questions
whose answers depend on the scan alone: is a measure above or below average; which of two measures
is higher, relative to the average; is a statement, made about this scan or another, true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmri_llm.base_model import chat
from fmri_llm.data.feature_names import domain, networks_of, phrase
from fmri_vqtok.digest import digest
from fmri_vqtok.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedTokenizerBase

__all__ = ["FeatureQuestion", "FeatureQuestions", "level_word"]

CLEAR = 0.25
"""Smallest size of a z-score, or of a difference of two, that is asked about."""

COMPARED = ("the first", "the second")

_LEVELS = ((2.0, "well above"), (1.0, "above"), (-1.0, "within"), (-2.0, "below"))


class FeatureQuestion(NamedTuple):
    """A question about a scan with its possible answers.

    Attributes
    ----------
    text : str
    answer : str
    options : tuple of str
        All possible answers, the right one among them.
    domain : str
        "FC", "gradients", "ICA" or "graph": that of the measure.
    """

    text: str
    answer: str
    options: tuple[str, ...]
    domain: str


class FeatureQuestions:
    """Draws questions about scans.

    Parameters
    ----------
    z_scores : DataFrame
        From `fmri_vqtok.formats.zscores.read_zscores`.
    """

    def __init__(self, z_scores: pd.DataFrame) -> None:
        networks = networks_of(list(z_scores.columns))
        phrases = {name: phrase(name, networks) for name in z_scores.columns}
        self.columns = [name for name, words in phrases.items() if words is not None]
        self.phrases: list[str] = [words for words in phrases.values() if words is not None]
        self.domains = [domain(name) for name in self.columns]
        self._values = z_scores[self.columns].to_numpy(dtype=np.float64)
        self._rows: Mapping[str, int] = {str(name): k for k, name in enumerate(z_scores.index)}

    def z_scores(self, scan_ids: Sequence[str]) -> NDArray[np.float64]:
        """z-scores of the measures of scans, shape (n_scans, n_measures); NaN for unknown ones.

        Raises
        ------
        InputError
            If a scan has none.
        """
        return np.array([self._of(scan_id) for scan_id in scan_ids])

    @property
    def digest(self) -> str:
        """Digest of all that questions are made of."""
        return digest([list(self._rows), self.columns, self._values])

    def draw(
        self,
        scan_id: str,
        rng: np.random.Generator,
        others: Sequence[str],
        *,
        levels_only: bool = False,
    ) -> FeatureQuestion | None:
        """Draw a question about a scan; None if its measures give none.

        Parameters
        ----------
        scan_id : str
        rng : numpy.random.Generator
        others : sequence of str
            Scans whose measures wrong statements are taken from.
        levels_only : bool, default=False
            Whether to ask only whether a measure is above or below average, the easiest kind.

        Raises
        ------
        InputError
            If the scan has no z-scores.
        """
        values = self._of(scan_id)
        kind = 0 if levels_only else rng.integers(3)
        if kind == 0:
            return self.level(self._clear(values, rng), values, first=bool(rng.integers(2)))
        if kind == 1:
            return self._comparison(values, rng)
        return self._statement(values, self._of(str(rng.choice(others))), rng)

    def longest(self, tokenizer: PreTrainedTokenizerBase) -> int:
        """Tokens of the longest question with its answer."""
        longest = max(self.phrases, key=len, default="")
        prompt, answers = chat.encode_answers(
            tokenizer, chat.question(_comparison(longest, longest)), COMPARED
        )
        return len(prompt) + max(map(len, answers))

    def levels(self, scan_id: str) -> list[FeatureQuestion]:
        """Every question of the kind "above or below average" about a scan, in order."""
        values = self._of(scan_id)
        places = np.flatnonzero(np.abs(np.nan_to_num(values)) >= CLEAR)
        found = (self.level(int(place), values, first=True) for place in places)
        return [question for question in found if question is not None]

    def level(
        self, place: int | None, values: NDArray[np.float64], *, first: bool
    ) -> FeatureQuestion | None:
        """Ask whether a measure is above or below average; `first` names "above" first."""
        if place is None:
            return None
        options = ("above", "below") if first else ("below", "above")
        answer = "above" if values[place] > 0 else "below"
        text = f"Is {self.phrases[place]} {options[0]} or {options[1]} average?"
        return FeatureQuestion(text, answer, options, self.domains[place])

    def _comparison(
        self, values: NDArray[np.float64], rng: np.random.Generator
    ) -> FeatureQuestion | None:
        """Ask which of two measures of one domain is higher, relative to the average."""
        first = self._clear(values, rng)
        if first is None:
            return None
        alike = [k for k, own in enumerate(self.domains) if own == self.domains[first]]
        second = int(rng.choice(alike))
        if not abs(values[first] - values[second]) >= CLEAR:
            return None
        answer = COMPARED[int(values[second] > values[first])]
        text = _comparison(self.phrases[first], self.phrases[second])
        return FeatureQuestion(text, answer, COMPARED, self.domains[first])

    def _statement(
        self,
        values: NDArray[np.float64],
        other: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> FeatureQuestion | None:
        """Ask whether a statement, true of this scan or of one that differs in it, is true.

        Both are as likely, whatever the statement says: its words alone tell nothing.
        """
        place = self._clear(values, rng)
        if place is None or not abs(other[place]) >= CLEAR:
            return None
        own, elsewhere = level_word(values[place]), level_word(other[place])
        if own == elsewhere:
            return None
        said, answer = (own, "yes") if rng.integers(2) else (elsewhere, "no")
        text = f"Is this true: {self.phrases[place]} is {said} the typical range?"
        return FeatureQuestion(text, answer, ("yes", "no"), self.domains[place])

    def _clear(self, values: NDArray[np.float64], rng: np.random.Generator) -> int | None:
        places = np.flatnonzero(np.abs(np.nan_to_num(values)) >= CLEAR)
        return int(rng.choice(places)) if len(places) else None

    def _of(self, scan_id: str) -> NDArray[np.float64]:
        if scan_id not in self._rows:
            raise InputError(
                f"zscores.parquet: no measures of scan {scan_id!r}; describe the same cohort"
            )
        return self._values[self._rows[scan_id]]


def _comparison(first: str, second: str) -> str:
    return f"Which is higher, relative to the average: {first}, or {second}?"


def level_word(z: float) -> str:
    """Word for a z-score, as captions use it.

    Examples
    --------
    >>> level_word(-2.5), level_word(-0.5), level_word(1.0)
    ('well below', 'within', 'above')
    """
    return next((word for least, word in _LEVELS if z >= least), "well below")
