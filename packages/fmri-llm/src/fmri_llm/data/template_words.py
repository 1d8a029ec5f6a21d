"""Words of captions that depend on no scan, because the template writes them in every caption."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fmri_vqtok.formats.captions import Caption

__all__ = ["TemplateWords"]

CONTEXT = 3
"""Words before a word, in its sentence, that say where in the template it stands."""

LEAST = 5
"""Captions that have to show a context before anything is said about what follows it."""

DIRECTIONS = frozenset({"above", "below", "higher", "highest", "lower", "lowest", "well", "within"})
"""Words that a z-score is told by; never of the template."""

_PUNCTUATION = "()[]{}.,;:!?'\"-"
_NUMBER, _DIRECTION = "#", "<>"

_Context = tuple[str, ...]


class TemplateWords:
    """Finds the words of captions that follow from the words before them, whatever the scan.

    A word is of the template of a domain if it alone follows its context, the `CONTEXT` words
    before it in the sentence, in all training captions of the domain, and at least `LEAST` of them
    have this context. Words are compared without punctuation. A word with a digit and one of
    `DIRECTIONS` is never of the template; in a context all numbers are alike, and all directions.

    Parameters
    ----------
    captions : iterable of mapping of str to Caption
        By domain, of each training scan.
    weight : float
        Of such a word as a target; others have 1.
    """

    def __init__(self, captions: Iterable[Mapping[str, Caption]], weight: float) -> None:
        self.weight = weight
        followers: dict[str, dict[_Context, dict[str, int]]] = {}
        for by_domain in captions:
            for domain, caption in by_domain.items():
                seen = {
                    place
                    for sentence in caption.sentences
                    for place in _places(_words(sentence.text))
                }
                found = followers.setdefault(domain, {})
                for context, word in seen:
                    counts = found.setdefault(context, {})
                    counts[word] = counts.get(word, 0) + 1
        self._followers = {domain: dict(_only(found)) for domain, found in followers.items()}

    def is_template(self, domain: str, sentence: str) -> list[bool]:
        """Whether each word of a sentence, split at spaces, is of the template of its domain."""
        followers = self._followers.get(domain, {})
        return [
            word == followers.get(context) and word not in (_NUMBER, _DIRECTION)
            for context, word in _places(_words(sentence))
        ]

    def token_weights(
        self, domain: str, sentences: Sequence[str], spans: Sequence[tuple[int, int]]
    ) -> list[float]:
        """Weight of each token of some sentences as a target.

        Parameters
        ----------
        domain : str
        sentences : sequence of str
            Of a caption; the text is these with a space in between.
        spans : sequence of (int, int)
            Characters of the text that each token stands for.

        Returns
        -------
        list of float
            The highest weight of a token's characters, where a space has that of the word after
            it; 1 for a token of no character of the text.
        """
        characters = list(self._character_weights(domain, sentences))
        return [max(characters[start:end], default=1.0) for start, end in spans]

    def _character_weights(self, domain: str, sentences: Sequence[str]) -> Iterator[float]:
        for number, sentence in enumerate(sentences):
            template = self.is_template(domain, sentence)
            pieces = sentence.split(" ")
            weights = iter(self.weight if of_template else 1.0 for of_template in template)
            for place, piece in enumerate(pieces):
                weight = next(weights) if piece else 1.0
                n_spaces = int(number > 0 or place > 0)
                yield from [weight] * (n_spaces + len(piece))


def _words(sentence: str) -> list[str]:
    """Words of a sentence without punctuation; all numbers alike, and all directions."""
    return [_compared(word) for word in sentence.split(" ") if word]


def _compared(word: str) -> str:
    if any(map(str.isdigit, word)):
        return _NUMBER
    bare = word.strip(_PUNCTUATION)
    return _DIRECTION if bare.lower() in DIRECTIONS else bare


def _places(words: Sequence[str]) -> Iterator[tuple[_Context, str]]:
    padded = [""] * CONTEXT + list(words)
    for place, word in enumerate(words):
        yield tuple(padded[place : place + CONTEXT]), word


def _only(found: Mapping[_Context, Mapping[str, int]]) -> Iterator[tuple[_Context, str]]:
    """Contexts that enough captions have and that one word alone follows."""
    for context, counts in found.items():
        (word, n_captions), *others = islice(counts.items(), 2)
        if not others and n_captions >= LEAST:
            yield context, word
