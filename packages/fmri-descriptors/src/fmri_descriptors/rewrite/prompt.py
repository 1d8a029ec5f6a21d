"""What a language model is asked, and its answer made ready for the check."""

import re
import unicodedata

VERSION = 1
"""Goes up when the wording of the request changes, so that no answer to an older one is used."""

INSTRUCTIONS = (
    "You turn lists of measurements of a brain scan into flowing prose for a reader who knows the "
    "field. Join the statements into cohesive paragraphs, in plain English. Keep every number "
    "exactly as it is printed, each with its own z. Keep every name of a network, every name of a "
    "quantity, and the words 'well above', 'above', 'within', 'below' and 'well below the typical "
    "range' with the networks that they belong to. Speak of one quantity and one direction in a "
    "sentence. Leave nothing out. Add no number, no explanation, no diagnosis and no judgement. "
    "Answer with the prose alone."
)

_MINUS = str.maketrans({"−": "-", "‐": "-", "‑": "-", "–": "-", "—": ", "})


def messages(text: str) -> list[dict[str, str]]:
    """Return the chat messages that ask for a rewrite of one text."""
    return [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": text}]


def cleaned(answer: str) -> str:
    """Return an answer without reasoning, markup and odd characters, one paragraph a line."""
    text = re.sub(r"<think>.*?</think>", "", answer, flags=re.DOTALL)
    text = unicodedata.normalize("NFKC", text).translate(_MINUS)
    text = re.sub(r"[*`]|^#+\s*", "", text, flags=re.MULTILINE).strip().strip('"“”').strip()
    return "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())
