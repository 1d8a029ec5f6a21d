"""The user-facing input error: one line with the thing, its value and a fix."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class InputError(ValueError):
    """An input that cannot be used; the message names it, its value and a fix.

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
    """Refuse an unknown choice, and name the nearest known one.

    Raises
    ------
    InputError
    """
    if value not in known:
        names = ", ".join(f"'{name}'" for name in known)
        raise InputError(f"{key}: '{value}'; give one of {names}; {did_you_mean(value, known)}")
