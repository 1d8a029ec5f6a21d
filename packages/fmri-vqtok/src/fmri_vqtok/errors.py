"""The error that a user can mend: one line with the thing, its value and the fix."""

from collections.abc import Sequence
from difflib import get_close_matches


class InputError(ValueError):
    """What was handed in cannot be used; the message says what it is and how to mend it.

    Attributes
    ----------
    exit_code : int
        The exit status of a command that ends with this error.
    """

    exit_code = 1


def check_choice(key: str, value: object, known: Sequence[str]) -> None:
    """Refuse a word that is none of those known, and name the nearest.

    Raises
    ------
    InputError
    """
    if value not in known:
        near = get_close_matches(str(value), known, n=1, cutoff=0)[0]
        names = ", ".join(f"'{name}'" for name in known)
        raise InputError(f"{key}: '{value}'; give one of {names}; did you mean '{near}'?")
