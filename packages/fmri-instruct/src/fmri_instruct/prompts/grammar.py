"""Grammars of prompts: templates whose slots expand to every combination of their phrases."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

from fmri_vqtok.errors import InputError, did_you_mean
from fmri_vqtok.formats.reading import reading
from fmri_vqtok.formats.yaml_files import read_yaml

FIX = "give a bank with this file"
KEYS = ("held_out", "training", "slots")


@dataclass(frozen=True)
class Wordings:
    """Wordings of one kind of prompt, which hold the fields that are filled in for each scan.

    Parameters
    ----------
    training : tuple of str
        Of training scans; no two are equal.
    held_out : tuple of str
        Of held-out scans, the canonical one first; none is among those of training.
    """

    training: tuple[str, ...]
    held_out: tuple[str, ...]


def read_wordings(path: Path, needed: Sequence[str], allowed: Sequence[str] = ()) -> Wordings:
    """Read a grammar and expand it.

    Parameters
    ----------
    path : Path
        A YAML file with ``held_out`` (wordings), ``training`` (templates of wordings) and ``slots``
        (phrases that each slot of a template may stand for).
    needed : sequence of str
        Fields that every wording has once.
    allowed : sequence of str
        Further fields that a wording may have.

    Returns
    -------
    Wordings

    Raises
    ------
    InputError
        If the file cannot be read, a template has an unknown slot, a wording lacks a field, or a
        wording for held-out scans is one for training scans too.
    """
    with reading(path, FIX):
        document = read_yaml(path)
    if not isinstance(document, dict):
        raise InputError(f"{path}: not a mapping; give {', '.join(KEYS)}")
    for key in document:
        if key not in KEYS:
            raise InputError(f"{path}: {key}: unknown key; {did_you_mean(key, KEYS)}")
    phrases = _phrases(document.get("slots", {}), path)
    fields = {name: [f"{{{name}}}"] for name in (*needed, *allowed)}
    training = tuple(
        dict.fromkeys(
            wording
            for template in _texts(document, "training", path)
            for wording in expand(template, {**phrases, **fields}, str(path))
        )
    )
    held_out = tuple(_texts(document, "held_out", path))
    for wording in (*held_out, *training):
        _check_fields(wording, needed, allowed, path)
    if both := [wording for wording in held_out if wording in training]:
        raise InputError(f"{path}: held_out: '{both[0]}' is of training scans too; drop one")
    return Wordings(training, held_out)


def expand(template: str, slots: Mapping[str, Sequence[str]], where: str) -> list[str]:
    """All texts of a template, in the order of the phrases.

    Parameters
    ----------
    template : str
        Text with names of slots in braces.
    slots : mapping of str to sequence of str
        Phrases by name. An empty one leaves no blank behind.
    where : str
        Where the template is from, for messages.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If the template names no slot that there is.

    Examples
    --------
    >>> expand("{who} {what}?", {"who": ["", "You:"], "what": ["Why", "How"]}, "bank")
    ['Why?', 'How?', 'You: Why?', 'You: How?']
    """
    names = list(dict.fromkeys(fields_of(template)))
    for name in names:
        if name not in slots:
            raise InputError(f"{where}: '{template}' has no slot '{name}'; use {', '.join(slots)}")
    return [
        _tidy(template.format(**dict(zip(names, chosen, strict=True))))
        for chosen in itertools.product(*(slots[name] for name in names))
    ]


def fields_of(wording: str) -> list[str]:
    """Names in braces, in order, as often as they occur.

    Parameters
    ----------
    wording : str
        Text with names in braces.

    Returns
    -------
    list of str
    """
    return [name for _, name, _, _ in Formatter().parse(wording) if name is not None]


def _tidy(text: str) -> str:
    """Text without the blanks and empty lines that empty phrases leave."""
    lines = (re.sub(r" {2,}", " ", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def _phrases(slots: Any, path: Path) -> dict[str, list[str]]:
    if not isinstance(slots, dict):
        raise InputError(f"{path}: slots: not a mapping; give a list of phrases by name")
    return {name: _texts(slots, name, path) for name in slots}


def _texts(entry: Mapping[str, Any], key: str, path: Path) -> list[str]:
    texts = entry.get(key)
    if not isinstance(texts, list) or not texts or not all(isinstance(x, str) for x in texts):
        raise InputError(f"{path}: {key}: not a list of texts; write one wording per item")
    for text in texts:
        try:
            fields_of(text)
        except ValueError as error:
            raise InputError(f"{path}: {key}: '{text}': {error}; close every brace") from error
    return texts


def _check_fields(wording: str, needed: Sequence[str], allowed: Sequence[str], path: Path) -> None:
    found = fields_of(wording)
    for name in needed:
        if found.count(name) != 1:
            raise InputError(f"{path}: '{wording}'; write {{{name}}} in it once")
    for name in found:
        if name not in (*needed, *allowed):
            raise InputError(
                f"{path}: '{wording}' has no field '{name}'; use {', '.join((*needed, *allowed))}"
            )
