"""Captions of scans: paragraphs by domain that know where a quotation of them may begin."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.reading import read_rows, reading

__all__ = [
    "DESCRIBE_PROMPTS",
    "Caption",
    "Captions",
    "Sentence",
    "read_captions",
    "split_sentences",
]

FIX = "give the folder that describe wrote"

DESCRIBE_PROMPTS: Mapping[str, str] = {
    "FC": "Describe the functional connectivity of this scan.",
    "gradients": "Describe the functional gradients of this scan.",
    "ICA": "Describe the independent components of this scan.",
    "graph": "Describe the graph measures of this scan.",
}
"""What is asked for the captions of each domain."""


class Sentence(NamedTuple):
    """A sentence of a caption.

    Attributes
    ----------
    text : str
    standalone : bool
        False if it leans on a sentence before it ("It is ...", "Of these ...").
    """

    text: str
    standalone: bool


class Caption(str):
    """A paragraph about a scan, with its sentences.

    Parameters
    ----------
    text : str
    sentences : sequence of Sentence, optional
        Joined by one space they are the text. Without them only the first sentence is known to
        stand alone.
    """

    sentences: tuple[Sentence, ...]

    def __new__(cls, text: str, sentences: Sequence[Sentence] = ()) -> Self:
        """Make a paragraph; see the class."""
        caption = super().__new__(cls, text)
        parts = split_sentences(text)
        caption.sentences = tuple(sentences) or tuple(
            Sentence(part, standalone=k == 0) for k, part in enumerate(parts)
        )
        return caption

    @property
    def starts(self) -> list[int]:
        """Numbers of the sentences that a quotation may begin with; never none."""
        return [k for k, sentence in enumerate(self.sentences) if sentence.standalone] or [0]


Captions = Mapping[str, Mapping[str, str]]
"""``captions[scan_id][domain]``; a plain text is taken as a `Caption` without known sentences."""


def read_captions(path: Path) -> dict[str, dict[str, Caption]]:
    """Captions by scan and domain; a rewritten text goes before the template's.

    Parameters
    ----------
    path : Path
        A ``captions.jsonl``.

    Returns
    -------
    dict of dict of Caption
        ``captions[scan_id][domain]``.

    Raises
    ------
    InputError
        If there is no such file, or a broken one, or a row whose sentences are not its text.
    """
    rows = read_rows(path, FIX, keys=("scan_id", "domain", "text", "source"))
    captions: dict[str, dict[str, Caption]] = {}
    for row in sorted(rows, key=lambda row: row["source"] == "rewritten"):
        caption = Caption(row["text"], _sentences(row, path))
        captions.setdefault(row["scan_id"], {})[row["domain"]] = caption
    return captions


def split_sentences(text: str) -> list[str]:
    """Sentences of a paragraph; a decimal point ends none."""
    return [s for s in re.split(r"(?<=[.!?])\s+(?=[A-Z])", text.strip()) if s]


def _sentences(row: Mapping[str, Any], path: Path) -> list[Sentence]:
    """Sentences that a row lists; none if it lists none."""
    with reading(f"{path}, {row['domain']} of {row['scan_id']}", FIX):
        listed = [Sentence(s["text"], bool(s["standalone"])) for s in row.get("sentences") or ()]
        joined = " ".join(sentence.text for sentence in listed)
    if listed and joined != row["text"]:
        raise InputError(
            f"{path}: the sentences of {row['domain']} of scan {row['scan_id']!r} are not its "
            "text; leave `sentences` out of that row, or describe the cohort again"
        )
    return listed
