"""What a language model is asked, and its answer made ready for the check."""

import re
import unicodedata
from collections.abc import Sequence

from fmri_descriptors.text.wording import plain_name

VERSION = 2
"""Goes up when the wording of the request changes, so that no answer to an older one is used."""

INSTRUCTIONS = (
    "You turn lists of measurements of a brain scan into flowing prose for a reader who knows the "
    "field. Join the statements into cohesive paragraphs, in plain English. Keep every number "
    "exactly as it is printed, each with its own z. Keep every name of a network, every name of a "
    "quantity, every unit, and the words 'well above', 'above', 'within', 'below' and 'well below "
    "the typical range' with the networks that they belong to. Speak of one quantity and one "
    "direction in a sentence. Leave nothing out. Add no number, no explanation, no "
    "diagnosis and no judgement. Answer with the prose alone."
)

_MINUS = str.maketrans({"−": "-", "‐": "-", "‑": "-", "–": "-", "—": ", "})


_QUOTES = ('"', "“", "”")


def messages(text: str) -> list[dict[str, str]]:
    """Return the chat messages that ask for a rewrite of one text."""
    return [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": text}]


def cleaned(answer: str, names: Sequence[str] = ()) -> str:
    """Return an answer without reasoning, markup and odd characters, one paragraph a line.

    Parameters
    ----------
    answer : str
        What a model wrote.
    names : sequence of str
        Names of networks; they stay as they are, whatever characters they have.
    """
    text = re.sub(r"<think>.*?</think>", "", answer, flags=re.DOTALL)
    plain = {plain_name(name) for name in names if plain_name(name)}
    kept = "|".join(re.escape(name) for name in sorted(plain, key=len, reverse=True))
    pieces = re.split(f"({kept})", text) if kept else [text]
    pieces[::2] = [_without_markup(piece) for piece in pieces[::2]]
    text = "".join(pieces).strip()
    if text[:1] in _QUOTES and text[-1:] in _QUOTES:
        text = text[1:-1].strip()
    return "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())


def _without_markup(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).translate(_MINUS)
    return re.sub(r"[*`]|^#+\s*", "", text, flags=re.MULTILINE)
