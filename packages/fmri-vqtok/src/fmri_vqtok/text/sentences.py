"""Sentences of a paragraph."""

import re

_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def split_sentences(text: str) -> list[str]:
    """Sentences of a paragraph, in order; a decimal point ends none."""
    return [sentence for sentence in _END.split(text.strip()) if sentence]
