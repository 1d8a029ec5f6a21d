"""The error for input that a user can correct: one line with the thing, its value and the fix."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class InputError(ValueError):
    """What was given cannot be used; the message says what it is and how to correct it.

    Attributes
    ----------
    exit_code : int
        The exit status of a command that ends with this error.
    """

    exit_code = 1


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Advice for an unknown word: the known one that is most like it.

    Examples
    --------
    >>> did_you_mean("caveta", ["title", "caveat"])
    "did you mean 'caveat'?"
    """
    near = get_close_matches(str(word), list(known), n=1, cutoff=0)
    return f"did you mean '{near[0]}'?" if near else "there is none to choose from"


def check_choice(key: str, value: object, known: Sequence[str]) -> None:
    """Refuse a word that is none of those known.

    Raises
    ------
    InputError
    """
    if value not in known:
        names = ", ".join(f"'{name}'" for name in known)
        raise InputError(f"{key}: '{value}'; give one of {names}; {did_you_mean(value, known)}")
