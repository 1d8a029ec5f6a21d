"""What identifies a person is taken out of a text before it leaves the machine."""

import re
from collections.abc import Iterable

STANDS_FOR_ID = "this scan"


class WithheldError(ValueError):
    """A text with an id that cannot be distinguished from a measured number."""


def without_ids(text: str, ids: Iterable[str | None]) -> str:
    """Return a text without the ids of its scan.

    Parameters
    ----------
    text : str
        A caption.
    ids : iterable of str or None
        Scan, subject, session and site, as far as they are known.

    Raises
    ------
    WithheldError
        If an id of up to three digits stands in the text: it may be a count, which has to stay,
        or the id, which must not be sent.
    """
    for known in sorted({i for i in ids if i}, key=len, reverse=True):
        spelled = rf"(?<![\w.-]){re.escape(known)}(?!\w|\.\d)"
        if re.fullmatch(r"\d{1,3}", known):
            if re.search(spelled, text):
                raise WithheldError(known)
            continue
        text = re.sub(spelled, STANDS_FOR_ID, text, flags=re.IGNORECASE)
    return text
