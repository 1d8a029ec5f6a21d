"""Captions of scans: paragraphs by domain, with the sentences at which a quotation may begin."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.json_files import read_json_lines
from fmri_vqtok.formats.reading import reading

FIX = "give the folder that `fmri describe` wrote"

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


class Sentence(NamedTuple):
    """A sentence of a caption.

    Attributes
    ----------
    text : str
    standalone : bool
        False if it refers to a sentence before it ("It is ...", "Of these ...").
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
        caption.sentences = tuple(sentences) or tuple(
            Sentence(part, standalone=k == 0) for k, part in enumerate(split_sentences(text))
        )
        return caption

    @property
    def starts(self) -> list[int]:
        """Numbers of the sentences that a quotation may begin with; never none."""
        return [k for k, sentence in enumerate(self.sentences) if sentence.standalone] or [0]


def read_captions(path: Path) -> dict[str, dict[str, Caption]]:
    """Captions by scan and domain; a rewritten text replaces that of the template, unless empty.

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
    rows = read_json_lines(path, FIX, keys=("scan_id", "domain", "text"))
    captions: dict[str, dict[str, Caption]] = {}
    for row in sorted(rows, key=lambda row: row.get("source") == "rewritten"):
        caption = _caption(row, path)
        if caption.strip():
            captions.setdefault(row["scan_id"], {})[row["domain"]] = caption
    return captions


def split_sentences(text: str) -> list[str]:
    """Sentences of a paragraph, in order; a decimal point ends none."""
    return [sentence for sentence in _SENTENCE_END.split(text.strip()) if sentence]


def _caption(row: Mapping[str, Any], path: Path) -> Caption:
    with reading(f"{path}, {row['domain']} of {row['scan_id']}", FIX):
        listed = [Sentence(s["text"], bool(s["standalone"])) for s in row.get("sentences") or ()]
        joined = " ".join(sentence.text for sentence in listed)
        caption = Caption(row["text"], listed)
    if listed and joined != caption:
        raise InputError(
            f"{path}: the sentences of {row['domain']} of scan {row['scan_id']!r} are not its "
            "text; leave `sentences` out of that row, or describe the cohort again"
        )
    return caption
