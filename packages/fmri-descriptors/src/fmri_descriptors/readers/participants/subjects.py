"""Who was scanned, and when: labels of subjects and sessions in one form, and spellings of one."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

from fmri_descriptors.errors import InputError

SUBJECT, SESSION = "sub", "ses"


def canonical_label(label: str, entity: str = SUBJECT) -> str:
    """Return a label without the space around it and without its leading ``sub-``.

    Parameters
    ----------
    label : str
        As a file name, a folder or a table has it; the prefix counts in any case.
    entity : str
        What the label is of: ``"sub"``, ``"ses"``, or another BIDS entity such as ``"run"``.

    Raises
    ------
    InputError
        If nothing is left.

    Examples
    --------
    >>> canonical_label(" SUB-04 "), canonical_label("ses-Pre", "ses")
    ('04', 'Pre')
    """
    text = _without_prefix(unicodedata.normalize("NFC", label), entity)
    if not text:
        raise InputError(f"{entity}: {label!r} names nobody and nothing; write {entity}-<label>")
    return text


def _without_prefix(text: str, entity: str) -> str:
    text = text.strip()
    while text[: len(entity) + 1].lower() == f"{entity}-":
        text = text[len(entity) + 1 :].strip()
    return text


def label_key(label: str, entity: str = SUBJECT) -> str:
    """Return what all spellings of one label have in common.

    Two labels are spellings of one if they differ in nothing but the prefix (``sub-``, and before
    a digit also ``sub``, ``sub_`` or ``subject ``), letters' case, leading zeros of their numbers,
    the decimals that a spreadsheet adds (``4.0``), or characters that look the same and show
    nothing. A prefix without a label has an empty key.

    Parameters
    ----------
    label, entity : str
        As in `canonical_label`.

    Examples
    --------
    >>> {label_key(spelt) for spelt in ("sub-04", "04", "4", " SUB-4 ", "4.0", "sub_04")}
    {'4'}
    >>> label_key("S01") == label_key("s1"), label_key("S10") == label_key("S1")
    (True, False)
    """
    text = unicodedata.normalize("NFKC", label).casefold()
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    text = _without_prefix(text, entity)
    text = re.sub(rf"^{entity}(?:ject|sion)?[-_ ]*(?=\d)", "", text)
    whole = re.fullmatch(r"(\d+)\.0*", text)
    return re.sub(r"(?<!\d)0+(?=\d)", "", whole[1] if whole else text)


def one_spelling(labels: Iterable[str]) -> dict[str, str]:
    """Return, by label, the spelling that stands for the person from now on.

    Parameters
    ----------
    labels : iterable of str
        One canonical label a recording.

    Returns
    -------
    dict of str to str
        To the most frequent spelling of the same person; among equals the first in order.
    """
    counts = Counter(labels)
    ranked = sorted(counts, key=lambda label: (-counts[label], label))
    chosen: dict[str, str] = {}
    for label in ranked:
        chosen.setdefault(label_key(label), label)
    return {label: chosen[label_key(label)] for label in ranked}


def spelling_notes(spelling: Mapping[str, str]) -> tuple[str, ...]:
    """Say, in one line if at all, which labels were taken for one person."""
    others: dict[str, list[str]] = {}
    for label, chosen in sorted(spelling.items()):
        if label != chosen:
            others.setdefault(chosen, []).append(label)
    if not others:
        return ()
    first, spelt = next(iter(sorted(others.items())))
    more = f", and so on for {len(others) - 1} more" if len(others) > 1 else ""
    also = ", ".join(map(repr, spelt))
    note = (
        f"subject {first!r} is also spelt {also}{more}: taken for one person; rename one where "
        "they are two"
    )
    return (note,)
