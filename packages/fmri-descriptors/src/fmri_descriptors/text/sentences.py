"""Sentences that know whether they can be understood alone."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_POINTERS = (
    "it|its|itself|this(?! scan)|that|these|those|they|their|them|such|both|neither|here|there|"
    "others|the (?:rest|remaining|others?|ones?|former|latter|same)"
)
_CONNECTIVES = (
    "likewise|similarly|equally|conversely|additionally|further|furthermore|moreover|also|again|"
    "however|nevertheless|then|therefore|thus|hence|instead|meanwhile|while|whereas|although|though|"
    "but|and|or|so|yet|nor|still|otherwise|elsewhere|finally|lastly|as well|on the other hand|"
    "at the same time|(?:in|by) (?:contrast|comparison)|in (?:addition|turn)"
)
_LEANING = re.compile(
    rf"\W*(?:{_POINTERS}|{_CONNECTIVES})\b|.*\bof (?:these|those|them)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Sentence:
    """A sentence, or a longer unit that is never cut.

    Parameters
    ----------
    text : str
        The words, without a line break.
    standalone : bool
        Whether it can be understood without what stands before it.
    """

    text: str
    standalone: bool

    @classmethod
    def of(cls, text: str) -> "Sentence":
        """Return a text with what `stands_alone` says of it."""
        return cls(text, stands_alone(text))


def stands_alone(text: str) -> bool:
    """Return whether a text begins without pointing back.

    A text leans on the one before it if it begins with a word that points back ("It", "The rest"),
    or that joins ("Likewise", "By contrast"), or speaks "of these".

    Examples
    --------
    >>> stands_alone("Modularity is 0.31 (z 0.20), within the typical range.")
    True
    >>> stands_alone("It is within the typical range in Visual.")
    False
    """
    return _LEANING.match(text) is None


def joined(sentences: Iterable[Sentence]) -> str:
    """Return the text of sentences: one blank between two."""
    return " ".join(sentence.text for sentence in sentences)


def as_records(sentences: Iterable[Sentence]) -> list[dict[str, str | bool]]:
    """Return sentences as they are stored in ``captions.jsonl``."""
    return [{"text": s.text, "standalone": s.standalone} for s in sentences]
